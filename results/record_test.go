package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ptr[T any](v T) *T { return &v }

// filledSummary has no zero in any field, so that nothing can hide behind
// omitempty.
func filledSummary() Summary {
	usage := Usage{
		CPUS: 0.5, CPUSPerGbit: 0.64, AllocsPerPacket: ptr(0.1), AllocBytesPerPacket: ptr(4.0),
		CopiesPerByte: ptr(1.0), PeakRSSBytes: 30e6, GCCycles: 3,
	}
	arm := Arm{
		Engine: "tquic", Paths: []string{"lte", "wifi"}, Scheduler: "minrtt", Congestion: "cubic",
		Transmit: "zerocopy", Streams: 1, Connections: 1, MTU: 1400,
	}
	return Summary{
		Schema: Schema, Lab: "lte-wifi", TopologySHA256: "5b3c", Backend: "relay", Seed: 1, Complete: true,
		Trials: []Trial{{
			Round: 1, Order: 1, Arm: arm, GoodputBPS: 78.1e6, Bytes: 97625000, DurationS: 10, Intact: true,
			AggregationBenefit: ptr(0.92),
			Paths: []TrialPath{{
				Link: "lte", GoodputBPS: 29.7e6, Share: 0.38, SRTTMS: ptr(61.5), LostPackets: ptr(uint64(12)),
				Drops: map[string]uint64{"loss": 12}, SentPackets: 30000, ReinjectedBytes: 1400,
			}},
			Latency: &Latency{P50: 30, P99: 90, P999: 120, Max: 180}, StallMaxMS: 41,
			Stalls: []Stall{{AtMS: 5012, MS: 41}}, ClockTMS: ptr(-80.5),
			Sender: usage, Receiver: usage, StolenS: 0.01,
			Changes: []Change{{TMS: 1200, What: "lte down", By: "timeline", LateMS: 0.1, Error: "none"}},
		}},
		Arms: []ArmSummary{{
			Arm:     arm,
			Goodput: Estimate{Median: 78.1e6, Lo: ptr(77e6), Hi: ptr(79e6), Min: 76e6, Max: 80e6, N: 6},
			Failed:  1, AggregationBenefit: ptr(0.92),
		}},
		Calibration: []Calibration{{Link: "lte", Direction: "up", OK: true}},
		Warnings:    []string{"an example"},
	}
}

// The names that other tools read are those of the schema's example: every key of
// it is in what we write, with a value of the same kind.
func TestSummaryHasEveryNameOfTheSchema(t *testing.T) {
	data, err := os.ReadFile("testdata/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	want := kinds(t, data)
	if len(want) < 50 {
		t.Fatalf("the fixture has %d keys, too few to be the schema's example", len(want))
	}
	var buf bytes.Buffer
	if err := filledSummary().WriteJSON(&buf); err != nil {
		t.Fatal(err)
	}
	got := kinds(t, buf.Bytes())
	for key, kind := range want {
		if got[key] != kind {
			t.Errorf("%s: got %q, want %q", key, got[key], kind)
		}
	}
}

// And what the example says is read into the fields: decoded and written again,
// no value of it is lost.
func TestSummaryReadsTheSchemasExample(t *testing.T) {
	data, err := os.ReadFile("testdata/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := decodeSummary(data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	got, want := values(t, again), values(t, data)
	for key, v := range want {
		if got[key] != v {
			t.Errorf("%s: got %v, want %v", key, got[key], v)
		}
	}
}

func TestEmptyListsAreNotNull(t *testing.T) {
	data, err := json.Marshal(Summary{Trials: []Trial{{}}, Arms: []ArmSummary{{}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{`"calibration":[]`, `"warnings":[]`, `"paths":[]`} {
		if !strings.Contains(string(data), list) {
			t.Errorf("%s is missing in %s", list, data)
		}
	}
	if n := strings.Count(string(data), `"paths":[]`); n != 3 {
		t.Errorf("got %d empty paths, want 3 (trial, its arm, the arm): %s", n, data)
	}
	empty, err := json.Marshal(Summary{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(empty), `"trials":[],"arms":[]`) {
		t.Errorf("empty trials and arms are missing in %s", empty)
	}
}

func TestWriteJSONRefusesWhatIsNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			s := filledSummary()
			s.Trials[0].Paths[0].Share = bad
			var buf bytes.Buffer
			err := s.WriteJSON(&buf)
			if err == nil || !strings.Contains(err.Error(), "never NaN") {
				t.Errorf("got error %v, want one that names the rule", err)
			}
			if buf.Len() != 0 {
				t.Errorf("%d bytes were written all the same", buf.Len())
			}
		})
	}
}

// kinds returns the JSON kind of every key, by its path; elements of a list share
// one path.
func kinds(t *testing.T, data []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	walk(t, data, func(key string, v any) { out[key] = fmt.Sprintf("%T", v) })
	return out
}

// values returns every leaf by its path.
func values(t *testing.T, data []byte) map[string]any {
	t.Helper()
	out := map[string]any{}
	walk(t, data, func(key string, v any) {
		switch v.(type) {
		case map[string]any, []any:
		default:
			out[key] = v
		}
	})
	return out
}

func walk(t *testing.T, data []byte, visit func(key string, v any)) {
	t.Helper()
	var root any
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	var step func(key string, v any)
	step = func(key string, v any) {
		if key != "" {
			visit(key, v)
		}
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				step(strings.TrimPrefix(key+"."+k, "."), e)
			}
		case []any:
			for _, e := range v {
				step(key+"[]", e)
			}
		}
	}
	step("", root)
}

func TestArmEqual(t *testing.T) {
	base := filledSummary().Arms[0].Arm
	if !base.Equal(filledSummary().Arms[0].Arm) {
		t.Error("an arm differs from its copy")
	}
	changes := map[string]func(*Arm){
		"engine":      func(a *Arm) { a.Engine = "tcp" },
		"paths":       func(a *Arm) { a.Paths = []string{"lte"} },
		"path order":  func(a *Arm) { a.Paths = []string{"wifi", "lte"} },
		"scheduler":   func(a *Arm) { a.Scheduler = "blest" },
		"congestion":  func(a *Arm) { a.Congestion = "bbr" },
		"transmit":    func(a *Arm) { a.Transmit = "copy" },
		"streams":     func(a *Arm) { a.Streams = 2 },
		"connections": func(a *Arm) { a.Connections = 2 },
		"mtu":         func(a *Arm) { a.MTU = 1500 },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			other := base
			other.Paths = slices.Clone(base.Paths)
			change(&other)
			if base.Equal(other) {
				t.Errorf("arms are equal:\n%s", cmp.Diff(base, other))
			}
		})
	}
}

// A figure of a link that lets nothing through is not measured: null, and NaN again when
// it is read. The others stay numbers.
func TestCalibrationOfASilentLink(t *testing.T) {
	in := []CalibrationCheck{{Name: "delay", Unit: "ms", Want: 35, Got: math.NaN()}, {Name: "loss", Got: 1, OK: true}}
	data, err := json.Marshal(in)
	if err != nil || !strings.Contains(string(data), `"got":null`) || !strings.Contains(string(data), `"want":35`) || !strings.Contains(string(data), `"got":1`) {
		t.Fatalf("%s, %v", data, err)
	}
	var out []CalibrationCheck
	if err := json.Unmarshal(data, &out); err != nil || !math.IsNaN(out[0].Got) || out[0].Want != 35 || out[1] != in[1] {
		t.Errorf("read again: %+v, %v", out, err)
	}
}
