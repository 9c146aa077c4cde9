package proto

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// A server that must prove addresses first costs a round trip, once (RFC 9000,
// section 8.1.2).
func TestRetry(t *testing.T) {
	p := newPair(t, pairConfig{endpoint: EndpointConfig{RetryAbove: -1}})
	start := p.now
	p.run(time.Second, func() bool { return p.client().complete })
	if took := p.now.Sub(start); took != 4*p.delay {
		t.Errorf("the handshake took %v, want two round trips of %v", took, 2*p.delay)
	}
	p.handshake()
	if !p.client().Stats().Retried || !p.server().Stats().Retried {
		t.Error("no Retry took place")
	}
	if !p.server().path0.amp.validated() {
		t.Error("the address is not taken for proved")
	}
	x := newTransfer(p, wire.Client, 1, 100_000)
	p.run(time.Minute, x.done)
	x.check()
}

// The token of a NEW_TOKEN frame spares the next connection the Retry.
func TestAddressTokenSparesTheRetry(t *testing.T) {
	p := newPair(t, pairConfig{endpoint: EndpointConfig{RetryAbove: -1}})
	p.handshake()
	p.run(time.Second, func() bool { return p.ends[wire.Client].token != nil })
	cfg := p.client().cfg
	p.client().Close(p.now, 0, "")
	p.idle(time.Second)
	p.dial(cfg, p.ends[wire.Client].token)
	start := p.now
	p.run(time.Second, func() bool { return p.client().complete })
	if took := p.now.Sub(start); took != 2*p.delay || p.client().Stats().Retried {
		t.Errorf("with a token the handshake took %v, Retry: %v", took, p.client().Stats().Retried)
	}
}

// 0-RTT data is in the first flight: the server's application has it half a round
// trip after the client began.
func TestEarlyDataInTheFirstFlight(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{EarlyData: true}, server: Config{EarlyData: true}})
	p.handshake()
	p.idle(100 * time.Millisecond) // the ticket comes
	cfg := p.client().cfg
	p.client().Close(p.now, 0, "")
	p.idle(time.Second)

	p.dial(cfg, nil)
	start := p.now
	x := newTransfer(p, wire.Client, 1, 1000)
	p.run(time.Second, x.done)
	if took := p.now.Sub(start); took != p.delay {
		t.Errorf("0-RTT data arrived after %v, want %v", took, p.delay)
	}
	x.check()
	p.handshake()
	if !p.client().Stats().EarlyData || !p.server().Stats().EarlyData {
		t.Errorf("0-RTT accepted: client says %v, server %v", p.client().Stats().EarlyData, p.server().Stats().EarlyData)
	}
	if !p.client().ConnectionState().DidResume {
		t.Error("the session was not resumed")
	}
}

// After a Retry 0-RTT data goes again, in 0-RTT, and what went before is no loss.
func TestEarlyDataAfterRetry(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{EarlyData: true}, server: Config{EarlyData: true}})
	p.handshake()
	p.idle(100 * time.Millisecond)
	cfg := p.client().cfg
	p.client().Close(p.now, 0, "")
	p.idle(time.Second)
	p.ends[wire.Server].endpoint.cfg.RetryAbove = -1
	p.dial(cfg, nil)
	start := p.now
	x := newTransfer(p, wire.Client, 1, 1000)
	p.run(time.Second, x.done)
	if took := p.now.Sub(start); took != 3*p.delay {
		t.Errorf("0-RTT data arrived after %v, want %v", took, 3*p.delay)
	}
	x.check()
	p.handshake()
	p.idle(100 * time.Millisecond)
	if c := p.client(); !c.retried || !c.Stats().EarlyData || c.path0.lostPackets != 0 {
		t.Errorf("retried %v, 0-RTT %v, %d packets lost", c.retried, c.Stats().EarlyData, c.path0.lostPackets)
	}
}

// Without the application's word nothing goes in 0-RTT, on either side.
func TestEarlyDataIsTheApplicationsChoice(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		t.Run("not the "+side.String()+"'s", func(t *testing.T) {
			c := pairConfig{client: Config{EarlyData: side != wire.Client}, server: Config{EarlyData: side != wire.Server}}
			p := newPair(t, c)
			p.handshake()
			p.idle(100 * time.Millisecond)
			cfg := p.client().cfg
			p.client().Close(p.now, 0, "")
			p.idle(time.Second)
			p.dial(cfg, nil)
			if _, err := p.client().OpenStream(wire.Bidi); !errors.Is(err, ErrBlocked) {
				t.Errorf("opened a stream before the handshake: %v", err)
			}
			p.handshake()
			if !p.client().ConnectionState().DidResume || p.client().Stats().EarlyData {
				t.Errorf("resumed %v, 0-RTT %v", p.client().ConnectionState().DidResume, p.client().Stats().EarlyData)
			}
		})
	}
}

