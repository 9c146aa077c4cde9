package handshake

import (
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// RFC 9001, section 6.1: whoever begins, both ends go on with new keys in both
// directions, time after time.
func TestKeyUpdates(t *testing.T) {
	for _, id := range suites {
		t.Run(tls.CipherSuiteName(id), func(t *testing.T) {
			e := newEnds(t, id)
			pn := wire.PacketNumber(0)
			for i := range 6 {
				first, second := e.me, e.it
				if i%2 == 1 {
					first, second = second, first
				}
				e.exchange(0, pn)
				e.advance(3 * testPTO)
				e.mustUpdate(first)
				e.mustOpen(second, e.seal(first, 0, pn+1))
				if first.Phase() != second.Phase() || first.Phase() != uint8(i+1)&1 {
					t.Fatalf("after update %d the phases are %d and %d", i+1, first.Phase(), second.Phase())
				}
				e.advance(0) // derives the next keys
				e.mustOpen(first, e.seal(second, 0, pn+1))
				pn += 2
			}
			if e.me.OwnUpdates() != 3 || e.me.PeerUpdates() != 3 || e.it.OwnUpdates() != 3 || e.it.PeerUpdates() != 3 {
				t.Errorf("own and peer's updates: %d, %d and %d, %d; want 3 each",
					e.me.OwnUpdates(), e.me.PeerUpdates(), e.it.OwnUpdates(), e.it.PeerUpdates())
			}
		})
	}
}

func TestSimultaneousUpdates(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
	e.exchange(0, 0)
	e.mustUpdate(e.me)
	e.mustUpdate(e.it)
	e.wantPhases(1, 1)
	e.exchange(0, 1)
	if e.me.PeerUpdates() != 0 || e.it.PeerUpdates() != 0 || e.me.OwnUpdates() != 1 {
		t.Errorf("an update at both ends at once counts as %d own and %d, %d of the peer", e.me.OwnUpdates(), e.me.PeerUpdates(), e.it.PeerUpdates())
	}
}

// RFC 9001, section 6.1: an update MUST NOT be initiated before the handshake is
// confirmed, nor again before a packet of the current phase was acknowledged; section
// 6.5: three PTO SHOULD pass after that.
func TestWhenToUpdate(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
	e.me.confirmed = false
	refused := func(why string) {
		t.Helper()
		before := e.me.Phase()
		if e.me.CanUpdate(e.now) {
			t.Errorf("%s: CanUpdate is true", why)
		}
		if err := e.me.Update(e.now); !errors.Is(err, ErrUpdateTooEarly) || e.me.Phase() != before {
			t.Errorf("%s: Update returned %v, phase %d", why, err, e.me.Phase())
		}
	}
	e.exchange(0, 5)
	refused("handshake not confirmed")
	e.me.Confirmed()
	e.mustUpdate(e.me)

	refused("nothing sent in this phase")
	e.advance(time.Hour)
	p := e.seal(e.me, 0, 6)
	refused("nothing acknowledged")
	e.me.Acked(0, 5)
	e.me.Acked(1, 7)
	refused("only a packet of the last phase acknowledged, and one of another path")
	e.mustOpen(e.it, p)
	e.mustOpen(e.me, e.seal(e.it, 0, 6))
	e.me.Acked(0, 6)
	refused("acknowledged just now")
	e.now = e.now.Add(3*testPTO - 1)
	refused("a moment before three PTO")
	e.me.SetPTO(2 * testPTO) // another path's
	e.now = e.now.Add(1)
	refused("three PTO of a faster path")
	e.now = e.now.Add(3 * testPTO)
	e.mustUpdate(e.me)
	e.wantPhases(0, 1)
}

// A path's first packet of a phase is what its acknowledgments are measured by.
func TestAckedOnAnotherPath(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
	e.exchange(0, 100)
	e.mustUpdate(e.me)
	e.seal(e.me, 3, 2)
	e.seal(e.me, 0, 101)
	e.me.Acked(3, 1)
	if e.me.acked {
		t.Error("a packet of path 3 from the last phase counts for this one")
	}
	e.me.Acked(3, 2)
	if !e.me.acked {
		t.Error("a packet of path 3 from this phase does not count")
	}
}

// RFC 9001, sections 6.1 and 6.5: old keys MUST be kept until a packet with new ones
// was opened, and SHOULD go three PTO later.
func TestOldPacketsAfterUpdate(t *testing.T) {
	for _, begins := range []string{"own", "peer's"} {
		t.Run(begins, func(t *testing.T) {
			e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
			e.exchange(0, 10)
			late := []sealedPacket{e.seal(e.it, 0, 11), e.seal(e.it, 1, 3), e.seal(e.it, 0, 12), e.seal(e.it, 1, 4)}
			if begins == "own" {
				e.mustUpdate(e.me)
				e.advance(time.Hour) // nothing has come with the new keys
				e.mustOpen(e.it, e.seal(e.me, 0, 11))
			} else {
				e.mustUpdate(e.it)
			}
			fresh := e.seal(e.it, 0, 13)
			if begins == "own" {
				e.mustOpen(e.me, late[0])
			}
			e.mustOpen(e.me, fresh)
			if begins != "own" {
				e.mustOpen(e.me, late[0])
			}
			e.advance(testPTO)
			e.mustOpen(e.me, e.seal(e.it, 0, 14)) // makes it no longer
			e.advance(2*testPTO - 1)
			e.mustOpen(e.me, late[1]) // path 1 has seen no packet of this phase
			e.advance(1)
			e.wantOpenError(e.me, late[2], 0)
			e.wantOpenError(e.me, late[3], 0)
			e.exchange(0, 20)
			if got := e.me.Timeout(); got != clock.Never {
				t.Errorf("nothing is left to do, but at %d", got)
			}
		})
	}
}

// RFC 9001, section 6.4: old keys on a packet above one with newer keys MUST be a
// KEY_UPDATE_ERROR.
func TestOldKeysOnNewPacket(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
	e.exchange(0, 10)
	wrong, below, elsewhere := e.seal(e.it, 0, 12), e.seal(e.it, 0, 9), e.seal(e.it, 1, 12)
	e.mustUpdate(e.it)
	e.mustOpen(e.me, e.seal(e.it, 0, 13))
	e.advance(0)
	e.mustOpen(e.me, e.seal(e.it, 0, 11)) // late itself
	e.mustOpen(e.me, below)
	e.mustOpen(e.me, elsewhere) // numbers of another path say nothing
	e.wantOpenError(e.me, wrong, wire.KeyUpdateError)

	t.Run("above all, next keys not derived", func(t *testing.T) {
		e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
		e.exchange(0, 10)
		wrong := e.seal(e.it, 0, 12)
		e.mustUpdate(e.it)
		e.mustOpen(e.me, e.seal(e.it, 0, 11))
		e.wantOpenError(e.me, wrong, wire.KeyUpdateError)
	})
}

// RFC 9001, section 6.2: two updates without an acknowledgment between them.
func TestPeerUpdatesTwice(t *testing.T) {
	tests := []struct {
		name    string
		answer  bool // the first update was answered
		code    wire.ErrorCode
		phase   uint8
		updates int
	}{
		{"at once", false, wire.KeyUpdateError, 1, 1},
		{"after an answer", true, 0, 0, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
			e.exchange(0, 0)
			e.mustUpdate(e.it)
			e.mustOpen(e.me, e.seal(e.it, 0, 1))
			e.advance(0)
			if tt.answer {
				e.mustOpen(e.it, e.seal(e.me, 0, 1))
			}
			e.it.acked, e.it.ackedAt = true, 1 // as if: three PTO have not passed either
			e.now = e.now.Add(3 * testPTO)
			e.mustUpdate(e.it)
			p := e.seal(e.it, 0, 2)
			e.now = e.now.Add(-3 * testPTO) // while the keys of phase 0 are kept
			if tt.code != 0 {
				e.wantOpenError(e.me, p, tt.code)
			} else {
				e.mustOpen(e.me, p)
			}
			if e.me.Phase() != tt.phase || e.me.PeerUpdates() != tt.updates {
				t.Errorf("phase %d after %d updates, want %d after %d", e.me.Phase(), e.me.PeerUpdates(), tt.phase, tt.updates)
			}
		})
	}
}

