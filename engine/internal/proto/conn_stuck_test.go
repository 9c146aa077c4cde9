package proto

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// A keep-alive that the congestion window holds back is no reason to be called again
// and again: step fails when a timer stays due.
func TestKeepAliveBehindAFullWindow(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{KeepAlive: 100 * time.Millisecond}})
	p.handshake()
	p.fate = func(wire.Perspective, *flying) (int, time.Duration) { return 0, 0 }
	s, err := p.client().OpenStream(wire.Uni)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	p.idle(5 * time.Second)
	if !p.client().pingWanted {
		t.Error("no PING waits: the window was not full")
	}
}

// RFC 9002, section 7.5: probe packets MUST NOT be blocked by the controller: one leaves
// for each PTO though the window is full.
func TestProbesPassAFullWindow(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, pairConfig{})
	out, err := s.conn.OpenStream(wire.Uni)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	s.drain()
	s.waits(20 * time.Millisecond) // for the pacer, and less than a PTO
	det := s.conn.path0.det
	for n := range 3 {
		if budget, _ := det.Budget(s.now(), 64<<10); budget != 0 {
			t.Fatalf("the window has room for %d bytes", budget)
		}
		s.got = nil
		for expired := det.PTOCount(); det.PTOCount() == expired; {
			s.waits(time.Millisecond)
		}
		if len(s.got) == 0 {
			t.Errorf("no probe after %d PTOs", n+1)
		}
	}
}

// What a server sends before the client is done may fill the window and be lost. The
// handshake goes on all the same, though no timer runs for application data (RFC
// 9002, section 6.2.1).
func TestHandshakeBehindAFullWindow(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 0))
		p := newPair(t, pairConfig{client: Config{HandshakeTimeout: time.Minute}, server: Config{HandshakeTimeout: time.Minute}})
		p.fate = func(wire.Perspective, *flying) (int, time.Duration) {
			if r.IntN(3) > 0 {
				return 1, 0
			}
			return 0, 0
		}
		early := false
		p.run(50*time.Second, func() bool {
			if s := p.server(); s != nil && !early {
				if out, err := s.OpenStream(wire.Uni); err == nil {
					_, err = out.Write(make([]byte, 1<<20))
					early = err == nil
				}
			}
			return p.server() != nil && p.confirmed()
		})
		if !early {
			t.Error("the server sent nothing early")
		}
	}
}

// A server believes the connection ID of a client's Initial once it opens one: a bit
// that changed on the way must not have the next Initial dropped.
func TestFirstInitialIsDamaged(t *testing.T) {
	p := newPair(t, pairConfig{})
	damaged := false
	p.fate = func(from wire.Perspective, d *flying) (int, time.Duration) {
		if from == wire.Client && !damaged {
			const length, dst = 5, 6
			d.data[dst+int(d.data[length])+1] ^= 1 // of the source connection ID
			damaged = true
		}
		return 1, 0
	}
	p.handshake()
}

// RFC 9000, section 8.2.4: an endpoint without another path can wait for the one that
// does not answer.
func TestMigrationThroughABlackout(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.handshake()
	p.idle(100 * time.Millisecond) // spare connection IDs come
	to := netip.MustParseAddrPort("203.0.113.9:5005")
	if err := p.client().Rebind(p.now, 0, to); err != nil {
		t.Fatal(err)
	}
	p.ends[wire.Client].addr = to
	p.fate = func(wire.Perspective, *flying) (int, time.Duration) { return 0, 0 }
	p.idle(8 * time.Second)
	p.fate = nil
	x := newTransfer(p, wire.Client, 1, 100_000)
	p.run(20*time.Second, x.done)
	x.check()
	p.run(20*time.Second, func() bool { return p.ends[wire.Client].seen[PathChanged] == 1 })
}

// That a validated address carries 1200 bytes is still to be shown (RFC 9000, section
// 8.2.1) when everything is lost for a while: this is not the connection's end.
func TestSecondValidationThroughABlackout(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{KeepAlive: time.Second}})
	p.handshake()
	e := p.ends[wire.Client]
	e.addr = netip.AddrPortFrom(clientAddr.Addr(), 5005) // a NAT's doing
	e.conn.path0.local = e.addr
	e.conn.Ping()
	// The PING is small, and so is the challenge that it pays for.
	p.run(time.Second, func() bool { return p.ends[wire.Server].seen[PathChanged] == 1 })
	if !p.server().path0.challenge.running() {
		t.Fatal("there is no second validation")
	}
	p.fate = func(wire.Perspective, *flying) (int, time.Duration) { return 0, 0 }
	p.idle(3 * time.Second)
	p.fate = nil
	x := newTransfer(p, wire.Client, 1, 100_000)
	p.run(20*time.Second, x.done)
	x.check()
	p.run(20*time.Second, func() bool { return !p.server().path0.challenge.running() })
}

// A peer that has a path validated before it sends on it acknowledges nothing there,
// so the window stays full: the answer goes as a probe (RFC 9002, section 7: probes may
// pass).
func TestChallengeBehindAFullWindow(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.handshake()
	p.idle(time.Second)
	p.fate = func(from wire.Perspective, d *flying) (int, time.Duration) {
		if from == wire.Server && wire.ByteCount(len(d.data)) != minUDPPayload {
			return 0, 0 // all but challenges
		}
		return 1, 0
	}
	s, err := p.client().OpenStream(wire.Uni)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	p.idle(100 * time.Millisecond)
	if d := p.client().path0.det; d.BytesInFlight()+minUDPPayload <= d.State().Window {
		t.Fatal("the window is not full")
	}
	c := p.server()
	c.path0.challenge.start(p.now, 10*time.Second, c.randomData)
	p.run(20*time.Second, func() bool { return !c.path0.challenge.running() })
	if c.path0.challenge.failed() {
		t.Error("the challenge was not answered")
	}
}