// RFC 9001, section 4.6.2: when 0-RTT is rejected, the state of all streams MUST be reset:
// their data goes again in 1-RTT packets.
func TestEarlyDataRefused(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{EarlyData: true}, server: Config{EarlyData: true}})
	p.handshake()
	p.idle(100 * time.Millisecond)
	cfg := p.client().cfg
	p.client().Close(p.now, 0, "")
	p.idle(time.Second)

	server := *p.ends[wire.Server].endpoint.cfg.Server
	server.ConnWindow, server.StreamWindow = 1<<19, 1<<18 // not what the ticket says
	if err := p.ends[wire.Server].endpoint.SetServer(&server); err != nil {
		t.Fatal(err)
	}
	p.dial(cfg, nil)
	x := newTransfer(p, wire.Client, 3, 300_000)
	p.run(time.Minute, x.done)
	x.check()
	if p.ends[wire.Client].seen[EarlyRejected] != 1 {
		t.Errorf("EarlyRejected came %d times, want once", p.ends[wire.Client].seen[EarlyRejected])
	}
}

func TestKeyUpdates(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		t.Run(side.String(), func(t *testing.T) {
			p := newPair(t, pairConfig{})
			p.handshake()
			for n := range 3 {
				x := newTransfer(p, wire.Client, 1, 1<<20)
				begun := false
				p.run(time.Minute, func() bool {
					begun = begun || p.ends[side].conn.UpdateKeys(p.now) == nil
					return x.done() && begun && p.ends[side.Peer()].conn.Stats().PeerKeyUpdates == n+1
				})
				x.check()
				p.idle(time.Second)
			}
			if own := p.ends[side].conn.Stats().KeyUpdates; own != 3 {
				t.Errorf("%d updates, want 3", own)
			}
		})
	}
}

// A NAT that gives the client another port in mid-transfer harms nothing (RFC 9000,
// section 9.3).
func TestNATRebinding(t *testing.T) {
	for _, tt := range []struct {
		name string
		to   netip.AddrPort
	}{
		{"port", netip.AddrPortFrom(clientAddr.Addr(), 5005)},
		{"address", netip.MustParseAddrPort("203.0.113.9:5005")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t, pairConfig{})
			p.handshake()
			x := newTransfer(p, wire.Client, 1, 3<<20)
			p.run(time.Minute, func() bool { x.pump(); return x.arrived() > 1<<20 })
			// The client knows nothing of it: what goes to the new address reaches it.
			e := p.ends[wire.Client]
			e.addr = tt.to
			e.conn.path0.local = tt.to
			p.run(time.Minute, x.done)
			x.check()
			if _, remote := p.server().Addresses(); remote != tt.to || !p.server().path0.amp.validated() {
				t.Errorf("the server sends to %v, validated %v; want %v", remote, p.server().path0.amp.validated(), tt.to)
			}
			if p.ends[wire.Server].seen[PathChanged] != 1 {
				t.Errorf("PathChanged came %d times, want once", p.ends[wire.Server].seen[PathChanged])
			}
		})
	}
}

func TestClientMigration(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.handshake()
	p.idle(100 * time.Millisecond) // spare connection IDs come
	x := newTransfer(p, wire.Client, 1, 3<<20)
	p.run(time.Minute, func() bool { x.pump(); return x.arrived() > 1<<20 })
	before := p.client().path0.peer.current()
	to := netip.MustParseAddrPort("203.0.113.9:5005")
	if err := p.client().Rebind(p.now, 0, to); err != nil {
		t.Fatal(err)
	}
	// RFC 9000, section 9.4: congestion control and RTT MUST begin anew on the new path.
	if d := p.client().path0.det; d.RTT().HasSample || d.BytesInFlight() != 0 {
		t.Errorf("on the new path the RTT is %v, %d bytes are in flight", d.RTT(), d.BytesInFlight())
	}
	p.ends[wire.Client].addr = to
	serverUsed := p.server().path0.peer.current()
	p.run(time.Minute, x.done)
	x.check()
	if p.client().path0.peer.current() == before || p.server().path0.peer.current() == serverUsed {
		t.Error("a connection ID is used on two paths") // RFC 9000, section 9.5: MUST NOT
	}
	if p.ends[wire.Client].seen[PathChanged] != 1 || p.ends[wire.Server].seen[PathChanged] != 1 {
		t.Errorf("PathChanged: client %d, server %d", p.ends[wire.Client].seen[PathChanged], p.ends[wire.Server].seen[PathChanged])
	}
}

