package emulation

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	ms   = time.Millisecond
	mbit = Rate(1e6)
	// frame takes 1 ms at 12 Mbit/s.
	frame = ByteCount(1500)
)

// story drives a direction by hand. Times are since its beginning.
type story struct {
	t *testing.T
	d *Direction
}

func newStory(t *testing.T, imp Impairments) story {
	t.Helper()
	d, err := NewDirection(imp, NewSeed(1, "test", "up"))
	if err != nil {
		t.Fatal(err)
	}
	return story{t, d}
}

func packet(size ByteCount) Packet { return Packet{Size: size, IPSize: int(size) - 14} }

func (s story) arrive(at time.Duration, size ByteCount) {
	s.t.Helper()
	if v := s.d.Enqueue(Time(at), packet(size)); !v.Accepted {
		s.t.Fatalf("packet of %d bytes at %v was dropped: %v", size, at, v.Reason)
	}
}

func (s story) wantDrop(at time.Duration, size ByteCount, why DropReason) {
	s.t.Helper()
	before := s.d.Counters().Dropped[why]
	v := s.d.Enqueue(Time(at), packet(size))
	if v.Accepted || v.Reason != why {
		s.t.Fatalf("packet of %d bytes at %v: got %+v, want drop for %v", size, at, v, why)
	}
	if n := s.d.Counters().Dropped[why]; n != before+1 {
		s.t.Fatalf("drops for %v went from %d to %d, want one more", why, before, n)
	}
}

// wantDepart collects the next departure exactly at its time.
func (s story) wantDepart(at time.Duration) {
	s.t.Helper()
	s.wantDepartSeen(at, at)
}

// wantDepartSeen collects the next departure late, at seen.
func (s story) wantDepartSeen(at, seen time.Duration) {
	s.t.Helper()
	next, ok := s.d.NextDeparture()
	if !ok || next != Time(at) {
		s.t.Fatalf("next departure is %v (%v), want %v", time.Duration(next), ok, at)
	}
	if _, _, ok := s.d.Dequeue(Time(at) - 1); ok {
		s.t.Fatalf("packet departed before %v", at)
	}
	if _, ideal, ok := s.d.Dequeue(Time(seen)); !ok || ideal != Time(at) {
		s.t.Fatalf("at %v got departure %v (%v), want %v", seen, time.Duration(ideal), ok, at)
	}
}

func (s story) wantIdle() {
	s.t.Helper()
	if next, ok := s.d.NextDeparture(); ok {
		s.t.Fatalf("a packet departs at %v, want none held", time.Duration(next))
	}
	if c := s.d.Counters(); c.HeldPackets != 0 || c.HeldBytes != 0 {
		s.t.Fatalf("idle direction holds %d packets, %d bytes", c.HeldPackets, c.HeldBytes)
	}
}

func TestUnimpairedPassesAtOnce(t *testing.T) {
	s := newStory(t, Impairments{})
	s.arrive(3*ms, frame)
	s.arrive(3*ms, frame)
	s.wantDepart(3 * ms)
	s.wantDepart(3 * ms)
	s.wantIdle()
}

func TestRateSpacesPackets(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit})
	s.arrive(0, frame)
	s.arrive(0, frame)
	s.arrive(0, frame/2)
	s.wantDepart(1 * ms)
	s.wantDepart(2 * ms)
	s.wantDepart(2500 * time.Microsecond)
	s.arrive(10*ms, frame) // after idling it starts afresh
	s.wantDepart(11 * ms)
	s.wantIdle()
}

func TestLateCallsDoNotMoveDepartures(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Delay: 5 * ms})
	for range 4 {
		s.arrive(0, frame)
	}
	s.wantDepartSeen(6*ms, 9*ms)
	s.wantDepartSeen(7*ms, 9*ms)
	s.wantDepartSeen(8*ms, 20*ms)
	s.wantDepartSeen(9*ms, 20*ms)
	s.wantIdle()
}

func TestArrivalReportedLate(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit})
	s.arrive(0, frame)
	s.wantDepartSeen(1*ms, 5*ms)
	s.arrive(500*time.Microsecond, frame) // while the first was in transmission
	s.wantDepartSeen(2*ms, 5*ms)
	s.wantIdle()
}

