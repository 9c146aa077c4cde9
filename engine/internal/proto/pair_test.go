package proto

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// pair is a client and a server with a network between them that the test controls:
// a delay, and a say in the fate of each datagram.
type pair struct {
	t    testing.TB
	now  clock.Time
	ends [2]*end // by wire.Perspective

	delay time.Duration // one way
	mtu   int           // largest UDP payload that arrives
	// fate, when set, decides on a datagram: how often it arrives (0: lost) and how
	// much later than the delay. It may change its bytes.
	fate func(from wire.Perspective, d *flying) (copies int, late time.Duration)
	air  []flying
	sent int // datagrams
}

// end is one side: its endpoint, its connection, and what it said by events.
type end struct {
	endpoint *Endpoint
	conn     *Conn
	seen     map[EventKind]int
	token    []byte // by AddressToken
	addr     netip.AddrPort
	more     []netip.AddrPort                  // further addresses
	nat      map[netip.AddrPort]netip.AddrPort // what an address looks like from outside
	drained  bool
	closed   []wire.PathID // by PathClosed
	readable []*Stream
}

// flying is a datagram on its way.
type flying struct {
	to       wire.Perspective
	at       clock.Time
	data     []byte
	from, by netip.AddrPort // source and destination
	ecn      wire.ECN
}

var (
	clientAddr = netip.MustParseAddrPort("192.0.2.1:4001")
	serverAddr = netip.MustParseAddrPort("198.51.100.1:443")
)

// seeded is a source of randomness for a test.
func seeded(seed uint64) io.Reader {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	return rand.NewChaCha8(key)
}

type pairConfig struct {
	client, server Config
	endpoint       EndpointConfig // of the server
}