// RFC 9000, section 9.3.2: when the validation of a peer's new address fails, an endpoint
// MUST go back to the last one that was validated.
func TestServerGoesBackAfterFailedMove(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.handshake()
	p.idle(100 * time.Millisecond)
	// Somebody on the path repeats one packet from another address.
	spoof := netip.MustParseAddrPort("203.0.113.66:6666")
	done := false
	p.fate = func(from wire.Perspective, d *flying) (int, time.Duration) {
		if from == wire.Client && !done {
			d.from, done = spoof, true
		}
		return 1, 0
	}
	s, err := p.client().OpenStream(wire.Bidi)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	p.run(time.Second, func() bool { _, remote := p.server().Addresses(); return remote == spoof })
	p.idle(3 * time.Second)
	if _, remote := p.server().Addresses(); remote != clientAddr {
		t.Errorf("the server talks to %v, want the address that was validated", remote)
	}
	if p.server().err != nil || p.client().err != nil {
		t.Errorf("ended: server %v, client %v", p.server().err, p.client().err)
	}
}

func TestPathMTUIsFound(t *testing.T) {
	for _, mtu := range []int{1200, 1280, 1372, 1472, 4000, 8972, 65507} {
		p := newPair(t, pairConfig{})
		p.mtu = mtu
		p.handshake()
		x := newTransfer(p, wire.Client, 1, 4<<20)
		p.run(time.Minute, x.done)
		x.check()
		p.idle(10 * time.Second)
		if got := int(p.client().path0.mtu.size()); got > mtu || got < mtu-20 {
			t.Errorf("on a path of %d bytes the client uses %d", mtu, got)
		}
	}
}

// The path's MTU shrinks without a word (a black hole, RFC 8899, section 4.3).
func TestPathMTUShrinks(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.handshake()
	x := newTransfer(p, wire.Client, 1, 6<<20)
	p.run(time.Minute, func() bool { x.pump(); return x.arrived() > 2<<20 })
	if got := p.client().path0.mtu.size(); got != 1472 {
		t.Fatalf("before: %d", got)
	}
	p.mtu = 1300
	p.run(time.Minute, x.done)
	x.check()
	if got := p.client().path0.mtu.size(); got > 1300 {
		t.Errorf("the client still sends %d bytes", got)
	}
}

func TestECNIsUsedAndGivenUp(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{ECN: true}, server: Config{ECN: true}})
	p.handshake()
	x := newTransfer(p, wire.Client, 1, 200_000)
	p.run(time.Minute, x.done)
	if !p.client().Stats().Paths[0].ECN {
		t.Error("marks are off on a path that passes them")
	}

	p = newPair(t, pairConfig{client: Config{ECN: true}, server: Config{ECN: true}})
	p.fate = func(_ wire.Perspective, d *flying) (int, time.Duration) { d.ecn = wire.NotECT; return 1, 0 }
	p.handshake()
	x = newTransfer(p, wire.Client, 1, 200_000)
	p.run(time.Minute, x.done)
	if p.client().Stats().Paths[0].ECN {
		t.Error("marks are on, on a path that clears them") // RFC 9000, section 13.4.2.2: MUST stop
	}
}

func TestStatelessReset(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.handshake()
	p.idle(100 * time.Millisecond)
	// The server forgets the connection.
	server := p.ends[wire.Server]
	server.endpoint.remove(server.conn)
	server.conn.Close(p.now, 0, "")
	server.conn = nil
	s, err := p.client().OpenStream(wire.Bidi)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	p.run(time.Second, func() bool { return p.client().err != nil })
	if !errors.Is(p.client().err, ErrStatelessReset) {
		t.Errorf("the client ended with %v, want a stateless reset", p.client().err)
	}
}

func TestVersionNegotiation(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.fate = func(from wire.Perspective, d *flying) (int, time.Duration) {
		if from == wire.Client {
			copy(d.data[1:5], []byte{0xba, 0xbe, 0xca, 0xfe}) // another version
		}
		return 1, 0
	}
	p.run(time.Second, func() bool { return p.sent > 1 })
	if n := p.ends[wire.Server].endpoint.Len(); n != 0 {
		t.Errorf("the server opened %d connections for a version that it does not speak", n)
	}
	// The answer lists version 1, which the client speaks: MUST discard (RFC 9000, section 6.2).
	p.idle(100 * time.Millisecond)
	if p.client().err != nil {
		t.Errorf("the client ended: %v", p.client().err)
	}
}

func TestDatagrams(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{MaxDatagram: 1500}, server: Config{MaxDatagram: 1500}})
	p.handshake()
	if err := p.client().SendDatagram([]byte("unreliable")); err != nil {
		t.Fatal(err)
	}
	p.run(time.Second, func() bool { return p.ends[wire.Server].seen[DatagramReceived] > 0 })
	v, ok := p.server().ReceiveDatagram()
	if !ok || string(v.Bytes) != "unreliable" {
		t.Errorf("received %q, %v", v.Bytes, ok)
	}
}
