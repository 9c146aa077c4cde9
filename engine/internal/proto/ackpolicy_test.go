package proto

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestAcksWaitForTwoPackets(t *testing.T) {
	// RFC 9000, section 13.2.2: an ACK after at least two ack-eliciting packets; section
	// 13.2.1: within max_ack_delay.
	h := newAcksTest(t)
	h.receive(0)
	h.wantDue(false)
	if got, want := h.a.deadline(), h.now.Add(25*time.Millisecond); got != want {
		t.Errorf("deadline %d, want %d", got, want)
	}
	h.receive(1)
	h.wantDue(true)
	h.wantAcked(h.ack(), wire.Range{Smallest: 0, Largest: 1})
	// RFC 9000, section 13.2.1: MUST NOT be more than one packet with nothing but an ACK.
	h.wantDue(false)
	if got := h.a.deadline(); got != clock.Never {
		t.Errorf("deadline %d after the ACK, want Never", got)
	}
	h.receive(2)
	h.now = h.now.Add(25 * time.Millisecond)
	h.wantDue(true)
}

func TestAcksOfTheHandshakeAreImmediate(t *testing.T) {
	// RFC 9000, section 13.2.1: ack-eliciting Initial and Handshake packets MUST be
	// acknowledged immediately.
	h := newAcksTest(t)
	h.a.init(true, 25*time.Millisecond, 0)
	h.receive(0)
	h.wantDue(true)
}

func TestAcksNeverAnswerWhatElicitsNone(t *testing.T) {
	// RFC 9000, section 13.2.1: MUST NOT answer a packet that elicits no ACK by another,
	// even if there are gaps before it.
	h := newAcksTest(t)
	for _, pn := range []wire.PacketNumber{0, 1, 5, 3} {
		h.a.receive(h.now, pn, false, wire.CE)
		h.wantDue(false)
	}
	h.a.expedite()
	h.wantDue(false)
	if h.a.pending() {
		t.Error("an ACK is pending without an ack-eliciting packet")
	}
}

func TestAcksOutOfOrderAreImmediate(t *testing.T) {
	// RFC 9000, section 13.2.1: at once when the packet is below another ack-eliciting
	// one, or above the largest with packets missing in between.
	type packet struct {
		pn        wire.PacketNumber
		eliciting bool
	}
	tests := []struct {
		name   string
		before []packet
		pn     wire.PacketNumber
		want   bool
	}{
		{"in order", []packet{{0, true}}, 1, false},
		{"a gap", []packet{{0, true}}, 2, true},
		{"a gap before the first", nil, 1, true},
		{"below", []packet{{0, true}, {2, true}}, 1, true},
		{"a gap that others fill", []packet{{0, true}, {1, false}}, 2, false},
		{"a gap below others", []packet{{0, true}, {2, false}}, 3, true},
		{"below one that elicits none", []packet{{0, true}, {2, false}}, 1, false},
		{"below one of two", []packet{{0, true}, {5, true}, {3, true}}, 4, true},
		{"an old gap", []packet{{0, true}, {2, true}}, 3, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newAcksTest(t)
			for _, p := range tt.before {
				h.a.receive(h.now, p.pn, p.eliciting, wire.NotECT)
			}
			if len(tt.before) > 0 {
				h.ack()
			}
			h.receive(tt.pn)
			h.wantDue(tt.want)
		})
	}
}

func TestAcksOfReorderingThreshold(t *testing.T) {
	// draft-ietf-quic-ack-frequency, section 6.2.1: the two examples.
	tests := []struct {
		name      string
		threshold int
		pns       []wire.PacketNumber
		due       []wire.PacketNumber
	}{
		{"3", 3, []wire.PacketNumber{0, 1, 3, 4, 5, 8, 9, 10}, []wire.PacketNumber{5, 9, 10}},
		{"5", 5, []wire.PacketNumber{0, 1, 3, 5, 6, 7, 8, 9}, []wire.PacketNumber{7, 9}},
		// Section 6.2: 0 means that packets out of order elicit no immediate ACK.
		{"none", 0, []wire.PacketNumber{0, 5, 1, 9, 3}, nil},
		// And a late packet that the peer took for lost does.
		{"late", 3, []wire.PacketNumber{0, 2, 3, 4, 1}, []wire.PacketNumber{4, 1}},
		{"in order", 3, []wire.PacketNumber{0, 1, 2, 3, 4, 5, 6, 7}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newAcksTest(t)
			h.a.setPolicy(1000, 25*time.Millisecond, tt.threshold)
			var due []wire.PacketNumber
			for _, pn := range tt.pns {
				h.receive(pn)
				if h.a.due(h.now) {
					due = append(due, pn)
					h.ack()
				}
			}
			if d := cmp.Diff(tt.due, due); d != "" {
				t.Errorf("packets that made an ACK due (-want +got):\n%s", d)
			}
		})
	}
}