func TestDelayIsAfterSerialiser(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Delay: 20 * ms, Queue: Queue{Packets: 1}})
	s.arrive(0, frame) // in transmission until 1 ms
	s.arrive(0, frame) // waits
	s.wantDrop(0, frame, DropQueue)
	s.arrive(1*ms, frame) // there is room again, though nothing has departed yet
	s.wantDepart(21 * ms)
	s.wantDepart(22 * ms)
	s.wantDepart(23 * ms)
	s.wantIdle()
}

func TestQueueLimits(t *testing.T) {
	for _, tc := range []struct {
		name  string
		queue Queue
		fit   int // packets of 1500 bytes waiting at 12 Mbit/s
	}{
		{"none", Queue{}, 1000},
		{"packets", Queue{Packets: 3}, 3},
		{"bytes, exactly", Queue{Bytes: 4500}, 3},
		{"bytes, one short", Queue{Bytes: 4499}, 2},
		{"time, exactly", Queue{Time: 3 * ms}, 3},
		{"time, one short", Queue{Time: 3*ms - 1}, 2},
		{"time beyond any count of bytes", Queue{Time: math.MaxInt64}, 1000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStory(t, Impairments{Rate: 12 * mbit, Queue: tc.queue})
			for range 1 + tc.fit {
				s.arrive(0, frame)
			}
			if tc.fit < 1000 {
				s.wantDrop(0, frame, DropQueue)
			}
		})
	}
}

func TestSmallPacketFitsWhereLargeDoesNot(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Queue: Queue{Bytes: 2000}})
	s.arrive(0, frame)
	s.arrive(0, frame)
	s.wantDrop(0, frame, DropQueue)
	s.arrive(0, 500)
	s.wantDrop(0, 1, DropQueue)
}

func TestMTU(t *testing.T) {
	s := newStory(t, Impairments{MTU: 1400})
	s.arrive(0, 1414)
	s.wantDrop(0, 1415, DropMTU)
	s.wantDrop(0, -1, DropMTU)
	s.wantDrop(0, maxPacketSize+1, DropMTU)
}

func TestLossOfAllAndNone(t *testing.T) {
	s := newStory(t, Impairments{Loss: 1})
	for range 1000 {
		s.wantDrop(0, frame, DropLoss)
	}
	s = newStory(t, Impairments{Loss: 0})
	for range 1000 {
		s.arrive(0, frame)
	}
}

func TestSetRateMidway(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit})
	for range 3 {
		s.arrive(0, frame)
	}
	s.set(1500*time.Microsecond, Impairments{Rate: 24 * mbit})
	s.wantDepart(1 * ms)
	s.wantDepart(2 * ms) // was in transmission at the old rate
	s.wantDepart(2500 * time.Microsecond)
	s.wantIdle()
}

func TestSetUnlimitedReleasesTheQueue(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Queue: Queue{Packets: 2}})
	for range 3 {
		s.arrive(0, frame)
	}
	s.set(500*time.Microsecond, Impairments{})
	s.arrive(600*time.Microsecond, frame) // behind the packet in transmission
	for range 4 {
		s.wantDepart(1 * ms)
	}
	s.wantIdle()
}

func TestSetShorterDelayDoesNotReorder(t *testing.T) {
	s := newStory(t, Impairments{Delay: 50 * ms})
	s.arrive(0, frame)
	s.set(10*ms, Impairments{Delay: 1 * ms})
	s.arrive(10*ms, frame)
	s.arrive(60*ms, frame)
	s.wantDepart(50 * ms)
	s.wantDepart(50 * ms)
	s.wantDepart(61 * ms)
}

func TestSetSmallerQueueKeepsWhatWaits(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Queue: Queue{Packets: 4}})
	for range 5 {
		s.arrive(0, frame)
	}
	s.set(0, Impairments{Rate: 12 * mbit, Queue: Queue{Bytes: 1500}})
	s.wantDrop(0, frame, DropQueue)
	for i := range 5 {
		s.wantDepart(time.Duration(i+1) * ms)
	}
	s.wantIdle()
}

