package proto

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// newServerEndpoint returns an endpoint that takes connections.
func newServerEndpoint(t testing.TB, c EndpointConfig) *Endpoint {
	t.Helper()
	tls, _ := testTLS(t)
	c.Server, c.Random = &Config{TLS: tls}, seeded(9)
	e, err := NewEndpoint(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// answer hands a datagram to an endpoint and returns what answers it.
func answer(e *Endpoint, now clock.Time, from netip.AddrPort, b []byte) (Route, []byte) {
	r := e.Handle(now, &Datagram{Local: serverAddr, Remote: from, Data: b})
	tr := Transmit{Buf: make([]byte, 0, 4096), MaxSegments: 1}
	if !e.AppendResponse(&tr) {
		return r, nil
	}
	return r, bytes.Clone(tr.Buf)
}

// initial returns a client's first datagram: an Initial packet with a PING.
func initial(dst, src wire.ConnID, token []byte, size int) []byte {
	seal, _ := handshake.InitialKeys(wire.Version1, dst, wire.Client)
	const pnLen = 4
	h := wire.LongHeader{Type: wire.PacketInitial, Version: wire.Version1, DstID: dst, SrcID: src, Token: token}
	payload := make([]byte, max(4, size-wire.LongHeaderLen(h, pnLen)-tagSize))
	payload[0] = byte(wire.TypePing)
	h.Length = pnLen + len(payload) + tagSize
	header := wire.AppendLong(nil, h, 0, pnLen)
	b := seal.Seal(bytes.Clone(header), header, payload, 0, 0)
	seal.Protect(b, len(header)-pnLen, pnLen)
	return b
}

// unknown returns a datagram of another version.
func unknown(version wire.Version, size int) []byte {
	dst, src := someID(1), someID(2)
	b := wire.AppendVersionNegotiation(nil, dst.Bytes(), src.Bytes(), nil, 0)
	b[1], b[2], b[3], b[4] = byte(version>>24), byte(version>>16), byte(version>>8), byte(version)
	return append(b, make([]byte, size-len(b))...)
}

func TestEndpointDropsAndAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		data    []byte
		opens   bool
		answers bool
	}{
		{"an Initial", initial(someID(1), someID(2), nil, 1200), true, false},
		// RFC 9000, section 14.1: MUST discard an Initial in less than 1200 bytes.
		{"a small Initial", initial(someID(1), someID(2), nil, 1199), false, false},
		// Section 7.2: the client's choice MUST be 8 bytes at least.
		{"a short ID", initial(wire.NewConnID(make([]byte, 7)), someID(2), nil, 1200), false, false},
		// Section 6.1: another version is answered; 5.2.2: MUST drop small ones; 6.1: MUST NOT
		// answer a Version Negotiation packet.
		{"another version", unknown(0xbabecafe, 1200), false, true},
		{"another version, small", unknown(0xbabecafe, 1199), false, false},
		{"Version Negotiation", unknown(0, 1200), false, false},
		// Section 5.2.2: MUST drop everything else.
		{"nothing", nil, false, false},
		{"one byte", []byte{0xc0}, false, false},
		{"a Handshake packet", append([]byte{0xe0}, initial(someID(1), someID(2), nil, 1200)[1:]...), false, false},
		// Section 10.3: a short header of no connection is answered by a reset, if it is long enough.
		{"short header", append([]byte{0x40}, make([]byte, 99)...), false, true},
		{"short header, too small", append([]byte{0x40}, make([]byte, 20)...), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newServerEndpoint(t, EndpointConfig{})
			r, got := answer(e, 1, clientAddr, bytes.Clone(tt.data))
			if r.New != tt.opens || (got != nil) != tt.answers {
				t.Fatalf("opened %v, answered by %d bytes", r.New, len(got))
			}
			// Section 8.1: MUST NOT be more than three times what came; section 10.3.3: a reset
			// MUST be smaller.
			if len(got) > 3*len(tt.data) || (got != nil && !wire.IsLong(got[0]) && len(got) >= len(tt.data)) {
				t.Errorf("%d bytes answer %d", len(got), len(tt.data))
			}
			if r.Conn != nil {
				r.Conn.Close(1, 0, "")
			}
		})
	}
}

