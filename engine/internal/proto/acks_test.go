package proto

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// partsTestBuilder returns a builder of an empty packet with so much room.
func partsTestBuilder(room int) *builder {
	return &builder{b: make([]byte, 0, room), end: room, log: new(refLog)}
}

// partsTestT is what testing and rapid have in common.
type partsTestT interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// partsTestStart is when the tests' clocks start.
const partsTestStart = clock.Time(time.Second)

// acksTest drives an acks as a connection would.
type acksTest struct {
	t   partsTestT
	a   acks
	now clock.Time
}

func newAcksTest(t partsTestT) *acksTest {
	h := &acksTest{t: t, now: partsTestStart}
	h.a.init(false, 25*time.Millisecond, 0)
	return h
}

func (h *acksTest) receive(pns ...wire.PacketNumber) {
	for _, pn := range pns {
		h.a.receive(h.now, pn, true, wire.NotECT)
	}
}

func (h *acksTest) wantDue(want bool) {
	h.t.Helper()
	if got := h.a.due(h.now); got != want {
		h.t.Errorf("after packet %d: ACK due: %v, want %v", h.a.largest(), got, want)
	}
}

// ack appends an ACK frame and returns it as parsed.
func (h *acksTest) ack() wire.Ack {
	h.t.Helper()
	return h.ackIn(1200)
}

func (h *acksTest) ackIn(room int) wire.Ack {
	h.t.Helper()
	w := partsTestBuilder(room)
	if !h.a.append(h.now, w, 3, false, 0) {
		h.t.Fatalf("no ACK frame in %d bytes", room)
	}
	if len(w.b) > room {
		h.t.Fatalf("ACK frame of %d bytes in %d", len(w.b), room)
	}
	return acksTestParse(h.t, w.b)
}

func acksTestParse(t partsTestT, b []byte) wire.Ack {
	t.Helper()
	ft, n, err := wire.ParseFrameType(b)
	if err != nil {
		t.Fatalf("parse frame type: %v", err)
	}
	f, m, err := wire.ParseAck(ft, b[n:])
	if err != nil || n+m != len(b) {
		t.Fatalf("ACK frame % x: %d bytes parsed, error %v", b, n+m, err)
	}
	return f
}

func (h *acksTest) wantAcked(f wire.Ack, want ...wire.Range) {
	h.t.Helper()
	if d := cmp.Diff(want, slices.Collect(f.Ranges())); d != "" {
		h.t.Errorf("acknowledged ranges (-want +got):\n%s", d)
	}
}

func TestAckDelay(t *testing.T) {
	// RFC 9000, section 13.2.5: from the arrival of the largest packet number.
	h := newAcksTest(t)
	h.receive(1)
	h.now = h.now.Add(800 * time.Microsecond)
	h.receive(0)
	h.now = h.now.Add(800 * time.Microsecond)
	if f := h.ack(); f.Delay != 1600>>3 {
		t.Errorf("delay %d, want %d", f.Delay, 1600>>3)
	}
}

func TestAcksFitTheirRoom(t *testing.T) {
	h := newAcksTest(t)
	for pn := range wire.PacketNumber(100) {
		h.receive(3 * pn)
	}
	full := len(slices.Collect(h.ack().Ranges()))
	if full != 100 {
		t.Fatalf("%d ranges in a packet, want 100", full)
	}
	last := 0
	for room := range 250 {
		w := partsTestBuilder(room)
		if !h.a.append(h.now, w, 3, false, 0) {
			if last > 0 || len(w.b) > 0 || room > 20 {
				t.Fatalf("no frame in %d bytes, or a part of one", room)
			}
			continue
		}
		f := acksTestParse(t, w.b)
		n := len(slices.Collect(f.Ranges()))
		// RFC 9000, section 13.2.3: the newest ranges, the largest packet always.
		if len(w.b) > room || n < last || f.Largest != 297 {
			t.Fatalf("%d bytes with %d ranges up to %d in %d", len(w.b), n, f.Largest, room)
		}
		if last = n; room == 100 && n < 40 {
			t.Errorf("%d ranges in %d bytes", n, room)
		}
	}
	if last != full {
		t.Errorf("%d ranges in the largest room, want %d", last, full)
	}
	var none acks
	none.init(false, 0, 0)
	if none.append(h.now, partsTestBuilder(100), 3, false, 0) {
		t.Error("an ACK frame without a packet received")
	}
}

