package runner

import (
	"context"
	"time"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/results"
)

// wireRecord is a line of a series: how one direction of a wire stands.
type wireRecord struct {
	T           float64           `json:"t_ms"`
	Link        string            `json:"link"`
	Direction   string            `json:"direction"` // up or down
	Passed      uint64            `json:"passed_packets"`
	PassedBytes uint64            `json:"passed_bytes"`
	Dropped     map[string]uint64 `json:"dropped"`
	Held        int               `json:"held_packets"`
	Queue       *lab.QueueStatus  `json:"queue,omitempty"` // where the backend tells it from what is in flight
}

// lookBound is how long the wires may take to answer between two samples.
const lookBound = 50 * time.Millisecond

// addWires writes how each wire stands and what it did since the start. Wires that do
// not answer in time are left out of this sample: whether they answer at all, the
// reading after the transfer says.
func (s *samples) addWires(ctx context.Context, l Lab, series *results.Series, start []lab.WireStatus, t time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, lookBound)
	defer cancel()
	now, err := l.Wires(ctx)
	if err != nil {
		return
	}
	for _, w := range wiresSince(start, now) {
		for _, d := range [2]struct {
			name   string
			status lab.DirectionStatus
		}{{"up", w.Up}, {"down", w.Down}} {
			s.write(series, wireRecord{
				T: milliseconds(t), Link: w.Link, Direction: d.name,
				Passed: d.status.PassedPackets, PassedBytes: d.status.PassedBytes,
				Dropped: d.status.Dropped, Held: d.status.HeldPackets, Queue: d.status.Queue,
			})
		}
	}
}

func milliseconds(t time.Duration) float64 { return float64(t.Microseconds()) / 1e3 }
