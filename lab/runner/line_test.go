package runner

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/results"
)

func TestLine(t *testing.T) {
	const label = "mptcp@lte+wifi"
	running := Progress{
		Round: 1, Rounds: 3, Trial: 2, Trials: 9, Label: label, Elapsed: 1500 * time.Millisecond,
		Paths: []PathRate{{"lte", 12.34e6}, {"wifi", 950}}, BPS: 1.2e9,
	}
	cut := running
	cut.Changes = []results.Change{{TMS: 700, What: "lte: rate=5mbit", By: "hand"}, {TMS: 1450, What: "lte down", By: "timeline"}}
	later := running
	later.Elapsed += newsTime + 1
	const laterStatus = "[2/9] round 1/3  mptcp@lte+wifi  4.5s  lte 12.3 Mbit/s  wifi 950 bit/s  = 1.2 Gbit/s"
	over := Progress{Round: 1, Rounds: 3, Trial: 2, Trials: 9, Label: label, Done: &results.Trial{GoodputBPS: 5e6, Intact: true}}
	failed := over
	failed.Done = &results.Trial{Error: "it died\nof boredom"}
	const status = "[2/9] round 1/3  mptcp@lte+wifi  1.5s  lte 12.3 Mbit/s  wifi 950 bit/s  = 1.2 Gbit/s"
	tests := []struct {
		name  string
		width int
		show  []Progress
		want  string
	}{
		{"rewritten and cleared", 200, []Progress{running, running}, "\r" + status + eraseToEnd + "\r" + status + eraseToEnd + "\r" + eraseToEnd},
		{"cut to the terminal", 20, []Progress{running}, "\r" + status[:19] + eraseToEnd + "\r" + eraseToEnd},
		{"cleared after a trial", 200, []Progress{running, over}, "\r" + status + eraseToEnd + "\r" + eraseToEnd},
		{
			"the latest change for a while", 200,
			[]Progress{cut, running, later},
			"\r" + status + "  [lte down]" + eraseToEnd + "\r" + status + "  [lte down]" + eraseToEnd + "\r" + laterStatus + eraseToEnd + "\r" + eraseToEnd,
		},
		{"changes without a terminal", 0, []Progress{cut, running}, "[2/9] 0.7s  lte: rate=5mbit (by hand)\n[2/9] 1.4s  lte down\n"},
		{"no terminal", 0, []Progress{running, over, failed}, "[2/9] round 1/3  mptcp@lte+wifi  5.0 Mbit/s, intact\n[2/9] round 1/3  mptcp@lte+wifi  failed: it died; of boredom\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			l := &Line{out: &out, width: func() int { return tt.width }}
			for _, p := range tt.show {
				l.Show(p)
			}
			l.Close()
			l.Close()
			if diff := cmp.Diff(out.String(), tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if width := NewLine(file).width(); width != 0 {
		t.Errorf("a file is %d columns wide, want 0: it is no terminal", width)
	}
}
