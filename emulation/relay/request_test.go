package relay

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

// idle returns a relay whose wires' interfaces are gone, by the links' names.
func idle(links ...string) *relay {
	r := &relay{closing: make(chan struct{})}
	start := newStart(true)
	r.start.Store(start)
	for _, name := range links {
		w := &wire{link: name, spec: Wire{Link: name}}
		for way := range w.directions {
			w.directions[way] = &forwarder{ended: make(chan struct{})}
			close(w.directions[way].ended)
			r.mirrors = append(r.mirrors, newMirror(w.spec, way, start))
		}
		r.wires = append(r.wires, w)
	}
	return r
}

// Whatever a client sends, it gets an answer, and what it says is checked before a
// forwarder hears of it.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"op":"ping"}`, `{"op":"arm","seed":18446744073709551615}`, `{"op":"start","at_ns":-1}`, `{"op":"started"}`,
		`{"op":"set","settings":[{"link":"a","way":"up","patch":{"fields":["rate"],"values":{"rate_bps":5}}}]}`,
		`{"op":"set","settings":[{"link":"a","patch":{"fields":["capacity","steps","jitter","lose-packets"],"values":{"capacity_ms":[1,2],
"steps":{"columns":3,"steps":[{"at_ns":0}],"period_ns":1},"jitter_table":[1],"jitter_distribution":"table","lose_packets":[0]}}}]}`,
		`{"op":"set","settings":[{"link":"a","patch":{"fields":["queue","slot","reorder"],"values":{"queue":{"time_ns":-1,"discipline":"codel"}}}}]}`,
		`{"op":"drops"}`, `[]`, `{"op":{}}`, ``, `{"op":"ping"}{}`, `{"op":"set","settings":[null,{}]}`,
	} {
		f.Add([]byte(s))
	}
	r := idle("a", "b")
	f.Fuzz(func(t *testing.T, line []byte) {
		req, err := decodeRequest(line)
		if err != nil {
			return
		}
		settings, err := req.settings()
		if err != nil {
			return
		}
		patches, err := r.patches(settings)
		if err != nil {
			return
		}
		for lane, p := range patches {
			m := r.mirrors[lane].clone()
			if m.check(p) != nil {
				continue
			}
			d, err := emulation.NewDirection(m.player.Patch(p), emulation.Seed{})
			if err != nil {
				t.Fatalf("%s was found possible: %v", line, err)
			}
			d.Start(0)
			for at := range emulation.Time(3) {
				d.Enqueue(at*1e6, emulation.Packet{Size: 1514, IPSize: 1500})
				d.Dequeue(at * 1e6)
			}
		}
	})
}

func TestDecodeRequest(t *testing.T) {
	setting := func(s string) string { return `{"op":"set","settings":[` + s + `]}` }
	for _, tc := range []struct{ name, line, want string }{
		{"no JSON", "counters", "not a JSON request"},
		{"a field too many", `{"op":"ping","x":1}`, `unknown field "x"`},
		{"two in a line", `{"op":"ping"} {"op":"ping"}`, "something follows"},
		{"too many changes", setting(strings.Repeat("0,", maxSettings) + "0"), "4097 changes are more than 4096"},
		{"seed out of range", `{"op":"arm","seed":-1}`, "not a JSON request"},
		{"change with a field too many", setting(`{"link":"a","wey":"up"}`), `change 1: json: unknown field "wey"`},
		{"unknown field of impairments", setting(`{"link":"a","patch":{"fields":["speed"]}}`), `field "speed" is unknown`},
		{"unknown value", setting(`{"link":"a","patch":{"fields":["rate"],"values":{"rte":1}}}`), `unknown field "rte"`},
		{"no link", setting(`{"patch":{"fields":["rate"]}}`), `link "" has no wire here`},
		{"unknown link", setting(`{"link":"z","patch":{"fields":["rate"]}}`), `link "z" has no wire here`},
		{"unknown way", setting(`{"link":"a","way":"left","patch":{"fields":["rate"]}}`), `way "left" is unknown`},
		{"nothing to change", setting(`{"link":"a","patch":{"fields":[]}}`), "changes nothing"},
		{"no change", setting(""), "no change"},
		{"each is named", setting(`{"link":"y","patch":{"fields":["rate"]}},{"link":"z","patch":{"fields":["rate"]}}`), "y\" has no wire here\nlink \"z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := decodeRequest([]byte(tc.line))
			var settings []Setting
			if err == nil {
				settings, err = req.settings()
			}
			if err == nil {
				_, err = idle("a").patches(settings)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestSettingJSON(t *testing.T) {
	want := Setting{Link: "lte", Way: "up", Patch: emulation.Patch{
		Fields: emulation.FieldQueue | emulation.FieldMTU,
		Values: emulation.Impairments{Queue: emulation.Queue{Packets: 5, Discipline: emulation.DropHead}, MTU: 1300, TooBig: emulation.TooBigICMP},
	}}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Setting
	if err := decodeStrict(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("setting (-want +got):\n%s", diff)
	}
}

func TestPatchesOfSettings(t *testing.T) {
	rate := func(r emulation.Rate) emulation.Patch {
		return emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: r}}
	}
	got, err := idle("a", "b").patches([]Setting{
		{Link: "b", Patch: rate(1)},
		{Link: "b", Way: "down", Patch: rate(2)},
		{Link: "a", Way: "up", Patch: rate(3)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[int]emulation.Patch{0: rate(3), 2: rate(1), 3: rate(2)}, got); diff != "" {
		t.Errorf("patches by lane (-want +got):\n%s", diff)
	}
}
