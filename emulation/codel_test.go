package emulation

import (
	"math"
	"testing"
	"time"
)

// overload keeps a direction busy: packets of 1500 bytes come at 12 Mbit/s into a
// rate of 10, and what was dropped or marked when is kept.
type overload struct {
	story
	drops []Time // when CoDel dropped
	marks []Time
}

func newOverload(t *testing.T, q Queue, ecn ECN, length time.Duration) *overload {
	o := &overload{story: newStory(t, Impairments{Rate: 10 * mbit, Queue: q})}
	for at := time.Duration(0); at < length; at += ms {
		o.d.Enqueue(Time(at), Packet{Size: frame, Data: []byte{1}, ECN: ecn})
		for _, ok := o.d.Discarded(); ok; _, ok = o.d.Discarded() {
			o.drops = append(o.drops, Time(at))
		}
		for p, out, ok := o.d.Dequeue(Time(at)); ok; p, out, ok = o.d.Dequeue(Time(at)) {
			if p.ECN == CE {
				o.marks = append(o.marks, out)
			}
		}
	}
	return o
}

// flow is a sender as TCP is one: its window grows by a packet in each round trip
// and is halved when a packet is lost. It returns the mean wait in the second half.
func flow(t *testing.T, q Queue, length time.Duration) time.Duration {
	const roundTrip = 40 * ms
	s := newStory(t, Impairments{Rate: 12 * mbit, Queue: q})
	window, inFlight := 10.0, 0
	var acks, sent []Time
	var lastCut Time
	var waits, n time.Duration
	for now := Time(0); now < Time(length); now += Time(ms) {
		for _, ok := s.d.Discarded(); ok; _, ok = s.d.Discarded() {
			inFlight--
			if now.Sub(lastCut) > roundTrip {
				window, lastCut = max(window/2, 1), now
			}
		}
		for p, out, ok := s.d.Dequeue(now); ok; p, out, ok = s.d.Dequeue(now) {
			acks = append(acks, out.Add(roundTrip))
			if now > Time(length/2) {
				waits += out.Sub(sent[int(p.Data[0])<<8|int(p.Data[1])])
				n++
			}
		}
		for ; len(acks) > 0 && acks[0] <= now; acks = acks[1:] {
			inFlight--
			window += 1 / window
		}
		for ; inFlight < int(window); inFlight++ {
			data := []byte{byte(len(sent) >> 8), byte(len(sent))}
			sent = append(sent, now)
			s.d.Enqueue(now, Packet{Size: frame, Data: data})
		}
	}
	return waits / n
}

// RFC 8289, section 3: a standing queue is brought to the target, and one without
// CoDel stays.
func TestCoDelEndsAStandingQueue(t *testing.T) {
	if got := flow(t, Queue{Discipline: CoDel}, 40*time.Second); got > 2*codelTarget {
		t.Errorf("packets wait %v on average, want about %v", got, codelTarget)
	}
	if got := flow(t, Queue{}, 40*time.Second); got < 100*ms {
		t.Errorf("without CoDel packets wait %v: the test makes no queue", got)
	}
}

// RFC 8289, section 5.4: the n-th drop of a state follows the one before it after
// the interval over the square root of n.
func TestCoDelControlLaw(t *testing.T) {
	o := newOverload(t, Queue{Discipline: CoDel}, NotECT, 3*time.Second)
	if len(o.drops) < 15 {
		t.Fatalf("%d drops", len(o.drops))
	}
	// The queue first stands above the target at some 30 ms; the drop comes an interval later.
	if first := time.Duration(o.drops[0]); first < 100*ms || first > 160*ms {
		t.Errorf("the first drop comes at %v", first)
	}
	for n := range o.drops[1:15] {
		got := o.drops[n+1].Sub(o.drops[n])
		want := time.Duration(float64(codelInterval) / math.Sqrt(float64(n+1)))
		if (got - want).Abs() > 4*ms { // a packet takes 1.2 ms, an observation 1 ms
			t.Errorf("drop %d comes %v after the one before, want %v", n+2, got, want)
		}
	}
}

// A queue below the target, or of one packet, is left alone however long it lasts.
func TestCoDelLeavesGoodQueuesAlone(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Queue: Queue{Discipline: CoDel}})
	for i := range 5000 { // bursts of four: none waits more than 3 ms
		for range 4 {
			s.arrive(time.Duration(i)*4*ms, frame)
		}
		for at, ok := s.d.NextDeparture(); ok && at <= Time(i)*Time(4*ms); at, ok = s.d.NextDeparture() {
			s.d.Dequeue(at)
		}
	}
	slow := newStory(t, Impairments{Rate: 12_000, Queue: Queue{Discipline: CoDel}}) // a second each
	for i := range 50 {
		slow.arrive(time.Duration(i)*time.Second, frame)
	}
	for _, d := range []*Direction{s.d, slow.d} {
		if n := d.Counters().DroppedPackets(); n != 0 {
			t.Errorf("%d packets were dropped", n)
		}
	}
}

// RFC 8289 and RFC 3168: what is capable of ECN is marked where it would be
// dropped.
func TestCoDelMarks(t *testing.T) {
	capable := newOverload(t, Queue{Discipline: CoDel, ECN: true}, ECT0, 3*time.Second)
	other := newOverload(t, Queue{Discipline: CoDel, ECN: true}, NotECT, 3*time.Second)
	if c := capable.d.Counters(); c.Dropped[DropAQM] != 0 || c.MarkedPackets < 15 || len(capable.marks) == 0 {
		t.Errorf("capable: %+v", c)
	}
	if c := other.d.Counters(); c.Dropped[DropAQM] < 15 || c.MarkedPackets != 0 {
		t.Errorf("not capable: %+v", c)
	}
	if got, want := len(capable.drops), 0; got != want {
		t.Errorf("%d packets given back, want %d", got, want)
	}
}

// The target and interval are the queue's.
func TestCoDelParameters(t *testing.T) {
	patient := newOverload(t, Queue{Discipline: CoDel, Target: 50 * ms, Interval: 500 * ms}, NotECT, 3*time.Second)
	if first := time.Duration(patient.drops[0]); first < 700*ms || first > 900*ms { // 50 ms are reached at 300
		t.Errorf("the first drop comes at %v", first)
	}
}

// RFC 8289, section 5.5: a state soon after another starts at the rate that was
// reached in it, one long after starts anew.
func TestCoDelRemembersItsRate(t *testing.T) {
	for _, tc := range []struct {
		after time.Duration // since the last drop of the former state was due
		want  uint32
	}{{ms, 16}, {1600*ms - 1, 16}, {1600 * ms, 1}} {
		c := codel{interval: codelInterval, count: 20, lastCount: 4, dropNext: 1000}
		now := Time(1000).Add(tc.after)
		c.enter(now)
		want := now.Add(time.Duration(float64(codelInterval) / math.Sqrt(float64(tc.want))))
		if c.count != tc.want || c.lastCount != tc.want || c.dropNext != want {
			t.Errorf("%v later: count %d, next drop after %v; want %d, %v", tc.after, c.count, c.dropNext.Sub(now), tc.want, want.Sub(now))
		}
	}
}
