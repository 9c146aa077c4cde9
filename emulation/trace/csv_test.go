package trace

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestReadCSV(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       *emulation.Schedule
		err        string // part of it; empty: none
	}{
		{
			"all columns", "time_s,rate_mbit,delay_ms,loss_percent\n0,10,20.5,1\n1.5, 0 ,30,50\n2,1e-6,0,0\n",
			&emulation.Schedule{
				Columns: emulation.StepRate | emulation.StepDelay | emulation.StepLoss,
				Steps: []emulation.Step{
					{Rate: 10e6, Delay: 20500 * time.Microsecond, Loss: 0.01},
					{At: 1500 * time.Millisecond, Delay: 30 * time.Millisecond, Loss: 0.5},
					{At: 2 * time.Second, Rate: 1},
				},
			},
			"",
		},
		{
			"rate alone, any order, comments", "# recorded\n\nrate_kbit,time_ms\n# begins\n500,0\n8,20\n",
			&emulation.Schedule{Columns: emulation.StepRate, Steps: []emulation.Step{{Rate: 500e3}, {At: 20 * time.Millisecond, Rate: 8e3}}},
			"",
		},
		{"no header", "", nil, "f.csv: there is no header"},
		{"ends in an outage", "time_s,rate_mbit\n0,1\n1,0\n", nil, "never ends"},
		{"header alone", "time_s,loss_percent\n", nil, "0 steps"},
		{"no unit", "time,rate_mbit\n", nil, `f.csv:1: column "time": want time_ and one of ns, us, ms, s`},
		{"wrong unit", "time_s,rate_mb\n", nil, `column "rate_mb": want rate_ and one of bit, kbit, mbit, gbit`},
		{"unknown column", "time_s,jitter_ms\n", nil, `column "jitter_ms"`},
		{"column twice", "time_s,rate_bit,rate_mbit\n", nil, "second time"},
		{"no time", "rate_mbit\n1\n", nil, "want time and one"},
		{"time alone", "time_s\n1\n", nil, "want time and one"},
		{"cells", "time_s,rate_mbit\n0\n", nil, "f.csv:2: 1 cells: want 2"},
		{"no number", "time_s,rate_mbit\n0,fast\n", nil, `f.csv:2: rate "fast"`},
		{"NaN", "time_s,loss_percent\n0,NaN\n", nil, `f.csv:2: loss "NaN"`},
		{"infinite", "time_s,rate_mbit\n0,Inf\n", nil, `f.csv:2: rate "Inf"`},
		{"negative", "time_s,delay_ms\n0,-1\n", nil, `f.csv:2: delay "-1"`},
		{"above one", "time_s,loss_percent\n0,101\n", nil, "want a number from 0 to 100"},
		{"late start", "time_s,rate_mbit\n1,1\n", nil, "f.csv:2: step at 1s: want the first at 0"},
		{"not ascending", "time_s,rate_mbit\n0,1\n2,1\n2,1\n", nil, "f.csv:4: step at 2s: want a time after 2s"},
		{"all at once", "time_s,rate_mbit\n0,x\n0,1\n0,y\n", nil, "f.csv:4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ReadCSV("f.csv", strings.NewReader(tc.text))
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("got %v, want %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); tc.err == "" && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzReadCSV(f *testing.F) {
	for _, s := range []string{
		"time_s,rate_mbit\n0,1\n1,2\n", "time_ns,loss_fraction\n0,1\n", "time_s\n", "#\n\n", "time_s,delay_ms\n0,3600001\n", "time_ns,rate_bit\n0,1e300\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ReadCSV("f", bytes.NewReader(data))
		if err != nil {
			return
		}
		if err := got.Validate(); err != nil {
			t.Fatalf("read an invalid schedule: %v", err)
		}
	})
}