func TestAcksNoteTheirFrame(t *testing.T) {
	h := newAcksTest(t)
	h.receive(0, 1, 2)
	w := partsTestBuilder(100)
	h.a.append(h.now, w, 3, true, 7)
	if got, want := *w.log.at(0), (frameRef{kind: refAck, n: 7, off: 2}); got != want || w.n != 1 {
		t.Errorf("noted %+v, want %+v", got, want)
	}
	if f := acksTestParse(t, w.b); f.Path != 7 || !f.Multipath {
		t.Errorf("PATH_ACK of path %d, multipath %v", f.Path, f.Multipath)
	}
	if w.ackEliciting {
		t.Error("an ACK frame elicits ACKs")
	}
}

func TestAcksForgetWhatThePeerKnows(t *testing.T) {
	// RFC 9000, section 13.2.4.
	h := newAcksTest(t)
	h.receive(0, 1, 5, 6)
	h.ack()
	h.a.acknowledged(6)
	h.receive(9)
	h.wantAcked(h.ack(), wire.Range{Smallest: 9, Largest: 9})
	// A late packet below is news, and is told.
	h.receive(3)
	h.wantAcked(h.ack(), wire.Range{Smallest: 9, Largest: 9}, wire.Range{Smallest: 5, Largest: 6}, wire.Range{Smallest: 3, Largest: 3})
	// Section 12.3: a number that was received MUST be discarded for ever.
	for _, pn := range []wire.PacketNumber{0, 1, 3, 5, 6, 9} {
		if !h.a.duplicate(pn) {
			t.Errorf("packet %d would be taken twice", pn)
		}
	}
}

func TestAcksWantAPingWhenNobodyAnswers(t *testing.T) {
	h := newAcksTest(t)
	pings := 0
	for pn := range wire.PacketNumber(200) {
		h.receive(2 * pn)
		if h.a.wantsPing() {
			pings++
		}
		h.ack()
	}
	// RFC 9000, section 13.2.4: not in all packets.
	if pings < 5 || pings > 20 {
		t.Errorf("%d PINGs with 200 ACK frames", pings)
	}
	if h.a.acknowledged(h.a.largest()); h.a.frames != 0 {
		t.Errorf("%d ACK frames without an answer after one", h.a.frames)
	}
	for range 2 * pingEvery {
		if h.a.wantsPing() {
			t.Fatal("a PING although the peer has all our ranges")
		}
		h.ack()
	}
}

