package emulation

import (
	"testing"
	"time"
)

func TestSlotsMakeBursts(t *testing.T) {
	s := newStory(t, Impairments{Slot: Slot{Min: 5 * ms, Max: 5 * ms, Packets: 3}})
	for range 5 {
		s.arrive(1*ms, frame)
	}
	for range 3 {
		s.wantDepart(6 * ms)
	}
	s.arrive(7*ms, frame)
	for range 3 {
		s.wantDepart(11 * ms)
	}
	s.wantIdle()
	s.arrive(15*ms, frame) // the slot planned at 11 ms opens at 16
	s.wantDepart(16 * ms)
	s.arrive(16*ms, frame) // it is still open
	s.wantDepart(16 * ms)
	s.arrive(40*ms, frame)
	s.wantDepart(45 * ms)
}

func TestSlotsByBytesAndRate(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Slot: Slot{Max: 4 * ms, Min: 4 * ms, Bytes: 2000}, Queue: Queue{Packets: 3}})
	s.arrive(0, frame) // next, and waits for its slot
	s.arrive(0, frame)
	s.arrive(0, frame)
	s.wantDrop(0, frame, DropQueue)
	s.wantDepart(5 * ms)
	s.wantDepart(6 * ms) // reaches the bytes; its start at 5 ms plans the next slot
	s.wantDepart(10 * ms)
	s.wantIdle()
}

// Slots open within their bounds, evenly.
func TestSlotTimes(t *testing.T) {
	const n = 20_000
	s := newStory(t, Impairments{Slot: Slot{Min: 2 * ms, Max: 6 * ms, Packets: 1}})
	for range n {
		s.arrive(0, frame)
	}
	var sum time.Duration
	last := Time(0)
	for range n {
		at, _ := s.d.NextDeparture()
		s.d.Dequeue(at)
		gap := at.Sub(last)
		if gap < 2*ms || gap > 6*ms {
			t.Fatalf("%v between two slots", gap)
		}
		sum += gap
		last = at
	}
	if mean := sum / n; (mean - 4*ms).Abs() > 25*time.Microsecond { // three standard errors
		t.Errorf("%v between slots on average, want 4ms", mean)
	}
}

// A packet that comes while the burst is on the wire is part of it.
func TestSlotGoesOnWhileBusy(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Slot: Slot{Min: 4 * ms, Max: 4 * ms}})
	s.arrive(0, frame)
	s.arrive(4500*time.Microsecond, frame)
	s.arrive(6500*time.Microsecond, frame) // too late: a new one
	s.wantDepart(5 * ms)
	s.wantDepart(6 * ms)
	s.wantDepart(11500 * time.Microsecond)
}