// RFC 9000, section 17.2.1: the IDs MUST be echoed, crosswise.
func TestVersionNegotiationEchoesIDs(t *testing.T) {
	_, got := answer(newServerEndpoint(t, EndpointConfig{}), 1, clientAddr, unknown(0xbabecafe, 1200))
	h, err := wire.ParseLong(got)
	if err != nil || h.DstID != someID(2) || h.SrcID != someID(1) || wire.ParseVersions(got)[0] != wire.Version1 {
		t.Errorf("answered %+v, %v", h, err)
	}
}

// RFC 9000, section 10.3.3: two endpoints that reset each other MUST come to an end.
func TestResetLoopEnds(t *testing.T) {
	a, b := newServerEndpoint(t, EndpointConfig{}), newServerEndpoint(t, EndpointConfig{ResetKey: [32]byte{1}})
	data := append([]byte{0x40}, make([]byte, 1400)...)
	n := 0
	for ; data != nil && n < 1000; n++ {
		_, data = answer(a, 1, clientAddr, data)
		a, b = b, a
	}
	if n < 2 || n > 100 {
		t.Errorf("%d resets went to and fro", n)
	}
}

// RFC 9000, section 8.1.2: a Retry token is for one address and one attempt; a false one
// ends the attempt.
func TestRetryToken(t *testing.T) {
	e := newServerEndpoint(t, EndpointConfig{RetryAbove: -1})
	_, got := answer(e, 1, clientAddr, initial(someID(1), someID(2), nil, 1200))
	h, err := wire.ParseLong(got)
	if err != nil || h.Type != wire.PacketRetry || h.SrcID == someID(1) || !handshake.CheckRetry(someID(1), got) { // 17.2.5.1: MUST NOT be the same
		t.Fatalf("answered %+v, %v; want a Retry", h, err)
	}
	for _, tt := range []struct {
		name  string
		from  netip.AddrPort
		dst   wire.ConnID
		now   clock.Time
		opens bool
	}{
		{"elsewhere", stranger, h.SrcID, 1, false},
		{"to another ID", clientAddr, someID(3), 1, false},
		{"too late", clientAddr, h.SrcID, clock.Time(time.Hour), false},
		{"as it should be", clientAddr, h.SrcID, 1, true},
	} {
		r, got := answer(e, tt.now, tt.from, initial(tt.dst, someID(2), h.Token, 1200))
		if r.New != tt.opens {
			t.Errorf("%s: opened %v", tt.name, r.New)
		}
		if tt.opens {
			if !r.Conn.path0.amp.validated() {
				t.Errorf("%s: the address is not validated", tt.name)
			}
			r.Conn.Close(1, 0, "")
			continue
		}
		if code := closeCode(t, got, tt.dst); code != wire.InvalidToken {
			t.Errorf("%s: closed with %v, want INVALID_TOKEN", tt.name, code)
		}
	}
}