// TestAcksModel holds acks against a set of packet numbers.
func TestAcksModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var a acks
		a.init(false, 25*time.Millisecond, 0)
		got := map[wire.PacketNumber]bool{}
		now, next := partsTestStart, wire.PacketNumber(0)
		step := rapid.SampledFrom([]wire.PacketNumber{1, 2, 5}).Draw(rt, "step")
		sent := wire.NoPacket
		take := func(pn wire.PacketNumber) {
			dup := a.duplicate(pn)
			if got[pn] && !dup {
				rt.Fatalf("packet %d would be processed twice", pn)
			}
			if !got[pn] && dup && pn >= a.floor {
				rt.Fatalf("packet %d is no duplicate; floor %d", pn, a.floor)
			}
			if !dup {
				got[pn] = true
				a.receive(now, pn, true, wire.NotECT)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"in order": func(rt *rapid.T) {
				for range rapid.IntRange(1, 100).Draw(rt, "n") {
					take(next)
					next += step
				}
			},
			"any": func(rt *rapid.T) { take(wire.PacketNumber(rapid.Int64Range(0, int64(next)+20).Draw(rt, "pn"))) },
			"ack": func(rt *rapid.T) {
				w := partsTestBuilder(rapid.IntRange(0, 1200).Draw(rt, "room"))
				if !a.append(now, w, 3, false, 0) {
					return
				}
				f := acksTestParse(rt, w.b)
				sent = f.Largest
				for r := range f.Ranges() {
					for pn := r.Smallest; pn <= r.Largest; pn++ {
						if !got[pn] {
							rt.Fatalf("acknowledges packet %d, which never came", pn)
						}
					}
				}
			},
			"acknowledged": func(*rapid.T) { a.acknowledged(sent) },
			"": func(rt *rapid.T) {
				largest := wire.NoPacket
				for pn := range got {
					largest = max(largest, pn)
				}
				if a.largest() != largest {
					rt.Fatalf("largest %d, want %d", a.largest(), largest)
				}
				if len(a.ranges) > maxAckRanges {
					rt.Fatalf("%d ranges are kept", len(a.ranges))
				}
				acksTestRanges(rt, &a, got)
			},
		})
	})
}

// acksTestRanges checks that the ranges are those of the set from the floor on.
func acksTestRanges(t partsTestT, a *acks, got map[wire.PacketNumber]bool) {
	n := 0
	for i, r := range a.ranges {
		if r.Smallest > r.Largest || r.Smallest < a.floor || (i > 0 && r.Largest+1 >= a.ranges[i-1].Smallest) {
			t.Fatalf("ranges %v with floor %d", a.ranges, a.floor)
		}
		for pn := r.Smallest; pn <= r.Largest; pn++ {
			if !got[pn] {
				t.Fatalf("packet %d in %v never came", pn, r)
			}
			n++
		}
	}
	for pn := range got {
		if pn >= a.floor {
			n--
		}
	}
	if n != 0 {
		t.Fatalf("the ranges miss %d packets", -n)
	}
}

func TestAcksRangesAreBounded(t *testing.T) {
	// RFC 9000, section 13.2.3: a range MUST be retained unless none of its packets will
	// be accepted: the ranges are bounded, and packets of one that was given up refused.
	h := newAcksTest(t)
	for pn := range wire.PacketNumber(10 * maxAckRanges) {
		h.receive(2 * pn)
	}
	if n := len(h.a.ranges); n != maxAckRanges {
		t.Fatalf("%d ranges, want %d", n, maxAckRanges)
	}
	for pn := range 2*wire.PacketNumber(9*maxAckRanges) - 1 {
		if !h.a.duplicate(pn) {
			t.Fatalf("packet %d would be accepted", pn)
		}
	}
	newest := h.a.largest()
	if h.a.duplicate(newest - 1) {
		t.Error("a late packet of a gap that is known would be dropped")
	}
	h.a.acknowledged(newest)
	if n := len(h.a.ranges); n != 1+lateRanges {
		t.Errorf("%d ranges once the peer knows them, want %d", n, 1+lateRanges)
	}
}

func TestAcksDoNotAllocate(t *testing.T) {
	h := newAcksTest(t)
	h.a.setRTT(10 * time.Millisecond)
	w := partsTestBuilder(1200)
	pn := wire.PacketNumber(0)
	step := func() {
		for range 32 {
			if h.a.duplicate(pn) {
				t.Fatal("a new packet is a duplicate")
			}
			h.a.receive(h.now, pn, true, wire.ECT0)
			pn++
		}
		h.now = h.now.Add(time.Millisecond)
		if h.a.due(h.now) {
			w.b = w.b[:0]
			h.a.append(h.now, w, 3, false, 0)
			w.log.forget(w.log.next)
		}
	}
	step()
	if n := testing.AllocsPerRun(100, step); n > 0 {
		t.Errorf("%v allocations per 32 packets, want 0", n)
	}
}
