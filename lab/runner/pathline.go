package runner

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/results"
)

// pathReports holds what the sender's engine last said of its paths, until a sample
// takes it. Its methods may be called from several goroutines.
type pathReports struct {
	mu    sync.Mutex
	paths []engine.PathStats // nil: nothing new
}

// report takes what the sender said.
func (r *pathReports) report(at agent.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paths = at.Paths
}

// take returns what came since the last call, or nil.
func (r *pathReports) take() []engine.PathStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	paths := r.paths
	r.paths = nil
	return paths
}

// pathLine is a line of a series: what the sender's engine says of one of its paths,
// all connections together. Counts are those since they were opened. In a lab it
// is up to a sample older than its time says.
type pathLine struct {
	Kind            string  `json:"kind"` // "path"
	T               float64 `json:"t_ms"`
	Link            string  `json:"link"`
	SRTTMS          float64 `json:"srtt_ms,omitempty"`
	CWNDBytes       uint64  `json:"cwnd_bytes,omitempty"`
	InFlightBytes   uint64  `json:"in_flight_bytes,omitempty"`
	SentPackets     uint64  `json:"sent_packets,omitempty"`
	LostPackets     uint64  `json:"lost_packets,omitempty"` // as the engine took it
	ReinjectedBytes uint64  `json:"reinjected_bytes,omitempty"`
	SchedulerPicks  uint64  `json:"scheduler_picks,omitempty"`
	Dead            bool    `json:"dead,omitempty"`
}

// addPaths writes a line for each path.
func (s *samples) addPaths(series *results.Series, at time.Duration, paths []engine.PathStats) {
	for _, p := range paths {
		s.write(series, pathLine{
			Kind: "path", T: milliseconds(at), Link: p.Link,
			SRTTMS:    float64(p.SRTT) / float64(time.Millisecond),
			CWNDBytes: p.CongestionWindow, InFlightBytes: p.BytesInFlight,
			SentPackets: p.SentPackets, LostPackets: p.LostPackets,
			ReinjectedBytes: p.ReinjectedBytes, SchedulerPicks: p.Picks, Dead: p.Dead,
		})
	}
}

// engineSays fills in what only the engine knows of a path.
func engineSays(t *results.TrialPath, sessions []engine.Stats) {
	var lost, sent, picks uint64
	for p := range pathStats(sessions, t.Link) {
		lost += p.LostPackets
		sent += p.SentPackets
		picks += p.Picks
		t.ReinjectedBytes += p.ReinjectedBytes
		t.Dead = t.Dead || p.Dead
	}
	t.SRTTMS = srtt(sessions, t.Link)
	if sent > 0 { // who counts no packets knows of no loss
		t.DeclaredLost = &lost
	}
	// A scheduler picks some path: an engine that tells of no pick on any does not count.
	if sum(sessions, func(p engine.PathStats) uint64 { return p.Picks }) > 0 {
		t.SchedulerPicks = &picks
	}
}

// unlikeAsked says what the engine runs with in place of what the arm asks for.
func unlikeAsked(name string, chosen choice, used []engine.Stats) []string {
	var warnings []string
	for _, s := range used {
		for _, c := range []struct{ what, asked, used string }{
			{schedulerWord, chosen.scheduler, s.Scheduler},
			{congestionWord, chosen.congestion, s.Congestion},
		} {
			if c.asked != "" && c.used != "" && c.asked != c.used {
				warnings = append(warnings, fmt.Sprintf("%s: the %s in use was %s, not %s", name, c.what, c.used, c.asked))
			}
		}
	}
	slices.Sort(warnings)
	return slices.Compact(warnings)
}