func TestSetImpossibleChangesNothing(t *testing.T) {
	s := newStory(t, Impairments{Delay: 5 * ms})
	if err := s.d.Set(0, Impairments{Loss: 2}); err == nil {
		t.Error("loss of 2 was accepted")
	}
	s.arrive(0, frame)
	s.wantDepart(5 * ms)
}

func (s story) set(at time.Duration, imp Impairments) {
	s.t.Helper()
	if err := s.d.Set(Time(at), imp); err != nil {
		s.t.Fatal(err)
	}
}

// The n-th packet of a busy period ends at the whole nanosecond below its exact
// time, however odd the rate.
func TestNoDrift(t *testing.T) {
	const packets = 200_000
	for _, rate := range []Rate{33_333_000, 7_777_777, 999_999_937, 1} {
		s := newStory(t, Impairments{Rate: rate})
		n := packets
		if rate == 1 {
			n = 1000 // 139 days
		}
		for range n {
			s.arrive(0, frame)
		}
		var last Time
		for range n {
			at, ok := s.d.NextDeparture()
			if !ok {
				t.Fatal("fewer departures than arrivals")
			}
			s.d.Dequeue(at)
			last = at
		}
		want := float64(n) * float64(frame) * 8 * 1e9 / float64(rate)
		if diff := float64(last) - want; diff > 0 || diff <= -1-want*1e-15 {
			t.Errorf("%d packets at %d bit/s took %d ns, want %.3f", n, rate, last, want)
		}
	}
}

func TestJitterRangeAndMean(t *testing.T) {
	const delay, jitter, n = 10 * ms, 4 * ms, 20_000
	s := newStory(t, Impairments{Delay: delay, Jitter: jitter})
	var offsets []time.Duration
	for i := range n {
		at := time.Duration(i) * 100 * ms // far apart: order never holds one back
		s.arrive(at, frame)
		next, _ := s.d.NextDeparture()
		s.d.Dequeue(next)
		offsets = append(offsets, next.Sub(Time(at))-delay)
	}
	slices.Sort(offsets)
	if offsets[0] < -jitter || offsets[n-1] > jitter {
		t.Errorf("jitter from %v to %v, want within %v", offsets[0], offsets[n-1], jitter)
	}
	// Quartiles of a uniform distribution; five standard errors of a quantile.
	for q, want := range map[int]time.Duration{n / 4: -jitter / 2, n / 2: 0, 3 * n / 4: jitter / 2} {
		tolerance := time.Duration(5 * 0.5 / math.Sqrt(n) * float64(2*jitter))
		if got := offsets[q]; (got - want).Abs() > tolerance {
			t.Errorf("quantile %d/%d is %v, want %v +- %v", q, n, got, want, tolerance)
		}
	}
}

// The number of losses lies within the 99 % interval of the binomial
// distribution. The seed is fixed, so the test never fails by chance.
func TestLossProbability(t *testing.T) {
	const n = 200_000
	for _, p := range []float64{0.001, 0.02, 0.5} {
		s := newStory(t, Impairments{Loss: p})
		for range n {
			s.d.Enqueue(0, packet(frame))
			s.d.Dequeue(0)
		}
		lost := float64(s.d.Counters().Dropped[DropLoss])
		if half := 2.576 * math.Sqrt(n*p*(1-p)); math.Abs(lost-n*p) > half {
			t.Errorf("probability %v: %v of %d lost, want %v +- %.0f", p, lost, n, n*p, half)
		}
	}
}

// Neither the MTU nor jitter nor a time without loss shifts the loss sequence.
func TestStagesDrawApart(t *testing.T) {
	lost := func(imp Impairments, quiet int) []int {
		d, err := NewDirection(imp, NewSeed(3, "lte", "down"))
		if err != nil {
			t.Fatal(err)
		}
		without := imp
		without.Loss = 0
		if err := d.Set(0, without); err != nil {
			t.Fatal(err)
		}
		var found []int
		for i := range 4000 {
			if i == quiet {
				if err := d.Set(0, imp); err != nil {
					t.Fatal(err)
				}
			}
			size := frame
			if i%3 == 0 {
				size = 200
			}
			v := d.Enqueue(0, packet(size))
			if i >= 1000 && size == 200 && !v.Accepted && v.Reason == DropLoss {
				found = append(found, i)
			}
		}
		return found
	}
	want := lost(Impairments{Loss: 0.05}, 0)
	if len(want) == 0 {
		t.Fatal("nothing was lost")
	}
	for name, got := range map[string][]int{
		"mtu":         lost(Impairments{Loss: 0.05, MTU: 1000}, 0),
		"jitter":      lost(Impairments{Loss: 0.05, Delay: ms, Jitter: ms}, 0),
		"quiet start": lost(Impairments{Loss: 0.05}, 1000),
	} {
		if !slices.Equal(got, want) {
			t.Errorf("%s shifts the losses", name)
		}
	}
}

