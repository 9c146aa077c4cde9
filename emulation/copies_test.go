package emulation

import (
	"math"
	"slices"
	"testing"
)

func (s story) enqueue(p Packet) Verdict { return s.d.Enqueue(0, p) }

func (s story) next() Packet {
	s.t.Helper()
	at, ok := s.d.NextDeparture()
	if !ok {
		s.t.Fatal("no packet is held")
	}
	p, _, _ := s.d.Dequeue(at)
	return p
}

func TestDuplicateFollowsItsOriginal(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Duplicate: 1})
	data := []byte{1}
	s.enqueue(Packet{Size: frame, Data: data})
	s.enqueue(Packet{Size: frame, Data: []byte{2}})
	for i, want := range []struct {
		first byte
		marks Marks
	}{{1, Shared}, {1, Duplicated}, {2, Shared}, {2, Duplicated}} {
		if p := s.next(); p.Data[0] != want.first || p.Marks != want.marks {
			t.Errorf("departure %d: data %v, marks %b; want %d, %b", i, p.Data, p.Marks, want.first, want.marks)
		}
	}
	s.wantIdle()
	if c := s.d.Counters(); c.ArrivedPackets != 2 || c.DuplicatedPackets != 2 || c.DepartedPackets != 4 || c.DuplicatedBytes != 2*1500 {
		t.Errorf("counted %+v", c)
	}
}

// What is lost has no copy, and a copy that finds no room is dropped without its
// original.
func TestDuplicateMeetsLossAndQueue(t *testing.T) {
	s := newStory(t, Impairments{Duplicate: 1, LoseEvery: 1})
	s.wantDrop(0, frame, DropLoss)
	if c := s.d.Counters(); c.DuplicatedPackets != 0 {
		t.Errorf("a lost packet has %d copies", c.DuplicatedPackets)
	}
	s = newStory(t, Impairments{Rate: 12 * mbit, Duplicate: 1, Queue: Queue{Packets: 1}})
	s.enqueue(Packet{Size: frame, Data: []byte{1}}) // in transmission, its copy waits
	if v := s.enqueue(Packet{Size: frame, Data: []byte{2}}); v.Accepted {
		t.Error("a packet found room where there is none")
	}
	s.d.Dequeue(Time(ms))
	s.d.Dequeue(Time(2 * ms))
	s.set(3*ms, Impairments{Rate: 12 * mbit})
	s.arrive(3*ms, frame)
	s.set(3*ms, Impairments{Rate: 12 * mbit, Duplicate: 1, Queue: Queue{Packets: 1}})
	s.d.Enqueue(Time(3*ms), Packet{Size: frame, Data: []byte{3}})
	s.next()
	if p := s.next(); p.Marks != 0 || p.Data[0] != 3 {
		t.Errorf("departed %+v, want the original alone", p)
	}
	s.wantIdle()
	if _, ok := s.d.Discarded(); ok {
		t.Error("a copy was given back, though its data left with the original")
	}
}

// Shares are taken again: any number of pairs needs as many as are held at once.
func TestSharesAreReused(t *testing.T) {
	s := newStory(t, Impairments{Duplicate: 1})
	for range 100 {
		s.enqueue(Packet{Size: frame, Data: []byte{1}})
		s.next()
		s.next()
	}
	if n := len(s.d.shares.held); n != 2 {
		t.Errorf("%d shares were made, want 1 and the unused first", n-1)
	}
}

// Duplicates and corrupted packets lie within the 99 % intervals; corruption says
// which bit, all alike.
func TestCopyProbabilities(t *testing.T) {
	const n, p = 100_000, 0.03
	s := newStory(t, Impairments{Duplicate: p, Corrupt: p})
	var high int
	for range n {
		s.enqueue(packet(frame))
		for p, _, ok := s.d.Dequeue(0); ok; p, _, ok = s.d.Dequeue(0) {
			if p.Marks&Corrupted != 0 && p.Flip >= 1<<31 {
				high++
			}
		}
	}
	c := s.d.Counters()
	within := func(what string, got, n float64, p float64) {
		if half := 2.576 * math.Sqrt(n*p*(1-p)); math.Abs(got-n*p) > half {
			t.Errorf("%s: %v of %v, want %v +- %.0f", what, got, n, n*p, half)
		}
	}
	within("duplicates", float64(c.DuplicatedPackets), n, p)
	within("corrupted", float64(c.CorruptedPackets), float64(c.DepartedPackets), p)
	within("high bits", float64(high), float64(c.CorruptedPackets), 0.5)
}

// No new stage moves what another draws.
func TestNewStagesDrawApart(t *testing.T) {
	fates := func(imp Impairments) (lost []int, delays []Time) {
		d, err := NewDirection(imp, NewSeed(3, "lte", "down"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2000 {
			now := Time(i) * Time(1000*ms)
			if v := d.Enqueue(now, packet(frame)); !v.Accepted {
				lost = append(lost, i)
			}
			if at, ok := d.NextDeparture(); ok && imp.Duplicate == 0 {
				delays = append(delays, at-now)
			}
			for _, _, ok := d.Dequeue(now + Time(999*ms)); ok; _, _, ok = d.Dequeue(now + Time(999*ms)) {
			}
		}
		return lost, delays
	}
	base := Impairments{Loss: 0.05, Delay: 10 * ms, Jitter: 5 * ms}
	wantLost, wantDelays := fates(base)
	for name, change := range map[string]func(*Impairments){
		"corrupt":   func(i *Impairments) { i.Corrupt = 0.5 },
		"duplicate": func(i *Impairments) { i.Duplicate = 0.5 },
		"reorder":   func(i *Impairments) { i.Reorder.Probability = 1e-12 },
		"codel":     func(i *Impairments) { i.Rate, i.Queue.Discipline = 1e15, CoDel },
		"every n":   func(i *Impairments) { i.LoseEvery = 1 << 40 },
		"chain":     func(i *Impairments) { i.GilbertElliott = GilbertElliott{K: 1} },
	} {
		imp := base
		change(&imp)
		lost, delays := fates(imp)
		if !slices.Equal(lost, wantLost) {
			t.Errorf("%s moves the losses", name)
		}
		if imp.Duplicate == 0 && !slices.Equal(delays, wantDelays) {
			t.Errorf("%s moves the jitter", name)
		}
	}
}
