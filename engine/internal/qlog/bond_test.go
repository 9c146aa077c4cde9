package qlog_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/qlog"
	"github.com/tquiclab/tquiclab/engine/sim"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// between is a link, the same both ways.
func between(name string, number byte, rtt time.Duration) sim.Link {
	way := emulation.Impairments{Rate: 20e6, Delay: rtt / 2, Queue: emulation.Queue{Time: 30 * time.Millisecond}}
	return sim.Link{
		Name: name, Up: way, Down: way,
		Client: netip.AddrFrom4([4]byte{10, 1, number, 1}), Server: netip.AddrFrom4([4]byte{10, 1, number, 2}),
	}
}

// download returns the records of both sides of a download over the links, each held
// against the schemas.
func download(t *testing.T, links ...sim.Link) (client, server []string) {
	t.Helper()
	dir := t.TempDir()
	r, err := sim.Run(t.Context(), sim.Config{
		Links: links, Seed: 1, Bulk: workload.Bulk{Seed: 2, Bytes: 8e6, Streams: 1}, Sender: sim.Server,
		QLOG: dir, Bound: time.Hour,
	})
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	read := func(side string) []string {
		files, err := filepath.Glob(filepath.Join(dir, "*_"+side+".sqlog"))
		if err != nil || len(files) != 1 {
			t.Fatalf("files of the %s: %v, %v", side, files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		return qlog.ReadRecords(t, text)[1:]
	}
	return read("client"), read("server")
}

// record is what these tests look at of one.
type record struct {
	Tuple, Name string
	Data        struct {
		PathID    *int   `json:"path_id"`
		TupleID   string `json:"tuple_id"`
		From      *int   `json:"from_path_id"`
		Length    int
		New       any
		Trigger   string
		Trains    int
		Initiator string
	}
}

func parse(t *testing.T, texts []string) []record {
	t.Helper()
	records := make([]record, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &records[i]); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

// ofPath are the events that tell their path.
var ofPath = map[string]bool{
	"quic:packet_sent": true, "quic:packet_received": true, "quic:packet_dropped": true, "quic:packet_lost": true,
	"quic:recovery_metrics_updated": true, "quic:congestion_state_updated": true, "quic:mtu_updated": true,
	"quic:ecn_state_updated": true, "quic:migration_state_updated": true, "tquiclab:path_state_updated": true,
}

// checkPathIDs checks that each event of a path tells which once both sides' parameters
// are known, as its tuple does, and returns how many events each path has by name.
func checkPathIDs(t *testing.T, records []record) map[int]map[string]int {
	t.Helper()
	n, assigned, sides := map[int]map[string]int{}, map[string]bool{}, map[string]bool{}
	for i, r := range records {
		switch r.Name {
		case "quic:parameters_set":
			sides[r.Data.Initiator] = true
		case "quic:tuple_assigned":
			assigned[r.Data.TupleID] = true
		}
		if !assigned[r.Tuple] && i > 0 {
			t.Fatalf("record %d, %s: tuple %q has no addresses yet", i, r.Name, r.Tuple)
		}
		if !ofPath[r.Name] {
			continue
		}
		id := r.Data.PathID
		if (id != nil) != (len(sides) == 2) {
			t.Fatalf("record %d, %s: path_id is there: %v, the parameters of %d sides are known", i, r.Name, id != nil, len(sides))
		}
		if id == nil {
			continue
		}
		if tuple := map[int]string{0: "", 1: "1"}[*id]; tuple != r.Tuple {
			t.Fatalf("record %d, %s: path %d with tuple %q", i, r.Name, *id, r.Tuple)
		}
		if n[*id] == nil {
			n[*id] = map[string]int{}
		}
		n[*id][r.Name]++
	}
	return n
}

// A download over two links, one of which is silent for a while: the file tells what each
// path was, what was chosen, and what was sent again.
func TestTwoPaths(t *testing.T) {
	a, b := between("a", 1, 20*time.Millisecond), between("b", 2, 40*time.Millisecond)
	hole := emulation.Timeline{
		{At: 500 * time.Millisecond, Patch: emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: true}}},
		{At: 1500 * time.Millisecond, Patch: emulation.Patch{Fields: emulation.FieldBlackhole}},
	}
	b.UpTimeline, b.DownTimeline = hole, hole
	client, server := download(t, a, b)
	for side, texts := range map[string][]string{"client": client, "server": server} {
		n := checkPathIDs(t, parse(t, texts))
		for _, id := range []int{0, 1} {
			for _, name := range []string{"quic:packet_sent", "quic:packet_received", "quic:recovery_metrics_updated", "tquiclab:path_state_updated"} {
				if n[id][name] == 0 {
					t.Errorf("the %s's path %d has no %s", side, id, name)
				}
			}
		}
	}
	var states []any
	again, picked, trains := map[string]int{}, map[int]int{}, 0
	for _, r := range parse(t, server) {
		switch {
		case r.Name == "tquiclab:path_state_updated" && *r.Data.PathID == 1:
			states = append(states, r.Data.New)
		case r.Name == "tquiclab:data_reinjected" && *r.Data.From == 1:
			again[r.Data.Trigger] += r.Data.Length
		case r.Name == "tquiclab:scheduling_updated" && r.Data.PathID != nil:
			picked[*r.Data.PathID]++
			trains += r.Data.Trains
		}
	}
	i := slices.Index(states, any("dead"))
	if len(states) < 2 || states[0] != "validating" || states[1] != "active" || i < 2 || states[i-1] != "suspect" || !slices.Contains(states[i:], any("active")) {
		t.Errorf("the server's path 1 was %v: want it validated, suspect, dead and active again", states)
	}
	if again["path_silent"] == 0 {
		t.Errorf("bytes of path 1 that are sent again: %v, want some as it is silent", again)
	}
	if picked[0] == 0 || picked[1] == 0 || trains < picked[0]+picked[1]-1 {
		t.Errorf("the paths were chosen anew %v times, for %d trains: want both, and a train for each at least", picked, trains)
	}
}

// The file of a single path is as it was: nothing in it is of our own.
func TestSinglePath(t *testing.T) {
	client, server := download(t, between("a", 1, 20*time.Millisecond))
	for _, text := range slices.Concat(client, server) {
		if strings.Contains(text, "path_id") || strings.Contains(text, "tquiclab:") {
			t.Fatalf("of a single path: %s", text)
		}
	}
}