// newPair returns a pair whose client has dialled, with nothing sent yet.
func newPair(t testing.TB, pc pairConfig) *pair {
	t.Helper()
	p := &pair{t: t, now: clock.Time(time.Second), delay: 10 * time.Millisecond, mtu: 1472}
	serverTLS, clientTLS := testTLS(t)
	if pc.client.TLS == nil {
		pc.client.TLS = clientTLS
	}
	if pc.server.TLS == nil {
		pc.server.TLS = serverTLS
	}
	pc.endpoint.Server, pc.endpoint.Random = &pc.server, seeded(2)
	pc.endpoint.ResetKey[0], pc.endpoint.TokenKey[0] = 1, 2
	server, err := NewEndpoint(pc.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewEndpoint(EndpointConfig{Random: seeded(1)})
	if err != nil {
		t.Fatal(err)
	}
	p.ends[wire.Client] = &end{endpoint: client, addr: clientAddr, seen: map[EventKind]int{}}
	p.ends[wire.Server] = &end{endpoint: server, addr: serverAddr, seen: map[EventKind]int{}}
	p.dial(pc.client, nil)
	t.Cleanup(func() {
		for _, e := range p.ends {
			if e.conn != nil && e.conn.state == stateActive {
				e.conn.Close(p.now, 0, "end of test")
			}
		}
	})
	return p
}

// tokenKey is the key of the server's tokens.
func (p *pair) tokenKey() [32]byte { return p.ends[wire.Server].endpoint.cfg.TokenKey }

// dial opens another connection of the client.
func (p *pair) dial(c Config, token []byte) {
	p.t.Helper()
	e := p.ends[wire.Client]
	conn, err := e.endpoint.Dial(p.now, c, e.addr, serverAddr, token)
	if err != nil {
		p.t.Fatal(err)
	}
	e.conn = conn
	p.ends[wire.Server].conn = nil
}

func (p *pair) client() *Conn { return p.ends[wire.Client].conn }
func (p *pair) server() *Conn { return p.ends[wire.Server].conn }

// flush takes everything that a side wants to send and say.
func (p *pair) flush(side wire.Perspective) {
	e := p.ends[side]
	tr := Transmit{Buf: make([]byte, 0, 64<<10), MaxSegments: 64}
	for e.endpoint.AppendResponse(&tr) {
		p.send(side, &tr)
	}
	if e.conn == nil {
		return
	}
	for n := 0; e.conn.AppendTransmit(p.now, &tr); n++ {
		if n > 10_000 {
			p.t.Fatalf("%v: never stops sending", side)
		}
		p.send(side, &tr)
	}
	p.events(e)
}

func (p *pair) events(e *end) {
	for {
		ev, ok := e.conn.NextEvent()
		if !ok {
			return
		}
		e.seen[ev.Kind]++
		e.endpoint.HandleEvent(e.conn, ev)
		switch ev.Kind {
		case AddressToken:
			e.token = ev.Data
		case Drained:
			e.drained = true
		case PathClosed:
			e.closed = append(e.closed, ev.Path)
		case StreamReadable:
			e.readable = append(e.readable, ev.Stream)
		}
	}
}

// send puts the datagrams of a train into the air.
func (p *pair) send(side wire.Perspective, tr *Transmit) {
	for b := tr.Buf; len(b) > 0; {
		n := min(tr.Segment, len(b))
		f := flying{to: side.Peer(), at: p.now.Add(p.delay), data: append([]byte(nil), b[:n]...), from: p.ends[side].source(tr.Local), by: tr.Remote, ecn: tr.ECN}
		b = b[n:]
		p.sent++
		copies, late := 1, time.Duration(0)
		if n > p.mtu {
			continue
		}
		if p.fate != nil {
			copies, late = p.fate(side, &f)
		}
		f.at = f.at.Add(late)
		for range copies {
			g := f
			g.data = append([]byte(nil), f.data...)
			p.air = append(p.air, g)
		}
	}
}

// step goes to the next thing that happens; false when nothing ever will before
// until.
func (p *pair) step(until clock.Time) bool {
	p.flush(wire.Client)
	p.flush(wire.Server)
	next, which := until, -1
	for i := range p.air {
		if p.air[i].at < next || (p.air[i].at == next && which < 0) {
			next, which = p.air[i].at, i
		}
	}
	var due *end
	for _, e := range p.ends {
		if e.conn != nil && max(e.conn.NextTimeout(), p.now) < next {
			next, which, due = max(e.conn.NextTimeout(), p.now), -1, e
		}
	}
	p.now = next
	switch {
	case which >= 0:
		f := p.air[which]
		p.air = append(p.air[:which], p.air[which+1:]...)
		p.deliver(&f)
	case due != nil:
		// What one timer does can make another due at once, a few times.
		for n := 0; n == 0 || due.conn.NextTimeout() <= p.now; n++ {
			if n == 20 {
				p.t.Fatalf("a timer of the %v is due for ever at %v: %+v", due.conn.side, p.now, due.conn.timers())
			}
			due.conn.HandleTimeout(p.now)
			if due.conn.NextTimeout() <= p.now {
				p.flush(wire.Client)
				p.flush(wire.Server)
			}
		}
	default:
		return false
	}
	return true
}

// source returns where a datagram that leaves from local comes from, for its receiver.
func (e *end) source(local netip.AddrPort) netip.AddrPort {
	if outside, ok := e.nat[local]; ok {
		return outside
	}
	if slices.Contains(e.more, local) {
		return local
	}
	return e.addr
}

// inside returns which address of e a datagram to that address reaches.
func (e *end) inside(to netip.AddrPort) (netip.AddrPort, bool) {
	for local, outside := range e.nat {
		if outside == to {
			return local, true
		}
	}
	_, moved := e.nat[to]
	return to, !moved && (to == e.addr || slices.Contains(e.more, to))
}

func (p *pair) deliver(f *flying) {
	e := p.ends[f.to]
	local, ok := e.inside(f.by)
	if !ok {
		return // nobody is there any more
	}
	d := &Datagram{Local: local, Remote: f.from, ECN: f.ecn, Data: f.data}
	r := e.endpoint.Handle(p.now, d)
	if r.Conn == nil {
		return
	}
	if r.New {
		// Late copies and damaged IDs open connections that nothing comes of.
		if p.client().originalID != r.Conn.originalID && !r.Conn.retried || (e.conn != nil && e.conn.complete && !e.drained) {
			r.Conn.Close(p.now, 0, "stray")
			e.endpoint.remove(r.Conn)
			return
		}
		e.conn = r.Conn
	}
	if r.Reset {
		r.Conn.HandleReset(p.now)
		return
	}
	r.Conn.HandleDatagram(p.now, d)
}

// run goes on until done, or fails after so long.
func (p *pair) run(bound time.Duration, done func() bool) {
	p.t.Helper()
	until := p.now.Add(bound)
	for n := 0; !done(); n++ {
		if (!p.step(until) && !done()) || n > 5_000_000 {
			p.t.Fatalf("after %v and %d steps it is not done: client %v, server %v", bound, n, p.describe(wire.Client), p.describe(wire.Server))
		}
	}
	p.flush(wire.Client)
	p.flush(wire.Server)
}

// idle lets time pass.
func (p *pair) idle(d time.Duration) {
	until := p.now.Add(d)
	for p.step(until) {
	}
	p.now = until
}

func (p *pair) describe(side wire.Perspective) string {
	c := p.ends[side].conn
	if c == nil {
		return "none"
	}
	if c.err != nil {
		return c.err.Error()
	}
	return time.Duration(c.NextTimeout().Sub(p.now)).String() + " to its timer"
}

// confirmed is when both sides know that the handshake is over.
func (p *pair) confirmed() bool {
	return p.client().confirmed && p.server() != nil && p.server().confirmed
}

// handshake runs until both sides are done.
func (p *pair) handshake() {
	p.t.Helper()
	p.run(5*time.Second, p.confirmed)
}

// testTLS returns configurations of a server and of a client that trusts it.
func testTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tquic.test"}, DNSNames: []string{"tquic.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"test"}}
	client = &tls.Config{RootCAs: roots, ServerName: "tquic.test", NextProtos: []string{"test"}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	return server, client
}

// timers names a connection's deadlines.
func (c *Conn) timers() map[string]clock.Time {
	m := map[string]clock.Time{
		"idle": c.idle.deadline(c.pto()), "keep-alive": c.idle.keepAliveDeadline(),
		"handshake": c.handshakeBy, "early": c.keys.earlyUntil,
	}
	for _, p := range c.paths {
		name := func(of string) string { return fmt.Sprintf("path %d (%v) %s", p.id, p.state, of) }
		m[name("linger")] = p.lingerDeadline()
		if p.det == nil {
			continue
		}
		m[name("recovery")], m[name("challenge")], m[name("leaving")] = p.det.Timeout(), p.challenge.deadline(), p.leaving.deadline()
		m[name("mtu")], m[name("pacing")], m[name("suspect")] = p.mtu.deadline(), p.blockedUntil, c.suspectDeadline(p)
		for i := range p.spaces {
			m[name(fmt.Sprintf("ack %d", i))] = p.spaces[i].acks.deadline()
		}
	}
	if c.keys.oneRTT != nil {
		m["keys"] = c.keys.oneRTT.Timeout()
	}
	return m
}
