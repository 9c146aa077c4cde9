package topologies

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

// The schema is checked with a validator of its own, which knows the keywords
// that Schema uses and fails on any other.

// invalid returns where value does not follow the schema, or an empty string.
func invalid(t testing.TB, s map[string]any, value any, path string) string {
	t.Helper()
	for keyword, rule := range s {
		if !follows(t, s, keyword, rule, value) {
			return fmt.Sprintf("%s: %v breaks %s: %v", path, value, keyword, rule)
		}
	}
	switch value := value.(type) {
	case map[string]any:
		properties, _ := s["properties"].(map[string]any)
		for name, item := range value {
			rule, known := properties[name].(map[string]any)
			if !known {
				if s["additionalProperties"] == false {
					return fmt.Sprintf("%s: unknown key %s", path, name)
				}
				rule, _ = s["additionalProperties"].(map[string]any) // none: anything goes
			}
			if problem := invalid(t, rule, item, path+"."+name); problem != "" {
				return problem
			}
		}
	case []any:
		items, _ := s["items"].(map[string]any) // none: anything goes
		for i, item := range value {
			if problem := invalid(t, items, item, fmt.Sprintf("%s[%d]", path, i)); problem != "" {
				return problem
			}
		}
	}
	return ""
}

// follows reports whether value follows one keyword.
func follows(t testing.TB, s map[string]any, keyword string, rule, value any) bool {
	t.Helper()
	object, isObject := value.(map[string]any)
	list, isList := value.([]any)
	text, isText := value.(string)
	switch keyword {
	case "$schema", "title", "description", "default", "properties", "additionalProperties", "items":
		return true
	case "type":
		types, isList := rule.([]any)
		if !isList {
			types = []any{rule}
		}
		return slices.Contains(types, any(typeOf(value)))
	case "enum":
		return slices.Contains(rule.([]any), value)
	case "const":
		return rule == value
	case "pattern":
		return !isText || regexp.MustCompile(rule.(string)).MatchString(text)
	case "propertyNames":
		for name := range object {
			if invalid(t, rule.(map[string]any), name, "") != "" {
				return false
			}
		}
		return true
	case "anyOf":
		return slices.ContainsFunc(rule.([]any), func(r any) bool { return invalid(t, r.(map[string]any), value, "") == "" })
	case "not":
		return invalid(t, rule.(map[string]any), value, "") != ""
	case "required":
		for _, name := range rule.([]any) {
			if _, given := object[name.(string)]; isObject && !given {
				return false
			}
		}
		return true
	case "minItems":
		return !isList || len(list) >= number(rule)
	case "maxItems":
		return !isList || len(list) <= number(rule)
	case "uniqueItems":
		seen := map[any]bool{}
		for _, item := range list {
			if seen[fmt.Sprint(item)] {
				return false
			}
			seen[fmt.Sprint(item)] = true
		}
		return true
	case "minProperties":
		return !isObject || len(object) >= number(rule)
	case "maxProperties":
		return !isObject || len(object) <= number(rule)
	case "minimum":
		return typeOf(value) != "integer" || integerOf(value).Cmp(integerOf(rule)) >= 0
	case "maximum":
		return typeOf(value) != "integer" || integerOf(value).Cmp(integerOf(rule)) <= 0
	}
	t.Fatalf("the schema uses %q, which this test does not know", keyword)
	return false
}

func number(rule any) int { return int(integerOf(rule).Int64()) }

func integerOf(value any) *big.Int {
	n, ok := new(big.Int).SetString(fmt.Sprint(value), 10)
	if !ok {
		return new(big.Int)
	}
	return n
}

func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case int, int64, uint64:
		return "integer"
	case bool:
		return "boolean"
	}
	return fmt.Sprintf("%T", value)
}