func TestAcksFollowAckFrequency(t *testing.T) {
	// draft-ietf-quic-ack-frequency, section 6: an ACK for more ack-eliciting packets
	// than the threshold, or after the requested delay.
	for _, threshold := range []int{0, 1, 5} {
		h := newAcksTest(t)
		h.a.setRTT(time.Millisecond)
		h.a.setPolicy(threshold, 100*time.Millisecond, 1)
		for i := range threshold {
			h.receive(wire.PacketNumber(i))
			h.wantDue(false)
		}
		h.receive(wire.PacketNumber(threshold))
		h.wantDue(true)
		h.ack()
		if threshold == 0 {
			continue
		}
		h.receive(wire.PacketNumber(threshold + 1))
		if got, want := h.a.deadline(), h.now.Add(100*time.Millisecond); got != want {
			t.Errorf("threshold %d: deadline %d, want %d", threshold, got, want)
		}
	}
}

func TestAcksExpedited(t *testing.T) {
	// draft-ietf-quic-ack-frequency, section 5: immediately for an IMMEDIATE_ACK frame.
	for _, before := range []bool{true, false} {
		h := newAcksTest(t)
		if before {
			h.a.expedite()
		}
		h.receive(0)
		if !before {
			h.a.expedite()
		}
		h.wantDue(true)
		h.ack()
		h.receive(1)
		h.wantDue(false)
	}
}

func TestAcksOfCongestionMarks(t *testing.T) {
	marked := func(h *acksTest, pn wire.PacketNumber, m wire.ECN) bool {
		h.a.receive(h.now, pn, true, m)
		due := h.a.due(h.now)
		if due {
			h.ack()
		}
		return due
	}
	// RFC 9000, section 13.2.1: each CE is acknowledged immediately.
	h := newAcksTest(t)
	for pn := range wire.PacketNumber(3) {
		if !marked(h, pn, wire.CE) {
			t.Errorf("no ACK due for CE packet %d", pn)
		}
	}
	// draft-ietf-quic-ack-frequency, section 6.3: above a threshold of 1 only the first.
	h = newAcksTest(t)
	h.a.setPolicy(10, 25*time.Millisecond, 1)
	var due []wire.PacketNumber
	for pn, m := range []wire.ECN{wire.ECT0, wire.CE, wire.CE, wire.ECT0, wire.CE, wire.ECT1} {
		if marked(h, wire.PacketNumber(pn), m) {
			due = append(due, wire.PacketNumber(pn))
		}
	}
	if d := cmp.Diff([]wire.PacketNumber{1, 4}, due); d != "" {
		t.Errorf("packets that made an ACK due (-want +got):\n%s", d)
	}
	// RFC 9000, section 13.4.1: the counts of marks MUST be reported.
	if f := h.ack(); !f.HasECN || f.ECT0 != 2 || f.ECT1 != 1 || f.CE != 3 {
		t.Errorf("ECN %v with counts %d, %d, %d, want 2, 1, 3", f.HasECN, f.ECT0, f.ECT1, f.CE)
	}
	h = newAcksTest(t)
	h.receive(0)
	if h.ack().HasECN {
		t.Error("ECN counts without a mark seen")
	}
}

func TestAcksThinOutAtSpeed(t *testing.T) {
	tests := []struct {
		name  string
		rtt   time.Duration
		gap   time.Duration // between packets
		least int           // packets per ACK
		most  int
	}{
		{"fast", 40 * time.Millisecond, 10 * time.Microsecond, 32, 32},
		{"medium", 40 * time.Millisecond, 250 * time.Microsecond, 15, 25},
		{"slow", 40 * time.Millisecond, 4 * time.Millisecond, 3, 4}, // the timer's
		{"long path", 600 * time.Millisecond, 10 * time.Microsecond, 32, 32},
		{"RTT unknown", 0, 10 * time.Microsecond, 2, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newAcksTest(t)
			h.a.setRTT(tt.rtt)
			const packets = 20_000
			acks, counted, n := 0, 0, 0
			for pn := range wire.PacketNumber(packets) {
				h.receive(pn)
				n++
				h.now = h.now.Add(tt.gap)
				if !h.a.due(h.now) {
					continue
				}
				h.ack()
				if pn < ackEarly && n > ackPair {
					t.Fatalf("%d packets per ACK at packet %d", n, pn)
				}
				if pn > packets/2 {
					acks, counted = acks+1, counted+n
				}
				n = 0
			}
			if got := counted / acks; got < tt.least || got > tt.most {
				t.Errorf("%d packets per ACK, want %d to %d", got, tt.least, tt.most)
			}
		})
	}
}

func TestAcksAreFrequentAfterAPause(t *testing.T) {
	// draft-ietf-quic-ack-frequency, section 6.1.
	h := newAcksTest(t)
	h.a.setRTT(10 * time.Millisecond)
	pn := wire.PacketNumber(0)
	for ; pn < 5000; pn++ {
		h.receive(pn)
		h.now = h.now.Add(10 * time.Microsecond)
		if h.a.due(h.now) {
			h.ack()
		}
	}
	h.ack()
	h.receive(pn, pn+1)
	h.wantDue(false)
	h.ack()
	h.now = h.now.Add(11 * time.Millisecond)
	h.receive(pn+2, pn+3)
	h.wantDue(true)
}
