package sim

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/simnet"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Application is what a host runs. Its methods are called by Lab.Run alone and must
// not block; what they do to connections and streams goes out when they return.
type Application interface {
	// Connected: the connection carries streams now. The peer's first streams may be
	// readable at once.
	Connected(*Conn)
	// Readable: the stream has bytes, its end or its reset to read.
	Readable(*Stream)
	// Writable: the stream, which was full, takes bytes again.
	Writable(*Stream)
	// Closed: the connection is over.
	Closed(*Conn, error)
}

// port is every host's.
const port = 4433

// A train's limits are those of one UDP_SEGMENT send: bytes and datagrams.
const (
	maxTrain    = 64 << 10
	maxSegments = 64
)

// Host is one end of the lab: an endpoint of tquic and its connections.
type Host struct {
	lab      *Lab
	node     *simnet.Node
	side     wire.Perspective
	app      Application
	endpoint *proto.Endpoint
	config   proto.Config // of its connections
	traces   *traces      // nil: none

	conns    []*Conn
	races    []*race // that nobody has won yet
	byProto  map[*proto.Conn]*Conn
	dirty    []*Conn // to be flushed
	answers  bool    // the endpoint has something to send
	next     clock.Time
	datagram proto.Datagram
	train    proto.Transmit
}

func newHost(l *Lab, side wire.Perspective, c LabConfig, id *identity, payload int, app Application) (*Host, error) {
	h := &Host{lab: l, side: side, app: app, byProto: map[*proto.Conn]*Conn{}, next: clock.Never}
	random := rand.NewChaCha8(id.key(side.String() + " random"))
	h.config = proto.Config{
		TLS: id.client, Random: random, ResetKey: id.key(side.String() + " reset"), Congestion: c.Congestion,
		MaxUDPPayload: wire.ByteCount(payload), MaxBidiStreams: int64(c.Streams), ECN: true,
		KeepAlive: c.KeepAlive, EarlyData: c.EarlyData,
		Paths: c.Paths, Scheduler: c.Scheduler, NoReinject: c.NoReinject, AskAcks: c.AskAcks,
	}
	if c.EarlyData && side == wire.Client {
		h.config.TLS = id.client.Clone()
		h.config.TLS.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	h.train = proto.Transmit{Buf: make([]byte, 0, maxTrain), MaxSegments: maxSegments}
	h.traces = newTraces(c.QLOG, side)
	h.config.Tracer = h.traces.tracer()
	e := proto.EndpointConfig{Random: random, ResetKey: h.config.ResetKey, TokenKey: id.key(side.String() + " token")}
	if side == wire.Server {
		h.config.TLS = id.server
		e.Server = &h.config
	}
	var err error
	h.endpoint, err = proto.NewEndpoint(e)
	return h, err
}

// Dial opens a connection to the other host: over the first link, and over the next
// ones as long as none answers (engine/internal/dial); once it is confirmed a path is
// opened over each of the other links. Application.Connected has the connection when it
// can be used. The Conn returned is the attempt over the first link: another one's is
// the connection when that was faster. Closed tells, of the Conn returned, that no link
// has led anywhere. Where the peer has no multipath the connection stays on its link.
func (h *Host) Dial(links ...string) (*Conn, error) {
	if h.side != wire.Client {
		return nil, errors.New("dial: only the client does")
	}
	if len(links) == 0 {
		return nil, errors.New("dial: over no link")
	}
	config := h.config
	config.MaxUDPPayload = 0
	var routes []*route
	for i, name := range links {
		k, err := h.lab.link(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(links[:i], name) {
			return nil, fmt.Errorf("dial: link %s twice", name)
		}
		config.MaxUDPPayload = max(config.MaxUDPPayload, wire.ByteCount(k.payload()))
		routes = append(routes, newRoute(k))
	}
	r := newRace(h, config, routes)
	r.step(h.now())
	if len(r.attempts) == 0 {
		return nil, errors.Join(r.errs...)
	}
	h.races = append(h.races, r)
	return r.attempts[0], nil
}

// Conns returns the host's connections that are not over.
func (h *Host) Conns() []*Conn { return h.conns }

func (h *Host) now() clock.Time { return h.lab.network.Now() }

func (h *Host) add(p *proto.Conn, link string) *Conn {
	c := &Conn{host: h, proto: p, link: link, streams: map[*proto.Stream]*Stream{}}
	h.conns = append(h.conns, c)
	h.byProto[p] = c
	h.touch(c)
	return c
}

// touch notes that the connection may have something to send or to say: it is
// flushed before time moves on.
func (h *Host) touch(c *Conn) {
	if !c.dirty {
		c.dirty = true
		h.dirty = append(h.dirty, c)
	}
}

// HandleDatagram implements simnet.Handler. Sending waits for the flush, as a driver
// handles all that a batch brought before it sends.
func (h *Host) HandleDatagram(now clock.Time, local, remote netip.AddrPort, ecn wire.ECN, data []byte) {
	h.datagram = proto.Datagram{Local: local, Remote: remote, ECN: ecn, Data: data, Buffer: h.lab.network.Buffer()}
	r := h.endpoint.Handle(now, &h.datagram)
	if r.Conn == nil {
		h.answers = true
		return
	}
	if r.New {
		h.add(r.Conn, h.lab.linkOf(local.Addr(), remote.Addr()))
	}
	c := h.byProto[r.Conn]
	if r.Reset {
		r.Conn.HandleReset(now)
	} else {
		r.Conn.HandleDatagram(now, &h.datagram)
	}
	h.touch(c)
}

// NextTimeout implements simnet.Handler.
func (h *Host) NextTimeout() clock.Time {
	if len(h.dirty) > 0 || h.answers {
		return h.now()
	}
	return h.next
}

// HandleTimeout implements simnet.Handler: it sees to the connections and races whose
// time has come, and flushes what was touched.
func (h *Host) HandleTimeout(now clock.Time) {
	for _, c := range h.conns {
		if c.timeout <= now {
			c.proto.HandleTimeout(now)
			c.reopen(now)
			h.touch(c)
		}
	}
	for h.answers {
		h.answers = h.endpoint.AppendResponse(&h.train)
		if h.answers {
			h.send(now)
		}
	}
	h.flush(now)
	// Only now: a handshake that is complete at this instant has won.
	for _, r := range slices.Clone(h.races) {
		r.advance(now)
	}
	h.flush(now)
	h.next = clock.Never
	for _, c := range h.conns {
		h.next = min(h.next, c.timeout)
	}
	for _, r := range h.races {
		h.next = min(h.next, r.rules.NextTimeout())
	}
}

// flush flushes the connections that were touched. Flushing one may touch it again, or
// another.
func (h *Host) flush(now clock.Time) {
	for len(h.dirty) > 0 {
		c := h.dirty[0]
		h.dirty = append(h.dirty[:0], h.dirty[1:]...)
		c.dirty = false
		c.flush(now)
	}
}

// send puts the train on its link.
func (h *Host) send(now clock.Time) {
	t := &h.train
	for b := t.Buf; len(b) > 0; {
		n := min(t.Segment, len(b))
		h.lab.network.Send(now, t.Local, t.Remote, t.ECN, b[:n])
		b = b[n:]
	}
}

// forget takes a connection that is over off the books.
func (h *Host) forget(c *Conn) {
	delete(h.byProto, c.proto)
	for i, have := range h.conns {
		if have == c {
			h.conns = append(h.conns[:i], h.conns[i+1:]...)
			break
		}
	}
}

// Waiting implements simnet.Waiter.
func (h *Host) Waiting() string {
	var what []string
	if w, ok := h.app.(interface{ Waiting() string }); ok {
		what = append(what, w.Waiting())
	}
	for i, c := range h.conns {
		if !c.connected {
			what = append(what, fmt.Sprintf("the handshake of connection %d", i))
		}
	}
	return strings.Join(what, ", ")
}
