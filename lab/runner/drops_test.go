package runner

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/results"
)

// lines returns the lines of a series that have a key, decoded.
func lines[V any](t *testing.T, path, key string) []V {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []V
	for s := bufio.NewScanner(f); s.Scan(); {
		if !strings.Contains(s.Text(), `"`+key+`"`) {
			continue
		}
		var v V
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		all = append(all, v)
	}
	return all
}

// checkDrops holds a trial's log of drops against its counters: those of the link that
// carried the data, in the direction of the data, some of them for one reason at least.
func checkDrops(t *testing.T, c Config, s results.Summary, link, way, reason string) {
	t.Helper()
	series, err := filepath.Glob(filepath.Join(c.Folder.Dir(), "series", "*-drops.jsonl"))
	if err != nil || len(series) != 1 {
		t.Fatalf("series of drops: %v, %v; want one", series, err)
	}
	logged := map[string]uint64{}
	var last int64
	for _, d := range lines[lab.Drop](t, series[0], "reason") {
		if d.Link != link || d.Way != way {
			continue
		}
		logged[d.Reason]++
		if d.SinceStart == nil || *d.SinceStart < last || d.Size == 0 {
			t.Fatalf("drop %+v after %v: want times that ascend, and a size", d, time.Duration(last))
		}
		last = *d.SinceStart
		if d.Reason == "queue" && d.QueuedPackets == 0 {
			t.Errorf("dropped for a full queue with nothing in it: %+v", d)
		}
	}
	counted := s.Trials[0].Paths[0].Drops
	for reason, n := range counted {
		// The log also has the handshake, which is before the counting.
		if logged[reason] < n {
			t.Errorf("%d drops of reason %s are logged, %d counted: %v, %v", logged[reason], reason, n, logged, counted)
		}
	}
	if counted[reason] == 0 {
		t.Errorf("no drop is for the reason %s: the test shows nothing: %v", reason, counted)
	}
}

func TestDropsAreLogged(t *testing.T) {
	l := newLab(t)
	c := testConfig(t, l, "tcp@wifi")
	c.Experiment.Rounds, c.Drops = 1, true
	c.Experiment.Workload.Bytes, c.Experiment.Workload.Duration = 0, 2*time.Second
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	checkDrops(t, c, s, "wifi", "down", "queue")

	samples, err := filepath.Glob(filepath.Join(c.Folder.Dir(), "series", "*-tcp.jsonl"))
	if err != nil || len(samples) != 1 {
		t.Fatalf("series: %v, %v", samples, err)
	}
	wires := lines[wireRecord](t, samples[0], "passed_packets")
	full := func(w wireRecord) bool {
		return w.Link == "wifi" && w.Direction == "down" && w.Queue != nil && w.Queue.Packets > 0 && w.Queue.Delay > 0
	}
	if len(wires) < 8 || !slices.ContainsFunc(wires, full) {
		t.Errorf("%d samples of wires, none with a queue: %+v", len(wires), wires)
	}
}

func TestDropsAreLoggedInVirtualTime(t *testing.T) {
	c := simConfig(t, "tquic@wifi")
	c.Drops = true
	c.Topology.Links[1].Down.Loss = 0.01
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	checkDrops(t, c, s, "wifi", "down", "loss")
}

func TestDropsNeedTheRelay(t *testing.T) {
	c := testConfig(t, &noLab{}, "tcp")
	c.Drops = true
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "no lab") {
		t.Errorf("Run = %v, want what CheckDrops says", err)
	}
}