// RFC 9001, section 6.2: the send keys MUST be updated when the peer has updated. It may
// before it has had a packet of ours: the handshake was enough.
func TestPeerUpdatesFirst(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
	e.it.acked = true
	e.mustUpdate(e.it)
	e.mustOpen(e.me, e.seal(e.it, 0, 0))
	e.wantPhases(1, 1)
}

// An owner that calls HandleTimeout late loses nothing: an update finds the next keys
// missing and makes them, and the keys before it stay as long as after any other.
func TestUpdateBeforeHandleTimeout(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
	e.exchange(0, 0)
	e.mustUpdate(e.it)
	e.mustOpen(e.me, e.seal(e.it, 0, 1))
	e.mustOpen(e.it, e.seal(e.me, 0, 1))
	e.mustOpen(e.me, e.seal(e.it, 0, 2))
	e.me.Acked(0, 1)
	late := e.seal(e.it, 0, 3)
	e.now = e.now.Add(3 * testPTO)
	e.mustUpdate(e.me)
	e.advance(0)
	e.mustOpen(e.me, late)
	e.mustOpen(e.it, e.seal(e.me, 0, 2))
	e.mustOpen(e.me, e.seal(e.it, 0, 4))
	e.wantPhases(0, 0)
}

// RFC 9001, section 6.3: keys are not derived while a packet is opened, but before
// the next one.
func TestKeysAreDerivedOutsideOfOpen(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
	e.exchange(0, 0)
	e.mustUpdate(e.it)
	p := e.seal(e.it, 0, 1)
	secret := string(e.me.readSecret)
	e.mustOpen(e.me, p)
	if string(e.me.readSecret) != secret {
		t.Error("Open derived keys")
	}
	if got := e.me.Timeout(); got != e.now {
		t.Errorf("the next keys are due at %d, want at once, %d", got, e.now)
	}
	e.me.HandleTimeout(e.now)
	if e.me.next.aead == nil || e.me.Timeout() != e.now.Add(3*testPTO) {
		t.Errorf("next keys derived: %v, then %d", e.me.next.aead != nil, e.me.Timeout())
	}
}

