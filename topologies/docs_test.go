package topologies

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// page returns docs/TOPOLOGY.md.
func page(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../docs/TOPOLOGY.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// examples returns the page's examples as whole topologies: those of a link are its
// keys, those of events a list.
func examples(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile("(?s)```yaml( [a-z]+)?\n(.*?)```").FindAllStringSubmatch(page(t), -1) {
		kind, text := strings.TrimSpace(m[1]), m[2]
		switch kind {
		case "link":
			text = "name: lab\nnodes: {a: {}, b: {}}\nlinks:\n  - name: x\n    endpoints: [a, b]\n" + indent(text, "    ")
		case "events":
			text = "name: lab\nnodes: {a: {}, home: {kind: nat, inside: [lte]}, b: {}}\nlinks:\n" +
				"  - {name: lte, endpoints: [a, home], profile: lte}\n  - {name: wifi, endpoints: [home, b], profile: wifi}\nevents:\n" + indent(text, "  ")
		}
		out = append(out, text)
	}
	return out
}

func indent(text, by string) string {
	return regexp.MustCompile("(?m)^(.)").ReplaceAllString(text, by+"$1")
}

// TestDocsExamples: each example is a topology and follows the schema, and together
// they have every key.
func TestDocsExamples(t *testing.T) {
	f := newFolder(t, map[string]string{"drive.up": "1\n2\n", "measured.dist": "-8192 8192\n", "bus.csv": "time_s,rate_mbit\n0,10\n1,2\n"})
	all := ""
	for _, example := range examples(t) {
		all += example
		topology, err := Loader{Engines: knownEngines(), Dir: string(f)}.Parse("example.yaml", []byte(example))
		if err != nil {
			t.Errorf("%v\n%s", err, example)
			continue
		}
		checkSound(t, topology)
		if problem := invalid(t, decodedSchema(t), asEditor(t, []byte(example)), ""); problem != "" {
			t.Error(problem)
		}
	}
	for _, k := range allKeys() {
		if !regexp.MustCompile(`(?m)(^|[\s{,])`+k+`:(\s|$)`).MatchString(all) && !slices.Contains([]string{"duration", "sha256"}, k) {
			t.Errorf("no example uses %s", k)
		}
	}
}

// TestDocsImpair: the changes by hand that the page shows are ones.
func TestDocsImpair(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^    tquiclab impair lab lte (.*)$`).FindAllStringSubmatch(page(t), -1)
	if len(lines) < 3 {
		t.Errorf("%d examples", len(lines))
	}
	for _, line := range lines {
		var words []string
		for _, w := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line[1], -1) {
			words = append(words, strings.Trim(w, "'"))
		}
		base := changing()
		base.Up, base.Down.Jitter = base.Down, 0
		base.Up.Jitter, base.Down.Jitter = 5e6, 5e6
		if _, err := (Loader{}).ParsePatch(words, base); err != nil {
			t.Errorf("%q: %v", words, err)
		}
	}
}

// TestDocsTables: the tables have every key, unit and profile.
func TestDocsTables(t *testing.T) {
	text := page(t)
	for _, k := range allKeys() {
		if !regexp.MustCompile("(?m)^\\| (`[a-z]+`, )?`" + k + "`").MatchString(text) {
			t.Errorf("no table has the key %s", k)
		}
	}
	units := append(unitNames(rateUnits()), unitNames(queueMeasure().units)...)
	for _, u := range append(units, Unlimited, fmt.Sprint(minMTU), fmt.Sprint(maxMTU)) {
		if !strings.Contains(text, "`"+u+"`") && !strings.Contains(text, " "+u+" ") {
			t.Errorf("nothing says %s", u)
		}
	}
	for _, p := range Profiles() {
		row := fmt.Sprintf("| `%s` | %s | %s |\n", p.Name, docsSummary(Summary(p.Up)), docsSummary(Summary(p.Down)))
		if !strings.Contains(text, row) {
			t.Errorf("the table of profiles lacks the row\n%s", row)
		}
	}
}

// docsSummary turns `12mbit 35ms±5ms loss 0.01% queue 300ms` into the page's form.
func docsSummary(s string) string {
	s = regexp.MustCompile(`[0-9.]+[a-z%]+`).ReplaceAllString(s, "`$0`")
	s = strings.ReplaceAll(s, "±", " ± ")
	return regexp.MustCompile("` (`|loss|queue|slot)").ReplaceAllString(s, "`, $1")
}

func allKeys() []string {
	var keys []string
	for _, names := range [][]string{
		keyNames(fileKeys(nil)), keyNames(nodeKeys()), keyNames(linkKeys(nil)), keyNames(directionKeys()), keyNames(jitterKeys()),
		keyNames(lossKeys()), keyNames(gilbertElliottKeys()), keyNames(fourStateKeys()), keyNames(reorderKeys()), keyNames(slotKeys()),
		keyNames(queueKeys()), keyNames(mtuKeys()), keyNames(capacityKeys()), keyNames(stepsKeys()), keyNames(stepKeys()),
		keyNames(eventKeys()), keyNames(experimentKeys()), keyNames(workloadKeys()),
	} {
		keys = append(keys, names...)
	}
	return keys
}

// TestDocsProblem: the problem that the page shows is what a user sees.
func TestDocsProblem(t *testing.T) {
	text := "name: lab\nnodes:\n  client:\n  server:\nlinks:\n  - name: lte\n    profle: lte\n    endpoints: [client, server]\n"
	_, err := Loader{}.Parse("lab.yaml", []byte(text))
	if err == nil || !strings.Contains(page(t), "\n    "+err.Error()+"\n") {
		t.Errorf("the page does not show\n%v", err)
	}
}
