package proto

import (
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// asking is a download over lines, and what came of it at the client.
type asking struct {
	perAck float64 // packets of the server for one of the client
	took   time.Duration
	wishes []ackWish // of the client, in order
	seqs   []uint64
	b      *bond
}

// download has the server send, with a client that acknowledges every other packet, as RFC
// 9000 has it, or as this engine does.
func download(t *testing.T, ask, pairs bool, bytes int, lines ...line) asking {
	t.Helper()
	b := newBond(t, 4, "", slices.Clone(lines))
	b.openAll()
	b.client().cfg.AskAcks, b.server().cfg.AskAcks = ask, ask
	out := asking{b: b}
	sent := func(side wire.Perspective) (n uint64) {
		for _, p := range b.ends[side].conn.open {
			n += p.sentPackets
		}
		return n
	}
	x := newTransfer(b.pair, wire.Server, 1, bytes)
	start, up, down := b.now, sent(wire.Client), sent(wire.Server)
	b.run(time.Minute, func() bool {
		for _, p := range b.client().open {
			if pairs {
				p.spaces[recovery.SpaceApplication].acks.setRTT(0) // by twos
			}
		}
		if a := &b.client().ackFreq; a.hasWish && (len(out.seqs) == 0 || out.seqs[len(out.seqs)-1] != a.newest) {
			out.seqs, out.wishes = append(out.seqs, a.newest), append(out.wishes, a.wish)
		}
		return x.done()
	})
	x.check()
	out.took = b.now.Sub(start)
	out.perAck = float64(sent(wire.Server)-down) / float64(sent(wire.Client)-up)
	return out
}

// A peer that acknowledges every other packet is asked for less, over one path and over
// two, within what the fastest path and the smallest window allow.
func TestAsksForFewerAcks(t *testing.T) {
	near, far := line{delay: 10 * time.Millisecond, rate: 6e6}, line{delay: 30 * time.Millisecond, rate: 6e6}
	for name, lines := range map[string][]line{"one path": {near}, "two": {near, far}} {
		t.Run(name, func(t *testing.T) {
			without := download(t, false, true, 12<<20, lines...)
			with := download(t, true, true, 12<<20, lines...)
			if len(without.wishes) != 0 {
				t.Errorf("asked for %v without the option", without.wishes)
			}
			if with.perAck < 2*without.perAck {
				t.Errorf("%.1f packets for an ACK, %.1f without asking", with.perAck, without.perAck)
			}
			if with.took > without.took*11/10 {
				t.Errorf("it took %v, and %v without asking", with.took, without.took)
			}
			// draft-ietf-quic-ack-frequency, section 4: sequence numbers MUST increase.
			for i, w := range with.wishes {
				if i > 0 && with.seqs[i] <= with.seqs[i-1] {
					t.Errorf("sequence numbers %v", with.seqs)
				}
				if w.threshold < leastAsked || w.threshold > maxAckEvery || w.reordering != askReordering {
					t.Errorf("asked for %+v", w)
				}
			}
			if len(with.wishes) == 0 {
				t.Fatal("nothing was asked")
			}
			if w := with.wishes[len(with.wishes)-1]; w.maxDelay < 20*time.Millisecond/askDelayShare || w.maxDelay > maxAckDelay {
				t.Errorf("asked for %v last", w.maxDelay)
			}
			if got := with.b.server().peerAckDelay(); got != with.b.client().ackFreq.wish.maxDelay {
				t.Errorf("one side knows of a delay of %v, the other of %v", got, with.b.client().ackFreq.wish.maxDelay)
			}
		})
	}
}

// This engine's own receiver is not asked: it acknowledges little more than it must.
func TestAsksNotWhereItDoesNotPay(t *testing.T) {
	d := download(t, true, false, 12<<20, line{delay: 10 * time.Millisecond, rate: 6e6})
	if len(d.wishes) != 0 {
		t.Errorf("asked for %v, though %.1f packets went for an ACK", d.wishes, d.perAck)
	}
}

// A peer is asked again when what suits the paths has changed by a factor of two, at once
// after a move to another network, and never for less than it can.
func TestAsksAgain(t *testing.T) {
	d := download(t, true, true, 8<<20, line{delay: 10 * time.Millisecond, rate: 6e6})
	c, p := d.b.server(), d.b.server().path0
	if len(d.wishes) == 0 {
		t.Fatal("nothing was asked")
	}
	p.det.OnSent(recovery.SpaceApplication, recovery.Sent{Number: p.spaces[recovery.SpaceApplication].next, Time: d.b.now, Size: 1200, AckEliciting: true, InFlight: true})
	again := func() bool {
		t.Helper()
		if !p.carrying() {
			t.Fatal("the path carries nothing: the test shows nothing")
		}
		before := c.ackFreq.asked.Sequence
		c.ask()
		asked := c.ackFreq.state == frameQueued
		if asked != (c.ackFreq.asked.Sequence == before+1) {
			t.Errorf("sequence number %d after %d", c.ackFreq.asked.Sequence, before)
		}
		c.ackFreq.state = frameKnown
		return asked
	}
	if c.ackFreq.anew = true; !again() {
		t.Error("not asked again after a move")
	}
	if again() {
		t.Error("asked again though nothing changed")
	}
	delay := c.ackFreq.asked.MaxAckDelay
	if c.ackFreq.asked.MaxAckDelay = delay*2 - 1; again() {
		t.Error("asked again for less than a factor of two")
	}
	for _, other := range []uint64{delay*2 + 1, delay/2 - 1} {
		if c.ackFreq.asked.MaxAckDelay = other; !again() || c.ackFreq.asked.MaxAckDelay != delay {
			t.Errorf("asked for %d us and now for %d, want %d", other, c.ackFreq.asked.MaxAckDelay, delay)
		}
	}
	if c.ackFreq.asked.Threshold *= 2; !again() {
		t.Error("not asked again though the threshold is twice what it should be")
	}
	c.peer.MinAckDelay = p.det.RTT().Smoothed
	if c.ackFreq.anew = true; again() {
		t.Error("asked for less than the peer's min_ack_delay")
	}
	c.ackFreq.anew, p.moved = false, true
	if c.resetPath(d.b.now, p); !c.ackFreq.anew {
		t.Error("a move to another network has nothing asked again")
	}
}
