package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/sampler"
)

// Flow is what one direction of a link did between two looks at it, and how it
// stands.
type Flow struct {
	Link      string `json:"link"`
	Direction string `json:"direction"` // up or down
	From      string `json:"from"`
	To        string `json:"to"`

	RateBPS    float64 `json:"rate_bps"` // frames that came out of the wire, bit/s
	PacketRate float64 `json:"packets_per_s"`
	Packets    uint64  `json:"packets"` // that came out
	// Dropped are the packets dropped as asked, by reason; those without any are left out.
	Dropped     map[string]uint64 `json:"dropped"`
	BackendLost uint64            `json:"backend_lost"`

	// What follows is of the moment, or of all the time since the lab came up, and
	// absent where nobody knows: the kernel does not tell a queue from packets in
	// flight, and a link without a wire holds none.
	HeldPackets int           `json:"held_packets"`
	Queue       *QueueStatus  `json:"queue,omitempty"`
	LatenessP99 time.Duration `json:"lateness_p99_ns,omitempty"`
	LatenessMax time.Duration `json:"lateness_max_ns,omitempty"`
	State       string        `json:"state,omitempty"`
}

// Sample is what the links of a lab did between two looks.
type Sample struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"` // since the look before
	Flows   []Flow    `json:"flows"`   // up, then down, of each link in topology order
}

// Watch looks at the links again and again and gives what they did to each, until
// ctx ends or each returns an error, which it returns. The end of ctx is none; that
// of the lab is one that wraps ErrNotUp.
func (l *Lab) Watch(ctx context.Context, interval time.Duration, each func(Sample) error) error {
	if interval <= 0 {
		return fmt.Errorf("watch lab %s: an interval of %v is none", l.Name(), interval)
	}
	w := watcher{lab: l}
	var err error
	if w.reader, err = sampler.Open(w.plainEnds(), l.Do); err != nil {
		return fmt.Errorf("watch lab %s: %w", l.Name(), err)
	}
	defer w.reader.Close()
	before, err := w.look(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now, err := w.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(w.since(before, now)); err != nil {
			return err
		}
		before = now
	}
}

// watcher looks at a lab: at the wires through their backend, at links without one
// through their interfaces' counters.
type watcher struct {
	lab    *Lab
	reader *sampler.Reader
}

// look is what a watcher saw at one moment.
type look struct {
	at     time.Time
	clock  time.Duration // the same on CLOCK_MONOTONIC
	wires  map[string]WireStatus
	totals sampler.Totals
}

// plainEnds returns the ends of the links without a wire.
func (w watcher) plainEnds() []sampler.Interface {
	var ends []sampler.Interface
	for _, l := range w.lab.state.Topology.Links {
		if !l.Impaired() {
			ends = append(ends, sampler.Interface{Node: l.Endpoints[0], Link: l.Name}, sampler.Interface{Node: l.Endpoints[1], Link: l.Name})
		}
	}
	return ends
}

func (w watcher) look(ctx context.Context) (look, error) {
	seen := look{wires: map[string]WireStatus{}}
	wires, err := w.lab.Wires(ctx)
	var clock unix.Timespec
	if err == nil {
		err = os.NewSyscallError("clock_gettime", unix.ClockGettime(unix.CLOCK_MONOTONIC, &clock))
	}
	seen.at, seen.clock = time.Now(), time.Duration(clock.Nano())
	for _, wire := range wires {
		seen.wires[wire.Link] = wire
	}
	if err == nil {
		seen.totals, err = w.reader.Read()
	}
	// A lab that was taken down fails in many ways; that it was is the reason.
	if current, openErr := w.lab.host.load(w.lab.Name()); openErr != nil || current.Mark != w.lab.state.Mark || current.Phase != phaseUp {
		return seen, fmt.Errorf("lab %s was taken down: %w", w.lab.Name(), errors.Join(ErrNotUp, err))
	}
	if err != nil {
		return seen, fmt.Errorf("watch lab %s: %w", w.lab.Name(), err)
	}
	return seen, nil
}

// since returns what happened between two looks.
func (w watcher) since(before, now look) Sample {
	s := Sample{At: now.at, Seconds: now.at.Sub(before.at).Seconds()}
	moved := now.totals.Sub(before.totals)
	for _, l := range w.lab.state.Topology.Links {
		for i, direction := range []string{"up", "down"} {
			f := Flow{Link: l.Name, Direction: direction, From: l.Endpoints[i], To: l.Endpoints[1-i], Dropped: map[string]uint64{}}
			bytes, seconds := uint64(0), s.Seconds
			if wire, ok := now.wires[l.Name]; ok {
				then, since := wire.way(i), before.wires[l.Name].way(i)
				bytes = f.add(since, then)
				seconds = (now.counted(then) - before.counted(since)).Seconds()
			} else {
				got := moved[sampler.Interface{Node: f.To, Link: l.Name}]
				bytes, f.Packets = got.RxBytes, got.RxPackets
			}
			if seconds > 0 {
				f.RateBPS, f.PacketRate = float64(bytes)*8/seconds, float64(f.Packets)/seconds
			}
			s.Flows = append(s.Flows, f)
		}
	}
	return s
}

// stale is how old a count of a busy wire is at most.
const stale = 100 * time.Millisecond

// counted returns when a direction's figures were counted: a backend's answer takes
// a while on a busy machine. What is old is what an idle wire said last, and still
// true at the look.
func (l look) counted(d DirectionStatus) time.Duration {
	if d.At > l.clock-stale {
		return d.At
	}
	return l.clock
}

// way returns the direction up (0) or down (1).
func (w WireStatus) way(i int) DirectionStatus {
	if i == 0 {
		return w.Up
	}
	return w.Down
}

// add takes in what a wire's direction did between two looks, and returns the bytes
// that came out. A counter that went back, as a new relay's does, gives zero.
func (f *Flow) add(before, now DirectionStatus) uint64 {
	sub := func(a, b uint64) uint64 { return a - min(a, b) }
	f.Packets = sub(now.PassedPackets, before.PassedPackets)
	f.BackendLost = sub(now.BackendLost, before.BackendLost)
	for reason, n := range now.Dropped {
		if n := sub(n, before.Dropped[reason]); n > 0 {
			f.Dropped[reason] = n
		}
	}
	f.HeldPackets, f.Queue, f.State = now.HeldPackets, now.Queue, now.State
	f.LatenessP99, f.LatenessMax = now.LatenessP99, now.LatenessMax
	return sub(now.PassedBytes, before.PassedBytes)
}
