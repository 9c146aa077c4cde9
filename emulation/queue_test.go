package emulation

import "testing"

func TestDropHeadDropsTheOldest(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Queue: Queue{Packets: 2, Discipline: DropHead}})
	for i := range byte(5) {
		if v := s.enqueue(Packet{Size: frame, Data: []byte{i}}); !v.Accepted {
			t.Fatalf("packet %d was dropped on arrival", i)
		}
	}
	for _, want := range []byte{1, 2} {
		if p, ok := s.d.Discarded(); !ok || p.Data[0] != want {
			t.Errorf("discarded %v (%v), want %d", p.Data, ok, want)
		}
	}
	if p, ok := s.d.Discarded(); ok {
		t.Errorf("discarded %v, too", p.Data)
	}
	for _, want := range []byte{0, 3, 4} {
		if p := s.next(); p.Data[0] != want {
			t.Errorf("%d departed, want %d", p.Data[0], want)
		}
	}
	if c := s.d.Counters(); c.Dropped[DropQueue] != 2 || c.DroppedBytes != 3000 {
		t.Errorf("counted %+v", c)
	}
	s.wantIdle()
}

func TestDropHeadByBytes(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Queue: Queue{Bytes: 2000, Discipline: DropHead}})
	s.arrive(0, frame)
	s.arrive(0, 900)
	s.arrive(0, 900)
	s.wantDrop(0, 2001, DropQueue) // room is made for none that never fits
	if c := s.d.Counters(); c.HeldPackets != 3 {
		t.Errorf("holds %d packets, want 3", c.HeldPackets)
	}
	s.arrive(0, 2000)
	if c := s.d.Counters(); c.HeldPackets != 2 || c.Dropped[DropQueue] != 3 {
		t.Errorf("holds %d packets after %d drops, want 2 after 3", c.HeldPackets, c.Dropped[DropQueue])
	}
}

// A copy whose original was dropped to make room for it owns the data alone.
func TestDropHeadOfAnOriginal(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Duplicate: 1, Queue: Queue{Packets: 1, Discipline: DropHead}})
	s.enqueue(Packet{Size: frame, Data: []byte{1}}) // its copy waits
	s.enqueue(Packet{Size: frame, Data: []byte{2}}) // drops that, then is dropped for its copy
	if p, ok := s.d.Discarded(); ok {
		t.Errorf("%v was given back, though it is held", p.Data)
	}
	if p := s.next(); p.Data[0] != 1 || p.Marks != 0 {
		t.Errorf("departed %+v, want the first, its data alone", p)
	}
	if p := s.next(); p.Data[0] != 2 || p.Marks != Duplicated {
		t.Errorf("departed %+v, want the copy of the second, its data alone", p)
	}
	s.wantIdle()
}

// RFC 3168, section 5: only a packet with ECT gets CE.
func TestMarkPastTheLevel(t *testing.T) {
	for name, tc := range map[string]struct {
		mark   Limit
		passes int // waiting packets before the first mark
	}{
		"packets": {Limit{Packets: 2}, 2},
		"bytes":   {Limit{Bytes: 4500}, 3},
		"time":    {Limit{Time: ms}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, Impairments{Rate: 12 * mbit, Queue: Queue{Mark: tc.mark}})
			for range 1 + tc.passes {
				s.enqueue(Packet{Size: frame, ECN: ECT0})
			}
			for _, ecn := range []ECN{ECT0, ECT1, NotECT, CE} {
				s.enqueue(Packet{Size: frame, ECN: ecn})
			}
			for range 1 + tc.passes {
				if p := s.next(); p.ECN != ECT0 {
					t.Errorf("a packet below the level has the codepoint %d", p.ECN)
				}
			}
			for i, want := range []ECN{CE, CE, NotECT, CE} {
				if p := s.next(); p.ECN != want {
					t.Errorf("packet %d past the level has the codepoint %d, want %d", i, p.ECN, want)
				}
			}
			if n := s.d.Counters().MarkedPackets; n != 2 {
				t.Errorf("%d marks counted, want 2", n)
			}
		})
	}
}

// A packet that does not wait gets no mark, whatever its size.
func TestNoMarkWithoutWaiting(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Queue: Queue{Mark: Limit{Bytes: 1}}})
	s.enqueue(Packet{Size: frame, ECN: ECT0})
	if p := s.next(); p.ECN != ECT0 {
		t.Errorf("codepoint %d, want %d", p.ECN, ECT0)
	}
}

func TestTooBigTellsTheMTU(t *testing.T) {
	s := newStory(t, Impairments{MTU: 1400, TooBig: TooBigICMP})
	if got, want := s.enqueue(Packet{Size: 1415, IPSize: 1401}), (Verdict{Reason: DropMTU, TellMTU: 1400}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := s.enqueue(Packet{Size: -1}), (Verdict{Reason: DropMTU}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.arrive(0, 1414)
}