// A packet with the other Key Phase bit is easy to forge: it changes nothing.
func TestForgedUpdate(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
	e.exchange(0, 0)
	p := e.seal(e.it, 0, 1)
	forged := sealedPacket{p.path, p.pn, append([]byte(nil), p.bytes...)}
	forged.bytes[0] ^= 0x04
	e.wantOpenError(e.me, forged, 0)
	e.wantPhases(0, 0)
	e.mustOpen(e.me, p)
}

// Whatever is lost, late or out of order, and whoever updates when: what is opened is
// right, nothing honest is a breach, and no packet younger than the update before
// last is refused in time.
func TestUpdatesAtRandom(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := newEnds(r, tls.TLS_AES_128_GCM_SHA256)
		sides := [2]*OneRTT{e.me, e.it}
		type flight struct {
			sealedPacket
			sent clock.Time
		}
		var (
			under [2][]flight                                   // on its way to that side
			next  [2][3]wire.PacketNumber                       // per sender and path
			acks  [2]map[wire.PathID]map[wire.PacketNumber]bool // received by that side
			order = func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "which") }
		)
		for i := range acks {
			acks[i] = map[wire.PathID]map[wire.PacketNumber]bool{0: {}, 1: {}, 2: {}}
		}
		for range rapid.IntRange(1, 120).Draw(r, "steps") {
			i := rapid.IntRange(0, 1).Draw(r, "side")
			me, peer := sides[i], 1-i
			switch rapid.SampledFrom([]string{"send", "send", "deliver", "deliver", "ack", "update", "wait"}).Draw(r, "step") {
			case "send":
				path := rapid.IntRange(0, 2).Draw(r, "path")
				under[peer] = append(under[peer], flight{e.seal(me, wire.PathID(path), next[i][path]), e.now})
				next[i][path]++
			case "deliver":
				if len(under[i]) == 0 {
					continue
				}
				n := order(len(under[i]))
				p := under[i][n]
				under[i] = append(under[i][:n], under[i][n+1:]...)
				err := e.open(me, p.sealedPacket)
				switch {
				case err == nil:
					acks[i][p.path][p.pn] = true
				case !errors.Is(err, ErrDecrypt):
					r.Fatalf("an honest packet is a breach: %v", err)
				case e.now.Sub(p.sent) < 3*testPTO:
					r.Fatalf("packet %d of path %d was refused %s after it was sent", p.pn, p.path, e.now.Sub(p.sent))
				}
			case "ack": // a packet with acknowledgments of all, delivered at once
				ack := e.seal(sides[peer], 0, next[peer][0])
				next[peer][0]++
				e.mustOpen(me, ack)
				for path, pns := range acks[peer] {
					for pn := range pns {
						me.Acked(path, pn)
					}
				}
			case "update":
				if err := me.Update(e.now); err != nil && me.CanUpdate(e.now) {
					r.Fatalf("Update: %v", err)
				}
			case "wait":
				e.advance(time.Duration(rapid.IntRange(0, 400).Draw(r, "ms")) * time.Millisecond)
			}
			e.advance(0)
		}
	})
}
