package proto

import (
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// EndpointConfig is what an Endpoint is made with.
type EndpointConfig struct {
	// Server is what new connections from clients get; nil takes none.
	Server *Config
	// Random as in Config. Required.
	Random io.Reader
	// ResetKey makes stateless reset tokens, TokenKey seals address tokens. Endpoints
	// that stand for one another share them.
	ResetKey, TokenKey [32]byte
	// RetryAbove is how many connections may be in their handshake before new clients
	// must prove their address by a Retry (RFC 9000, section 8.1.2). 0: 1000;
	// negative: all must.
	RetryAbove int
	// MaxConns is how many connections the endpoint has at most; more are refused. 0:
	// 65536.
	MaxConns int
	// SendPool is where streams keep what was written. nil: one of its own.
	SendPool *buf.Pool
}

// Endpoint finds the connection that a datagram is for, opens connections, and
// answers datagrams that belong to none. It has one owner at a time, like a Conn, but
// another one: it never touches a Conn after it was made.
type Endpoint struct {
	cfg    EndpointConfig
	tokens *handshake.Tokens
	routes map[wire.ConnID]*Conn
	resets map[wire.ResetToken]*Conn
	conns  map[*Conn]*membership

	lastID   wire.ConnID // route of the last datagram: most batches are for one connection
	lastConn *Conn

	halfOpen int
	out      []response
}

// membership is what an endpoint knows of a connection of its own.
type membership struct {
	ids       []wire.ConnID
	tokens    []wire.ResetToken
	confirmed bool
}

// Route says what a datagram is.
type Route struct {
	// Conn is the connection that should handle it; nil when there is none.
	Conn *Conn
	// New: the datagram opens Conn.
	New bool
	// Reset: the datagram is a stateless reset of Conn: HandleReset, not
	// HandleDatagram.
	Reset bool
}

const (
	defaultRetryAbove = 1000
	defaultMaxConns   = 1 << 16
)

// NewEndpoint returns an endpoint without connections. It returns the reason why
// c.Server cannot work.
func NewEndpoint(c EndpointConfig) (*Endpoint, error) {
	if c.Server != nil {
		if err := c.Server.validate(); err != nil {
			return nil, err
		}
	}
	if c.RetryAbove == 0 {
		c.RetryAbove = defaultRetryAbove
	}
	if c.MaxConns == 0 {
		c.MaxConns = defaultMaxConns
	}
	if c.SendPool == nil {
		c.SendPool = NewSendPool(64)
	}
	return &Endpoint{
		cfg: c, tokens: handshake.NewTokens(c.TokenKey),
		routes: map[wire.ConnID]*Conn{}, resets: map[wire.ResetToken]*Conn{}, conns: map[*Conn]*membership{},
	}, nil
}

// SetServer begins to take connections, or with nil stops. Those that are there live
// on.
func (e *Endpoint) SetServer(c *Config) error {
	if c != nil {
		if err := c.validate(); err != nil {
			return err
		}
	}
	e.cfg.Server = c
	return nil
}

// Len returns how many connections the endpoint has.
func (e *Endpoint) Len() int { return len(e.conns) }

// Routes returns how many connection IDs and stateless reset tokens lead to a
// connection.
func (e *Endpoint) Routes() int { return len(e.routes) + len(e.resets) }

// Dial returns a new connection to remote, which waits for its first AppendTransmit.
// token is what a former connection to the server got by AddressToken, or nil.
func (e *Endpoint) Dial(now clock.Time, c Config, local, remote netip.AddrPort, token []byte) (*Conn, error) {
	if len(e.conns) >= e.cfg.MaxConns {
		return nil, fmt.Errorf("dial %v: the endpoint has its limit of %d connections", remote, e.cfg.MaxConns)
	}
	c.Random, c.ResetKey = e.cfg.Random, e.cfg.ResetKey
	id := randomID(e.cfg.Random)
	conn, err := newClient(now, c, tuple{local, remote}, id, token, e.cfg.SendPool)
	if err != nil {
		return nil, err
	}
	e.add(conn, id)
	return conn, nil
}

// Handle says which connection a datagram is for. When it is for none, an answer may
// wait in AppendResponse.
func (e *Endpoint) Handle(now clock.Time, d *Datagram) Route {
	h, ok := wire.ParseInvariant(d.Data, connIDLen)
	if !ok || len(h.DstID) > wire.MaxConnIDLen {
		if ok && h.Long {
			e.negotiate(d, &h)
		}
		return Route{}
	}
	id := wire.NewConnID(h.DstID)
	if e.lastConn != nil && id == e.lastID {
		return Route{Conn: e.lastConn}
	}
	if c := e.routes[id]; c != nil {
		e.lastID, e.lastConn = id, c
		return Route{Conn: c}
	}
	// RFC 9000, section 10.3: a datagram that ends in a token MUST be taken for a
	// stateless reset, whatever its header looks like.
	if t, ok := resetTail(d.Data); ok {
		if c := e.resets[t]; c != nil {
			return Route{Conn: c, Reset: true}
		}
	}
	if h.Long {
		return e.handleUnknownLong(now, d, &h)
	}
	e.reset(d)
	return Route{}
}

// HandleEvent keeps the routes up to date: the owner passes on every event of every
// connection. It is quick for those that are none of its business.
func (e *Endpoint) HandleEvent(c *Conn, ev Event) {
	switch ev.Kind {
	case IssuedID:
		e.route(c, ev.ID)
	case RetiredID:
		e.unroute(c, ev.ID)
	case IssuedToken:
		if m := e.conns[c]; m != nil {
			e.resets[ev.Token] = c
			m.tokens = append(m.tokens, ev.Token)
		}
	case RetiredToken:
		if e.resets[ev.Token] == c {
			delete(e.resets, ev.Token)
		}
		if m := e.conns[c]; m != nil {
			if i := slices.Index(m.tokens, ev.Token); i >= 0 {
				m.tokens = slices.Delete(m.tokens, i, i+1)
			}
		}
	case HandshakeConfirmed:
		e.settled(c)
	case Drained:
		e.remove(c)
	}
}

func (e *Endpoint) add(c *Conn, ids ...wire.ConnID) {
	e.conns[c] = &membership{}
	if c.side == wire.Server {
		e.halfOpen++
	}
	for _, id := range ids {
		e.route(c, id)
	}
}

func (e *Endpoint) route(c *Conn, id wire.ConnID) {
	m := e.conns[c]
	if m == nil || e.routes[id] != nil {
		return
	}
	e.routes[id] = c
	m.ids = append(m.ids, id)
}

func (e *Endpoint) unroute(c *Conn, id wire.ConnID) {
	if e.routes[id] == c {
		delete(e.routes, id)
	}
	if e.lastID == id {
		e.lastConn = nil
	}
	if m := e.conns[c]; m != nil {
		for i, have := range m.ids {
			if have == id {
				m.ids = append(m.ids[:i], m.ids[i+1:]...)
				break
			}
		}
	}
}

// settled: the handshake of c is over, one way or the other.
func (e *Endpoint) settled(c *Conn) {
	m := e.conns[c]
	if m == nil || m.confirmed {
		return
	}
	m.confirmed = true
	if c.side == wire.Server {
		e.halfOpen--
	}
}

func (e *Endpoint) remove(c *Conn) {
	e.settled(c)
	m := e.conns[c]
	if m == nil {
		return
	}
	for _, id := range m.ids {
		if e.routes[id] == c {
			delete(e.routes, id)
		}
	}
	for _, t := range m.tokens {
		if e.resets[t] == c {
			delete(e.resets, t)
		}
	}
	if e.lastConn == c {
		e.lastConn = nil
	}
	delete(e.conns, c)
}
