package emulation

import (
	"strings"
	"testing"
	"time"
)

// ip is a packet of that many bytes for a capacity trace.
func ip(size int) Packet { return Packet{Size: ByteCount(size + 14), IPSize: size} }

// Mahimahi's accounting, by hand: what arrives when, and when it leaves.
func TestMahimahiAccounting(t *testing.T) {
	type arrival struct {
		at   time.Duration
		size int
	}
	for _, tc := range []struct {
		name     string
		trace    Trace
		arrivals []arrival
		want     []time.Duration
	}{
		{"an opportunity each", Trace{1, 2, 5}, []arrival{{0, 1500}, {0, 1500}, {0, 1500}}, []time.Duration{1 * ms, 2 * ms, 5 * ms}},
		{"several small ones in one", Trace{3, 9}, []arrival{{0, 500}, {0, 500}, {0, 500}, {0, 1}}, []time.Duration{3 * ms, 3 * ms, 3 * ms, 9 * ms}},
		{"one across two", Trace{3, 9}, []arrival{{0, 1000}, {0, 1000}, {0, 1000}}, []time.Duration{3 * ms, 9 * ms, 9 * ms}},
		{"large across three", Trace{1, 2, 4}, []arrival{{0, 3001}}, []time.Duration{4 * ms}},
		{"two in one millisecond", Trace{2, 2, 7}, []arrival{{0, 1500}, {0, 1500}, {0, 1500}}, []time.Duration{2 * ms, 2 * ms, 7 * ms}},
		{"unused ones are lost", Trace{1, 2, 3, 10}, []arrival{{2500 * time.Microsecond, 1500}, {2500 * time.Microsecond, 1500}}, []time.Duration{3 * ms, 10 * ms}},
		{"the rest of one is lost when nothing waits", Trace{1, 5}, []arrival{{0, 100}, {2 * ms, 100}}, []time.Duration{1 * ms, 5 * ms}},
		{"what is due goes before the arrival", Trace{1, 5}, []arrival{{1 * ms, 100}}, []time.Duration{5 * ms}},
		{"later in its millisecond", Trace{1, 1, 5}, []arrival{{0, 1500}, {1 * ms, 100}}, []time.Duration{1 * ms, 5 * ms}},
		{"wraps with the last as the period", Trace{0, 4}, []arrival{{0, 1500}, {0, 1500}, {0, 1500}, {0, 1500}}, []time.Duration{4 * ms, 4 * ms, 8 * ms, 8 * ms}},
		{"wraps over idle periods", Trace{1, 4}, []arrival{{101 * ms, 1500}, {104 * ms, 1500}}, []time.Duration{104 * ms, 105 * ms}},
		{"empty packet", Trace{3, 4}, []arrival{{0, 0}, {0, 1500}, {0, 0}}, []time.Duration{3 * ms, 3 * ms, 4 * ms}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStory(t, Impairments{Capacity: &tc.trace})
			s.d.Start(0)
			var got []time.Duration
			for _, a := range tc.arrivals {
				for at, ok := s.d.NextDeparture(); ok && at <= Time(a.at); at, ok = s.d.NextDeparture() {
					s.d.Dequeue(at)
					got = append(got, time.Duration(at))
				}
				if v := s.d.Enqueue(Time(a.at), ip(a.size)); !v.Accepted {
					t.Fatalf("packet at %v was dropped for %v", a.at, v.Reason)
				}
			}
			for at, ok := s.d.NextDeparture(); ok; at, ok = s.d.NextDeparture() {
				s.d.Dequeue(at)
				got = append(got, time.Duration(at))
			}
			if len(got) != len(tc.want) {
				t.Fatalf("departures %v, want %v", got, tc.want)
			}
			for i := range got {
				if got[i] != tc.want[i] {
					t.Fatalf("departures %v, want %v", got, tc.want)
				}
			}
		})
	}
}

// The packet that is next waits in the queue until its opportunity comes.
func TestCapacityQueueCountsTheNext(t *testing.T) {
	const whole = 1514 // an opportunity's bytes and the Ethernet header
	s := newStory(t, Impairments{Capacity: &Trace{10, 20}, Queue: Queue{Packets: 2}})
	s.d.Start(0)
	s.arrive(0, whole)
	s.arrive(1*ms, whole)
	s.wantDrop(2*ms, whole, DropQueue)
	s.arrive(10*ms, whole)
	s.wantDrop(10*ms, whole, DropQueue)
}

func TestTraceBeginsAtTheFirstArrival(t *testing.T) {
	s := newStory(t, Impairments{Capacity: &Trace{10}})
	s.arrive(1*ms, frame)
	s.wantDepart(11 * ms)
	s.set(12*ms, Impairments{Capacity: &Trace{10}, Delay: ms}) // the same trace goes on
	s.arrive(12*ms, frame)
	s.wantDepart(22 * ms)
	s.set(25*ms, Impairments{Capacity: &Trace{30}}) // another begins
	s.arrive(25*ms, frame)
	s.wantDepart(55 * ms)
	s.set(56*ms, Impairments{Rate: 12 * mbit})
	s.arrive(56*ms, frame)
	s.wantDepart(57 * ms)
}

// From a rate to a trace: what is in transmission ends first.
func TestTraceAfterRate(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit})
	for range 3 {
		s.arrive(0, frame)
	}
	s.set(500*time.Microsecond, Impairments{Capacity: &Trace{1}})
	s.wantDepart(1 * ms)
	s.wantDepart(1500 * time.Microsecond)
	s.wantDepart(2500 * time.Microsecond)
}

func TestTraceValidate(t *testing.T) {
	for _, tc := range []struct {
		trace Trace
		want  string
	}{
		{Trace{0, 1}, ""},
		{Trace{}, "empty"},
		{Trace{2, 1}, "ascending"},
		{Trace{0, 0}, "no time"},
		{Trace{1 << 31}, "less than 1 bit/s"},
		{make(Trace, MaxOpportunities+1), "more than"},
	} {
		err := tc.trace.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
	if got := (Trace{0, 500, 1000}).MeanRate(); got != 36_000 {
		t.Errorf("mean rate %d, want 36000", got)
	}
}
