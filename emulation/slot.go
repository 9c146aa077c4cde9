package emulation

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Slot makes packets leave the queue in bursts, as media do that aggregate (Wi-Fi,
// LTE, cable). A burst starts a random time in [Min, Max] after the one before it
// was used up, or after the arrival of the packet that finds no burst going on; it
// carries up to Packets packets and ends with the one that reaches Bytes. The times
// and limits are netem's slot, but packets wait in the queue and not behind it. The
// zero value is off.
type Slot struct {
	Min     time.Duration `json:"min_ns,omitempty"`
	Max     time.Duration `json:"max_ns,omitempty"`
	Packets int           `json:"packets,omitempty"` // zero: any number
	Bytes   ByteCount     `json:"bytes,omitempty"`   // zero: any number
}

func (s Slot) validate() error {
	if s == (Slot{}) {
		return nil
	}
	var errs []error
	if s.Min < 0 || s.Max <= 0 || s.Min > s.Max || s.Max > MaxDelay {
		errs = append(errs, fmt.Errorf("slot from %v to %v: want 0 <= min <= max <= %v and a max", s.Min, s.Max, MaxDelay))
	}
	if s.Packets < 0 || s.Bytes < 0 {
		errs = append(errs, errors.New("slot's packets or bytes are negative"))
	}
	return errors.Join(errs...)
}

// gate is the slots of a direction in the course of time.
type gate struct {
	slot    Slot
	random  *rand.Rand
	opens   Time // the current burst
	packets int  // that it still takes
	bytes   ByteCount
}

// set changes the slots; a burst that is planned stays.
func (g *gate) set(slot Slot, seed Seed) {
	if slot == (Slot{}) || slot == g.slot {
		g.slot = slot
		return
	}
	if g.random == nil {
		g.random = seed.stage("slot")
		g.opens = math.MinInt64
	}
	g.slot = slot
	g.fill()
}

// open returns from when on a packet may go that arrived at arrived, where free is
// the end of the packet before it. It draws at most once, however often it is asked.
func (g *gate) open(arrived, free Time) Time {
	if arrived > max(g.opens, free) {
		g.plan(arrived)
	}
	return max(g.opens, arrived)
}

// use counts a packet that started at start.
func (g *gate) use(start Time, size ByteCount) {
	g.packets--
	g.bytes -= size
	if g.packets <= 0 || g.bytes <= 0 {
		g.plan(start)
	}
}

// plan makes the next burst start a random time after from.
func (g *gate) plan(from Time) {
	wait := g.slot.Min + time.Duration(g.random.Int64N(int64(g.slot.Max-g.slot.Min)+1))
	g.opens = from.Add(wait)
	g.fill()
}

func (g *gate) fill() {
	g.packets, g.bytes = math.MaxInt, math.MaxInt64
	if g.slot.Packets > 0 {
		g.packets = g.slot.Packets
	}
	if g.slot.Bytes > 0 {
		g.bytes = g.slot.Bytes
	}
}
