package topologies

import (
	"fmt"
	"os"
	"regexp"
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

// TestDocsExample: the example is a topology, follows the schema, and has every key.
func TestDocsExample(t *testing.T) {
	_, rest, _ := strings.Cut(page(t), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no example")
	}
	mustParse(t, example)
	if problem := invalid(t, decodedSchema(t), asEditor(t, []byte(example)), ""); problem != "" {
		t.Error(problem)
	}
	for _, k := range allKeys() {
		// A workload has a duration or bytes, not both.
		if k != "duration" && !regexp.MustCompile(`(?m)(^|[\s{,])`+k+`:(\s|$)`).MatchString(example) {
			t.Errorf("the example does not use %s", k)
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
	return regexp.MustCompile("` (`|loss|queue)").ReplaceAllString(s, "`, $1")
}

func allKeys() []string {
	keys := append(keyNames(fileKeys(nil)), keyNames(linkKeys(nil))...)
	keys = append(keys, keyNames(directionKeys())...)
	keys = append(keys, keyNames(experimentKeys())...)
	return append(keys, keyNames(workloadKeys())...)
}

// TestDocsProblem: the problem that the page shows is what a user sees.
func TestDocsProblem(t *testing.T) {
	text := "name: lab\nnodes:\n  client:\n  server:\nlinks:\n  - name: lte\n    profile: lt\n    endpoints: [client, server]\n"
	_, err := Loader{}.Parse("lab.yaml", []byte(text))
	if err == nil || !strings.Contains(page(t), "\n    "+err.Error()+"\n") {
		t.Errorf("the page does not show\n%v", err)
	}
}
