package sim

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/simnet"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// end is one side of a world: an endpoint and its connections, with all of which it
// does as docs/TQUIC.md asks of an owner.
type end struct {
	world    *world
	side     wire.Perspective
	endpoint *proto.Endpoint
	config   *proto.Config
	pool     *buf.Pool
	tickets  *ticketCache

	conns   []*session
	main    *session // the connection that the scenario is about
	dirty   []*session
	answers bool
	train   proto.Transmit

	sent, received, trains, timeouts uint64
	sendPeak, keptPeak               int // bytes of buffers with sent data, and of received ones
}

// session is a connection and what its events said.
type session struct {
	end    *end
	conn   *proto.Conn
	script *script // nil: none

	complete, confirmed, drained, dirty bool
	closed                              error
	token                               []byte
	timeout                             clock.Time
	seen                                [proto.Drained + 1]int // events by kind
}

// ticketCache counts the tickets that it gets.
type ticketCache struct {
	tls.ClientSessionCache
	puts int
}

// Put implements tls.ClientSessionCache.
func (c *ticketCache) Put(key string, s *tls.ClientSessionState) {
	c.puts++
	c.ClientSessionCache.Put(key, s)
}

func newEnd(w *world, side wire.Perspective, id *identity) *end {
	c := w.scenario.config(side)
	e := &end{world: w, side: side, config: &c, pool: proto.NewSendPool(64)}
	e.tickets = &ticketCache{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	e.train = proto.Transmit{Buf: make([]byte, 0, maxTrain), MaxSegments: 64}
	ec := proto.EndpointConfig{
		Random: w.random(id, side.String()), ResetKey: id.key(side.String() + " reset"), TokenKey: id.key(side.String() + " token"), SendPool: e.pool,
	}
	c.TLS = id.client.Clone()
	c.TLS.ClientSessionCache = e.tickets
	if side == wire.Server {
		c.TLS, ec.Server = id.server, &c
	}
	if w.scenario.retry {
		ec.RetryAbove = -1
	}
	var err error
	if e.endpoint, err = proto.NewEndpoint(ec); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// allowOther has the server's new connections begin with other limits than its
// tickets remember, so that it refuses 0-RTT.
func (e *end) allowOther() {
	c := *e.config
	c.ConnWindow += 1111
	if c.MaxConnWindow < c.ConnWindow {
		c.MaxConnWindow = c.ConnWindow
	}
	e.config = &c
	if err := e.endpoint.SetServer(&c); err != nil {
		e.world.t.Fatal(err)
	}
}

// dial opens a connection to the other end.
func (e *end) dial(token []byte) *session {
	w := e.world
	local, remote := netip.AddrPortFrom(w.home[0][0], 5000), netip.AddrPortFrom(w.home[1][0], port)
	conn, err := e.endpoint.Dial(w.network.Now(), *e.config, local, remote, token)
	if err != nil {
		w.t.Fatal(err)
	}
	return e.add(conn)
}

func (e *end) add(c *proto.Conn) *session {
	s := &session{end: e, conn: c}
	e.conns = append(e.conns, s)
	e.touch(s)
	return s
}

// begin makes the connection the one that the scenario is about.
func (s *session) begin(x *script) {
	s.end.main, s.script, x.session = s, x, s
	x.begin()
}

// touch has the session flushed before time goes on.
func (e *end) touch(s *session) {
	if !s.dirty {
		s.dirty = true
		e.dirty = append(e.dirty, s)
	}
}

func (e *end) find(c *proto.Conn) *session {
	for _, s := range e.conns {
		if s.conn == c {
			return s
		}
	}
	return nil
}

// HandleDatagram implements simnet.Handler.
func (e *end) HandleDatagram(now clock.Time, local, remote netip.AddrPort, ecn wire.ECN, data []byte) {
	e.received++
	d := proto.Datagram{Local: local, Remote: remote, ECN: ecn, Data: data, Buffer: e.world.network.Buffer()}
	r := e.endpoint.Handle(now, &d)
	if r.Conn == nil {
		e.answers = true
		return
	}
	s := e.find(r.Conn)
	switch {
	case r.New && s != nil, !r.New && s == nil:
		e.world.errorf("the %v's endpoint routes a datagram to a connection that it should not know: new %v", e.side, r.New)
		return
	case r.New:
		s = e.add(r.Conn)
		s.adopt()
	}
	if r.Reset {
		s.conn.HandleReset(now)
	} else {
		s.conn.HandleDatagram(now, &d)
	}
	e.touch(s)
}

// NextTimeout implements simnet.Handler.
func (e *end) NextTimeout() clock.Time {
	if len(e.dirty) > 0 || e.answers {
		return e.world.network.Now()
	}
	next := clock.Never
	for _, s := range e.conns {
		next = min(next, s.timeout)
	}
	return next
}

// HandleTimeout implements simnet.Handler.
func (e *end) HandleTimeout(now clock.Time) {
	for _, s := range e.conns {
		if s.timeout <= now {
			e.timeouts++
			s.conn.HandleTimeout(now)
			e.touch(s)
		}
	}
	for e.answers {
		if e.answers = e.endpoint.AppendResponse(&e.train); e.answers {
			e.send(now)
		}
	}
	for len(e.dirty) > 0 {
		s := e.dirty[0]
		e.dirty = append(e.dirty[:0], e.dirty[1:]...)
		s.dirty = false
		e.flush(now, s)
	}
	e.world.progress()
}

// maxTrains is how many trains may come out of a connection at one instant.
const maxTrains = 10_000

// flush is the pattern that a connection's owner follows after any call.
func (e *end) flush(now clock.Time, s *session) {
	for n := 0; s.conn.AppendTransmit(now, &e.train); n++ {
		if e.trains++; n > maxTrains {
			e.world.errorf("the %v never stops sending", e.side)
			return
		}
		e.send(now)
	}
	for {
		ev, ok := s.conn.NextEvent()
		if !ok {
			break
		}
		e.endpoint.HandleEvent(s.conn, ev)
		s.handle(ev)
		e.touch(s)
	}
	if !s.drained {
		s.timeout = s.conn.NextTimeout().OrNever()
	}
	e.sendPeak = max(e.sendPeak, e.pool.InUse()*e.pool.Size())
	if e.received%16 == 0 {
		_, kept := e.world.network.Kept() // by both ends
		e.keptPeak = max(e.keptPeak, kept)
	}
}

func (s *session) handle(ev proto.Event) {
	s.seen[ev.Kind]++
	switch ev.Kind {
	case proto.HandshakeComplete:
		s.complete = true
	case proto.HandshakeConfirmed:
		s.confirmed = true
	case proto.AddressToken:
		s.token = ev.Data
	case proto.Closed:
		s.closed = ev.Err
	case proto.Drained:
		s.drained, s.timeout = true, clock.Never
		s.end.forget(s)
	}
	if s.script != nil {
		s.script.handle(ev)
	}
}

// adopt makes a server's new connection the main one, when the client's main one is
// it: before the first 0-RTT data opens streams.
func (s *session) adopt() {
	w := s.end.world
	c := w.ends[wire.Client].main
	// A late copy of the client's first packet opens another one, which comes to nothing.
	if s.end.side == wire.Server && s.end.main == nil && c != nil && c.conn.OriginalID() == s.conn.OriginalID() {
		s.begin(&script{world: w, side: wire.Server})
	}
}

// phase returns how many key updates the connection has been through.
func (s *session) phase() int {
	st := s.conn.Stats()
	return st.KeyUpdates + st.PeerKeyUpdates
}

func (e *end) forget(s *session) {
	for i, have := range e.conns {
		if have == s {
			e.conns = append(e.conns[:i], e.conns[i+1:]...)
			return
		}
	}
}

func (e *end) send(now clock.Time) {
	t := &e.train
	for b := t.Buf; len(b) > 0; {
		n := min(t.Segment, len(b))
		e.world.note(now, t, b[:n])
		e.world.network.Send(now, t.Local, t.Remote, t.ECN, b[:n])
		e.sent++
		b = b[n:]
	}
}

// Waiting implements simnet.Waiter.
func (e *end) Waiting() string {
	var all []string
	now := e.world.network.Now()
	for _, s := range e.conns {
		st := s.conn.Stats()
		p := st.Paths[0]
		what := fmt.Sprintf("complete %v, confirmed %v, closed %v, wants to send %v, next timeout in %v, in flight %d of %d, PTOs %d, RTT %v, MTU %d, validated %v",
			s.complete, s.confirmed, s.closed, s.conn.WantsToSend(), s.timeout.Sub(now), p.BytesInFlight, p.CongestionWindow, p.PTOCount, p.SRTT, p.MTU, p.Validated)
		if s.script != nil {
			what += ": " + s.script.waiting()
		}
		all = append(all, what)
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, "; and ")
}

var _ simnet.Waiter = (*end)(nil)

// natural reports whether err is how a connection may end in this world.
func (w *world) natural(err error) bool {
	if app, ok := errors.AsType[*proto.ApplicationError](err); ok {
		return app.Code == endCode || app.Code == closeCode
	}
	if _, ok := errors.AsType[*proto.TimeoutError](err); ok {
		return w.settled // the other side may never learn of the close
	}
	// An application's close before the handshake is over becomes this one (RFC 9000,
	// section 10.2.3).
	if t, ok := errors.AsType[*wire.TransportError](err); ok {
		return t.Code == wire.ApplicationError && t.Remote && w.scenario.close != nil
	}
	return errors.Is(err, proto.ErrStatelessReset) && w.settled
}