// decodedSchema returns Schema with its numbers kept exact.
func decodedSchema(t testing.TB) map[string]any {
	t.Helper()
	var s map[string]any
	decoder := json.NewDecoder(bytes.NewReader(Schema()))
	decoder.UseNumber()
	if err := decoder.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// asEditor returns a file as a JSON Schema validator for YAML sees it.
func asEditor(t testing.TB, data []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestCatalogFollowsSchema(t *testing.T) {
	s := decodedSchema(t)
	for _, e := range Catalog() {
		if problem := invalid(t, s, asEditor(t, e.Source), e.Name); problem != "" {
			t.Error(problem)
		}
	}
}

func TestShownFollowsSchema(t *testing.T) {
	s := decodedSchema(t)
	rapid.Check(t, func(r *rapid.T) {
		text := Show(drawTopology(r))
		if problem := invalid(t, s, asEditor(t, []byte(text)), ""); problem != "" {
			r.Fatalf("%s\n%s", problem, text)
		}
	})
}

// TestSchemaRefuses has files that the decoder refuses for what one value says:
// the schema must refuse them too.
func TestSchemaRefuses(t *testing.T) {
	const base = "nodes: {client: {}, server: {}}\n"
	link := func(rest string) string {
		return "name: lab\n" + base + "links: [{name: lte, endpoints: [client, server]" + rest + "}]\n"
	}
	run := func(rest string) string {
		return link("") + "experiment: {from: server, to: client, engines: [tcp]" + rest + "}\n"
	}
	s := decodedSchema(t)
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"sound link":          {link(""), true},
		"sound run":           {run(""), true},
		"sound override":      {link(", profile: lte, up: {rate: unlimited, queue: unlimited}"), true},
		"sound null node":     {"name: lab\nnodes:\n  client:\n  server:\nlinks: [{name: lte, endpoints: [client, server]}]\n", true},
		"sound largest seed":  {"seed: 18446744073709551615\n" + link(""), true},
		"no name":             {base + "links: [{name: lte, endpoints: [client, server]}]\n", false},
		"no links":            {"name: lab\n" + base, false},
		"empty links":         {"name: lab\n" + base + "links: []\n", false},
		"one node":            {"name: lab\nnodes: {client: {}}\nlinks: [{name: lte, endpoints: [client, client]}]\n", false},
		"node settings":       {"name: lab\nnodes: {client: {cpu: 1}, server: {}}\nlinks: [{name: lte, endpoints: [client, server]}]\n", false},
		"unknown key":         {"colour: red\n" + link(""), false},
		"upper case":          {"name: Lab\n" + base + "links: [{name: lte, endpoints: [client, server]}]\n", false},
		"number as a name":    {"name: 5\n" + base + "links: [{name: lte, endpoints: [client, server]}]\n", false},
		"reserved link":       {"name: lab\n" + base + "links: [{name: lo, endpoints: [client, server]}]\n", false},
		"link without ends":   {"name: lab\n" + base + "links: [{name: lte}]\n", false},
		"one endpoint":        {"name: lab\n" + base + "links: [{name: lte, endpoints: [client]}]\n", false},
		"same endpoint twice": {"name: lab\n" + base + "links: [{name: lte, endpoints: [client, client]}]\n", false},
		"unknown profile":     {link(", profile: lt"), false},
		"small mtu":           {link(", mtu: 575"), false},
		"large mtu":           {link(", mtu: 65536"), false},
		"quoted mtu":          {link(`, mtu: "1400"`), false},
		"small wire mtu":      {link(", up: {mtu: 575}"), false},
		"no unit":             {link(", up: {rate: 30}"), false},
		"wrong unit":          {link(", up: {rate: 30Mbps}"), false},
		"unlimited delay":     {link(", up: {delay: unlimited}"), false},
		"sound everything": {link(", family: ipv4, wired: true, mtu: 576, up: {rate: 1mbit, delay: 5ms, jitter: {width: 5ms, distribution: normal}, " +
			"loss: {random: 1%, gilbert-elliott: {p: 1%, r: 5%}, every: 5, packets: [1, 2]}, duplicate: 1%, corrupt: 1%, reorder: {probability: 1%, gap: 5}, " +
			"slot: {max: 5ms}, queue: {limit: 5ms, discipline: codel, ecn: true, mark: 5packets}, mtu: {size: 600, too-big: icmp}, blackhole: true}"), true},
		"sound steps":         {link(", up: {steps: [{at: 0s, rate: 1mbit}, {at: 1s, rate: none}, {at: 2s, rate: 2mbit}]}, down: {steps: {list: [{at: 0s, loss: 1%}, {at: 1s, loss: 2%}], repeat: true}}"), true},
		"sound generator":     {link(", up: {capacity: {generate: lte, duration: 1s, seed: 4, mean: 1mbit}}, down: {capacity: none, slot: none, steps: none}"), true},
		"sound events":        {"start: manual\nevents: [{at: 1s, link: lte, down: 2s}, {at: 9s, every: 30s, times: 2, link: lte, blackhole: true, for: 1s}, {at: 1s, link: lte, ramp: 1s, set: {up: {rate: 1mbit}}}]\n" + link(", up: {rate: 2mbit}"), true},
		"sound router":        {"name: lab\nnodes: {a: {}, r: {kind: router}, n: {kind: nat, inside: [x]}}\nlinks: [{name: x, endpoints: [n, r]}, {name: y, endpoints: [a, r]}, {name: z, endpoints: [n, a]}]\n", true},
		"unknown start":       {"start: later\n" + link(""), false},
		"unknown kind":        {"name: lab\nnodes: {client: {kind: switch}, server: {}}\nlinks: [{name: lte, endpoints: [client, server]}]\n", false},
		"unknown family":      {link(", family: ipv5"), false},
		"wired as a word":     {link(`, wired: "true"`), false},
		"event without time":  {"events: [{link: lte, down: 2s}]\n" + link(""), false},
		"down: false":         {"events: [{at: 1s, link: lte, down: false}]\n" + link(""), false},
		"up with a time":      {"events: [{at: 1s, link: lte, up: 2s}]\n" + link(""), false},
		"unknown generator":   {link(", up: {capacity: {generate: wimax}}"), false},
		"capacity as a rate":  {link(", up: {capacity: 5mbit}"), false},
		"bad hash":            {link(", up: {capacity: {trace: x, sha256: abc}}"), false},
		"unknown model":       {link(", up: {loss: {bursts: 5}}"), false},
		"chain without r":     {link(", up: {loss: {gilbert-elliott: {p: 1%}}}"), false},
		"unknown queue":       {link(", up: {rate: 1mbit, queue: {limit: 5ms, discipline: red}}"), false},
		"slot without max":    {link(", up: {slot: {min: 5ms}}"), false},
		"empty list of steps": {link(", up: {steps: []}"), false},
		"step without time":   {link(", up: {steps: [{rate: 1mbit}]}"), false},
		"packet 0":            {link(", up: {loss: {packets: [0]}}"), false},
		"unknown impairment":  {link(", up: {latency: 3ms}"), false},
		"three addresses":     {link(", addresses: {client: [10.0.0.1/24, 10.0.0.3/24, 10.0.0.4/24], server: [10.0.0.2/24]}"), false},
		"no prefix length":    {link(", addresses: {client: [10.0.0.1], server: [10.0.0.2]}"), false},
		"no engines":          {link("") + "experiment: {from: server, to: client}\n", false},
		"empty engines":       {link("") + "experiment: {from: server, to: client, engines: []}\n", false},
		"engine twice":        {link("") + "experiment: {from: server, to: client, engines: [tcp, tcp]}\n", false},
		"bad engine":          {link("") + "experiment: {from: server, to: client, engines: [tcp@]}\n", false},
		"unknown workload":    {run(", workload: {kind: rcp}"), false},
		"rpc":                 {run(", workload: {kind: rpc, rate: 100/s, size: 1KB, response: 4KB}"), true},
		"rpc without unit":    {run(", workload: {kind: rpc, rate: 100}"), false},
		"cbr":                 {run(", workload: {kind: cbr, rate: 5mbit, size: 20KB, deadline: 200ms}"), true},
		"cbr in a second":     {run(", workload: {kind: cbr, rate: 5mbit/s}"), false},
		"handshake":           {run(", workload: {kind: handshake, parallel: 8}"), true},
		"no handshake":        {run(", workload: {kind: handshake, parallel: 0}"), false},
		"duration and bytes":  {run(", workload: {duration: 10s, bytes: 1MB}"), false},
		"no streams":          {run(", workload: {streams: 0}"), false},
		"no rounds":           {run(", rounds: 0"), false},
		"sound choices":       {link("") + "experiment: {from: server, to: client, engines: [tquic@lte:congestion=bbr:scheduler=ecf, tcp:congestion=reno], paths: [lte], schedulers: [ecf], congestions: [bbr, lia]}\n", true},
		"unknown setting":     {link("") + "experiment: {from: server, to: client, engines: [tcp:color=red]}\n", false},
		"setting twice":       {link("") + "experiment: {from: server, to: client, engines: [tcp:congestion=a:congestion=b]}\n", false},
		"no schedulers":       {run(", schedulers: []"), false},
		"congestion twice":    {run(", congestions: [bbr, bbr]"), false},
		"path with a blank":   {run(", paths: [l te]"), false},
		"negative seed":       {"seed: -1\n" + link(""), false},
	} {
		t.Run(name, func(t *testing.T) {
			problem := invalid(t, s, asEditor(t, []byte(c.text)), "")
			if (problem == "") != c.ok {
				t.Errorf("the schema says %q, want ok=%t", problem, c.ok)
			}
			_, err := Loader{}.Parse("lab.yaml", []byte(c.text))
			if (err == nil) != c.ok {
				t.Errorf("the decoder says %v, want ok=%t", err, c.ok)
			}
		})
	}
}

// sample is a text that quantity parsers may see, and which of them take it.
type sample struct {
	text  string
	kinds string // names of parsers, with spaces
}

func samples() []sample {
	return []sample{
		{"30mbit", "rate"},
		{"1.5gbit", "rate"},
		{"800kbit", "rate"},
		{"64bit", "rate"},
		{"30ms", "time queue"},
		{"1.5s", "time queue"},
		{"200us", "time queue"},
		{"100ns", "time queue"},
		{"2m", "time queue"},
		{"64KB", "size queue"},
		{"64KiB", "size queue"},
		{"1500B", "size queue"},
		{"1GiB", "size queue"},
		{"50packets", "queue"},
		{"0.1%", "percent"},
		{"100%", "percent"},
		{"unlimited", "rate queue"},
		{"30", ""},
		{"", ""},
		{"30 mbit", ""},
		{" 30mbit", ""},
		{"30mbit ", ""},
		{"30mbit\n", ""},
		{"30Mbit", ""},
		{"-30ms", ""},
		{"+30ms", ""},
		{".5ms", ""},
		{"5.ms", ""},
		{"1e3ms", ""},
		{"1,5ms", ""},
		{"30ms5", ""},
		{"64kb", ""},
		{"50p", ""},
		{"0.1 %", ""},
		{"%", ""},
		{"ms", ""},
		{"nan", ""},
		{".inf", ""},
		{"٣٠ms", ""},
	}
}

// quantitySchemas returns whether the schema accepts a text, by kind of quantity.
func quantitySchemas() map[string]func(string) bool {
	matches := func(m measure, words ...string) func(string) bool {
		pattern := regexp.MustCompile(m.pattern())
		return func(text string) bool { return pattern.MatchString(text) || slices.Contains(words, text) }
	}
	return map[string]func(string) bool{
		"rate":    matches(rateMeasure(), Unlimited),
		"size":    matches(sizeMeasure()),
		"time":    matches(timeMeasure()),
		"percent": matches(percentMeasure()),
		"queue":   matches(queueMeasure(), Unlimited),
	}
}

// TestQuantityPatterns: parser and schema take the same samples.
func TestQuantityPatterns(t *testing.T) {
	for _, s := range samples() {
		for kind, parse := range parsers() {
			want := slices.Contains(strings.Fields(s.kinds), kind)
			if got := parse(s.text) == nil; got != want {
				t.Errorf("%s %q: the parser says %t, want %t", kind, s.text, got, want)
			}
			if got := quantitySchemas()[kind](s.text); got != want {
				t.Errorf("%s %q: the schema says %t, want %t", kind, s.text, got, want)
			}
		}
	}
}

// TestSchemaDescribes: each key has a sentence for the editor's tooltip.
func TestSchemaDescribes(t *testing.T) {
	var walk func(s map[string]any, path string)
	walk = func(s map[string]any, path string) {
		properties, _ := s["properties"].(map[string]any)
		for name, property := range properties {
			p := property.(map[string]any)
			if doc, _ := p["description"].(string); utf8.RuneCountInString(doc) < 10 {
				t.Errorf("%s.%s has the description %q", path, name, doc)
			}
			walk(p, path+"."+name)
		}
		for _, keyword := range []string{"items", "additionalProperties"} {
			if inner, ok := s[keyword].(map[string]any); ok {
				walk(inner, path+"[]")
			}
		}
		for _, one := range anyOf(s) {
			walk(one, path)
		}
	}
	walk(decodedSchema(t), "")
}

func anyOf(s map[string]any) (all []map[string]any) {
	list, _ := s["anyOf"].([]any)
	for _, one := range list {
		all = append(all, one.(map[string]any))
	}
	return all
}

// TestSchemaHasKeys: the schema has each key that the decoder reads, where it reads it.
func TestSchemaHasKeys(t *testing.T) {
	for path, want := range map[string][]string{
		"":                                  keyNames(fileKeys(nil)),
		"nodes.*":                           keyNames(nodeKeys()),
		"links.*":                           keyNames(linkKeys(nil)),
		"links.*.up":                        keyNames(directionKeys()),
		"links.*.down.jitter":               keyNames(jitterKeys()),
		"links.*.down.loss":                 keyNames(lossKeys()),
		"links.*.down.loss.gilbert-elliott": keyNames(gilbertElliottKeys()),
		"links.*.down.loss.four-state":      keyNames(fourStateKeys()),
		"links.*.down.reorder":              keyNames(reorderKeys()),
		"links.*.down.slot":                 keyNames(slotKeys()),
		"links.*.down.queue":                keyNames(queueKeys()),
		"links.*.down.mtu":                  keyNames(mtuKeys()),
		"links.*.down.capacity":             keyNames(capacityKeys()),
		"links.*.down.steps":                keyNames(stepsKeys()),
		"links.*.down.steps.*":              keyNames(stepKeys()),
		"events.*":                          keyNames(eventKeys()),
		"events.*.set":                      keyNames(changeKeys()),
		"events.*.set.up":                   keyNames(directionKeys()),
		"experiment":                        keyNames(experimentKeys()),
		"experiment.workload":               keyNames(workloadKeys()),
	} {
		got := schemaKeys(decodedSchema(t), strings.FieldsFunc(path, func(r rune) bool { return r == '.' }))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, the decoder %v", path, got, want)
		}
	}
}

// schemaKeys returns the keys at a path, in order; * is any key or item.
func schemaKeys(s map[string]any, path []string) []string {
	for _, one := range anyOf(s) {
		if keys := schemaKeys(one, path); keys != nil {
			return keys
		}
	}
	properties, _ := s["properties"].(map[string]any)
	if len(path) == 0 {
		return slices.Sorted(maps.Keys(properties))
	}
	next, _ := properties[path[0]].(map[string]any)
	for _, keyword := range []string{"items", "additionalProperties"} {
		if inner, ok := s[keyword].(map[string]any); ok && path[0] == "*" {
			next = inner
		}
	}
	if next == nil {
		return nil
	}
	return schemaKeys(next, path[1:])
}