// A seed means the same for ever: results quote it. These figures change only
// with the derivation's version.
func TestSeedIsStable(t *testing.T) {
	s := NewSeed(1, "lte", "up")
	got := []uint64{s.stage("loss").Uint64(), s.stage("jitter").Uint64()}
	want := []uint64{0xdb503a43eaa89f0c, 0x74239a29f31d892f}
	if !slices.Equal(got, want) {
		t.Errorf("first draws are %#x, want %#x", got, want)
	}
	seen := map[Seed]bool{}
	for _, seed := range []Seed{s, NewSeed(2, "lte", "up"), NewSeed(1, "wifi", "up"), NewSeed(1, "lte", "down"), NewSeed(1, "lteu", "p")} {
		if seen[seed] {
			t.Error("two directions share a seed")
		}
		seen[seed] = true
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name string
		imp  Impairments
		want string // part of the error; empty: valid
	}{
		{"zero", Impairments{}, ""},
		{"all", Impairments{Rate: mbit, Delay: ms, Jitter: ms, Loss: 1, Queue: Queue{Bytes: 1}, MTU: 68}, ""},
		{"rate", Impairments{Rate: -1}, "rate -1 bit/s is negative"},
		{"delay", Impairments{Delay: -1}, "is negative"},
		{"long delay", Impairments{Delay: MaxDelay + 1}, "is longer than"},
		{"jitter", Impairments{Jitter: 1}, "exceeds the delay"},
		{"loss", Impairments{Loss: 1.01}, "not a probability"},
		{"loss that is no number", Impairments{Loss: math.NaN()}, "not a probability"},
		{"two limits", Impairments{Rate: mbit, Queue: Queue{Bytes: 1, Packets: 1}}, "more than one"},
		{"queue without rate", Impairments{Queue: Queue{Packets: 1}}, "needs a rate"},
		{"negative queue", Impairments{Rate: mbit, Queue: Queue{Time: -1}}, "queue is negative"},
		{"mtu", Impairments{MTU: -1}, "mtu -1 is negative"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewDirection(tc.imp, Seed{})
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("got %v, want it valid", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestDropReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range numDropReasons {
		if name := r.String(); name == "unknown" || seen[name] {
			t.Errorf("drop reason %d has the name %q", r, name)
		} else {
			seen[name] = true
		}
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	d, err := NewDirection(Impairments{Rate: 12 * mbit, Delay: 50 * ms, Jitter: ms, Loss: 0.01, Queue: Queue{Packets: 20}}, Seed{})
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, frame)
	var now Time
	step := func() {
		now = now.Add(ms / 2) // twice the rate
		d.Enqueue(now, Packet{Size: frame, Data: data})
		for _, _, ok := d.Dequeue(now); ok; _, _, ok = d.Dequeue(now) {
		}
	}
	for range 1000 {
		step()
	}
	if n := testing.AllocsPerRun(10_000, step); n != 0 {
		t.Errorf("%v allocations per packet, want 0", n)
	}
}

func BenchmarkDirection(b *testing.B) {
	d, err := NewDirection(Impairments{Rate: 12 * mbit, Delay: 50 * ms, Jitter: ms, Loss: 0.01, Queue: Queue{Time: 100 * ms}}, Seed{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var now Time
	for b.Loop() {
		now = now.Add(ms)
		d.Enqueue(now, Packet{Size: frame})
		for _, _, ok := d.Dequeue(now); ok; _, _, ok = d.Dequeue(now) {
		}
	}
}