// closeCode opens a server's Initial packet and returns the code of its close.
func closeCode(t *testing.T, b []byte, dst wire.ConnID) wire.ErrorCode {
	t.Helper()
	h, err := wire.ParseLong(b)
	if err != nil {
		t.Fatal(err)
	}
	_, open := handshake.InitialKeys(wire.Version1, dst, wire.Client)
	_, n, ok := open.Unprotect(b, h.PNOffset)
	if !ok {
		t.Fatal("a packet that is too short")
	}
	at := h.PNOffset + n
	plain, err := open.Open(nil, b[:at], b[at:h.End], 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, f, _, err := wire.ParseFrame(plain)
	if err != nil {
		t.Fatal(err)
	}
	return wire.ErrorCode(f.(wire.ConnectionClose).Code)
}

// A flood of Initials from many addresses: past RetryAbove all get a Retry, and the
// connections that nothing comes of are forgotten.
func TestInitialFlood(t *testing.T) {
	const above = 20
	e := newServerEndpoint(t, EndpointConfig{RetryAbove: above})
	now := clock.Time(time.Second)
	var conns []*Conn
	retries := 0
	for n := range uint16(500) {
		from := netip.AddrPortFrom(clientAddr.Addr(), 1+n)
		r, got := answer(e, now, from, initial(someID(uint64(n)), someID(7), nil, 1200))
		if r.New {
			r.Conn.HandleDatagram(now, &Datagram{Local: serverAddr, Remote: from, Data: initial(someID(uint64(n)), someID(7), nil, 1200)})
			conns = append(conns, r.Conn)
		}
		if got != nil {
			retries++
		}
	}
	if len(conns) != above || retries != 500-above || e.halfOpen != above || e.Len() != above {
		t.Fatalf("%d connections, %d Retries, %d half open; want %d, %d", len(conns), retries, e.halfOpen, above, 500-above)
	}
	tr := Transmit{Buf: make([]byte, 0, 4096), MaxSegments: 1}
	for _, c := range conns {
		for n := 0; c.NextTimeout() != clock.Never; n++ {
			if n > 1000 || c.NextTimeout() > now.Add(2*defaultHandshakeTimeout) {
				t.Fatalf("a handshake that nothing comes of goes on: %v", c.timers())
			}
			at := max(now, c.NextTimeout())
			c.HandleTimeout(at)
			for c.AppendTransmit(at, &tr) {
			}
		}
		if p := c.path0; p.amp.out > amplificationFactor*p.amp.in {
			t.Errorf("%d bytes sent for %d", p.amp.out, p.amp.in)
		}
		for ev, ok := c.NextEvent(); ok; ev, ok = c.NextEvent() {
			e.HandleEvent(c, ev)
		}
	}
	if n := e.halfOpen + e.Len() + len(e.routes); n != 0 {
		t.Errorf("%d half open, %d connections, %d routes are left", e.halfOpen, e.Len(), len(e.routes))
	}
}

// Garbage for an endpoint with connections costs no memory and hurts none of them:
// neither the one that it is addressed to, nor another.
func TestGarbageFlood(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.handshake()
	p.idle(100 * time.Millisecond)
	bystander := [2]*Conn{p.client(), p.server()}
	p.dial(p.client().cfg, nil)
	p.handshake()
	p.idle(100 * time.Millisecond)
	e := p.ends[wire.Server].endpoint
	rng := rand.New(rand.NewPCG(3, 4))
	id := p.server().local.InitialSrcID
	b := make([]byte, 1400)
	flood := func(n int) {
		tr := Transmit{Buf: make([]byte, 0, 64<<10), MaxSegments: 1}
		for range n {
			d := b[:rng.IntN(len(b))]
			for i := 0; i < len(d); i += 7 {
				d[i] = byte(rng.Uint32())
			}
			if rng.IntN(3) == 0 && len(d) > 10 { // for the live connection, it seems
				d[0] = 0x40 | d[0]&0x3f
				copy(d[1:], id.Bytes())
			}
			r := e.Handle(p.now, &Datagram{Local: serverAddr, Remote: clientAddr, Data: d})
			if r.New {
				t.Fatal("garbage opened a connection")
			}
			if r.Conn != nil {
				r.Conn.HandleDatagram(p.now, &Datagram{Local: serverAddr, Remote: clientAddr, Data: d})
			}
			for e.AppendResponse(&tr) {
			}
		}
	}
	flood(1000)
	before := heap()
	flood(100_000)
	if after := heap(); after > before+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if p.server().err != nil {
		t.Fatalf("the connection ended with %v", p.server().err)
	}
	x := newTransfer(p, wire.Client, 2, 100_000)
	p.run(time.Minute, x.done)
	x.check()

	for side, c := range bystander {
		p.ends[side].conn, p.ends[side].readable = c, nil
	}
	x = newTransfer(p, wire.Client, 2, 100_000)
	p.run(time.Minute, x.done)
	x.check()
}
