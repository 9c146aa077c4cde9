package proto

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// connState is where a connection is in its life (RFC 9000, section 10.2).
type connState uint8

const (
	stateActive   connState = iota // from the first packet on
	stateClosing                   // this side closed: answers packets with the close
	stateDraining                  // the peer closed: says nothing
	stateDrained                   // over
)

// Conn is one side of one connection. Its methods must not run at the same time.
type Conn struct {
	cfg  Config
	side wire.Perspective

	// The handshake.
	tls        *handshake.TLS
	keys       keys
	local      wire.TransportParameters
	peer       wire.TransportParameters // remembered ones until hasPeer
	hasPeer    bool                     // peer is what the peer said in this handshake
	complete   bool                     // TLS is done here (RFC 9001, section 4.1.1)
	confirmed  bool                     // and at the peer (section 4.1.2)
	early      earlyState
	reduced    error // what is wrong with the parameters if 0-RTT is accepted
	doneWanted bool  // HANDSHAKE_DONE is to be sent
	tokens     addressToken
	token      []byte // of a client's Initial packets
	retryID    wire.ConnID
	retried    bool
	originalID wire.ConnID // destination of the client's first Initial
	peerID     wire.ConnID // source of the peer's first packet
	hasPeerID  bool
	waiting    []waitingPacket // for keys that are not there yet

	// The paths, by ID: all that are known of, those in use, and those that are given up
	// but may still be heard of. path0 is the handshake's, also when it is over.
	path0                  *path
	paths, open, lingering []*path
	multi                  multipath
	congestion             *congest.Group
	ackFreq                ackFrequency

	// The data.
	streams   streams
	datagrams datagrams

	// The end.
	state       connState
	err         error // why, once state is not active
	closing     closing
	idle        idle
	events      events
	handshakeBy clock.Time
	pingWanted  bool

	// Scratch, used again.
	opened  bool // a packet of the datagram at hand was
	outcome recovery.Result
	tracer  Tracer
	trace   TraceEvent
	stats   counters
}

// earlyState is what becomes of 0-RTT data.
type earlyState uint8

const (
	earlyNone earlyState = iota
	earlyOffered
	earlyAccepted
	earlyRejected
)

// sendChunks is where streams keep what was written until it is acknowledged. The
// pool is the caller's so that connections share idle chunks.
const sendChunkSize = 64 << 10

// NewSendPool returns a pool fit for NewClient and Endpoints: chunks of sent data.
func NewSendPool(keep int) *buf.Pool { return buf.NewPool(sendChunkSize, keep) }

// newConn makes what both sides share.
func newConn(now clock.Time, cfg Config, side wire.Perspective, at tuple, id wire.ConnID, pool *buf.Pool) (*Conn, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Conn{cfg: cfg.withDefaults(), side: side}
	c.local = c.cfg.parameters()
	c.local.InitialSrcID = id
	c.local.HasInitialSrcID = true
	c.handshakeBy = now.Add(c.cfg.HandshakeTimeout)
	var err error
	if c.congestion, err = congest.NewGroup(c.cfg.Congestion); err != nil {
		return nil, err
	}
	controller := c.congestion.New(congest.Config{Datagram: minUDPPayload, Now: now})
	p := &path{tuple: at, previous: at, large: wire.NoPacket, state: PathActive}
	p.det = recovery.New(recovery.Config{Side: side, Controller: controller, MaxDatagram: minUDPPayload})
	p.mtu.init(minUDPPayload, c.cfg.MaxUDPPayload, c.cfg.FixedMTU)
	p.det.SetMaxDatagram(p.mtu.size())
	for sp := range p.spaces {
		s := &p.spaces[sp]
		s.skip = wire.NoPacket
		s.acks.init(recovery.Space(sp) != recovery.SpaceApplication, maxAckDelay, 0)
	}
	p.spaces[recovery.SpaceApplication].skip = c.skipAfter(0, skipFirst)
	p.ecn = c.cfg.ECN
	p.issued.init(id, c.newID, c.emit)
	c.path0 = p
	c.paths, c.open = []*path{p}, []*path{p}
	if c.multi.scheduling, err = newScheduling(c.cfg.Scheduler); err != nil {
		return nil, err
	}
	c.idle.init(now, c.cfg.IdleTimeout, c.cfg.KeepAlive)
	c.datagrams.init(c.cfg.MaxDatagram, c.emit)
	c.streams.init(streamsConfig{side: side, pool: pool, config: &c.cfg, emit: c.emit})
	return c, nil
}

// emit puts an event where NextEvent finds it.
func (c *Conn) emit(e Event) { c.events.push(e) }

// newID makes up a connection ID and the token that ends its connection.
func (c *Conn) newID() (wire.ConnID, wire.ResetToken) {
	id := randomID(c.cfg.Random)
	return id, handshake.ResetToken(c.cfg.ResetKey, id)
}

func randomID(random io.Reader) wire.ConnID {
	var b [connIDLen]byte
	fill(random, b[:])
	return wire.NewConnID(b[:])
}

// fill reads random bytes. crypto/rand's reader never fails, and neither does a
// simulation's.
func fill(random io.Reader, b []byte) {
	if _, err := io.ReadFull(random, b); err != nil {
		panic(fmt.Sprintf("proto: the source of randomness failed: %v", err))
	}
}

// newClient returns the client's side of a new connection to remote. Its first
// datagram waits in AppendTransmit.
func newClient(now clock.Time, cfg Config, at tuple, id wire.ConnID, token []byte, pool *buf.Pool) (*Conn, error) {
	c, err := newConn(now, cfg, wire.Client, at, id, pool)
	if err != nil {
		return nil, err
	}
	c.path0.amp.validate() // a client is not bound by section 8.1
	c.originalID = randomID(c.cfg.Random)
	c.path0.peer.init(c.originalID, c.emit)
	c.token = token
	c.installInitialKeys(c.originalID)
	c.startTrace(now)
	return c, c.startTLS(now)
}

// accepted is what an Endpoint knows of a connection that a client's Initial opens.
type accepted struct {
	at         tuple
	id         wire.ConnID // ours
	originalID wire.ConnID // destination of the client's first Initial
	peerID     wire.ConnID // the client's
	retryID    wire.ConnID // ours of the Retry, if there was one
	retried    bool
	validated  bool                                  // the address is known to be the client's
	mint       func(clock.Time, []netip.Addr) []byte // as in addressToken
}

// newServer returns the server's side of a connection. The Initial that opened it
// is still to be handed in.
func newServer(now clock.Time, cfg Config, a accepted, pool *buf.Pool) (*Conn, error) {
	c, err := newConn(now, cfg, wire.Server, a.at, a.id, pool)
	if err != nil {
		return nil, err
	}
	c.originalID, c.retried, c.retryID, c.tokens.mint = a.originalID, a.retried, a.retryID, a.mint
	c.local.HasOriginalDstID, c.local.OriginalDstID = true, a.originalID
	c.local.HasRetrySrcID, c.local.RetrySrcID = a.retried, a.retryID
	c.local.HasResetToken, c.local.ResetToken = true, handshake.ResetToken(c.cfg.ResetKey, a.id)
	if a.validated {
		c.path0.amp.validate()
	}
	c.path0.det.PeerValidated() // a client validates no server by its address
	initial := a.originalID
	if a.retried {
		initial = a.retryID
	}
	c.path0.peer.init(a.peerID, c.emit)
	c.path0.issued.add(a.originalID)
	if a.retried {
		c.path0.issued.add(a.retryID)
	}
	// Whose Initial it was is sure once a packet opens: on its way a bit may have
	// changed, and the client's next Initial must not be dropped for that.
	c.installInitialKeys(initial)
	c.startTrace(now)
	return c, c.startTLS(now)
}

// startTrace makes the connection's tracer, once its name is known.
func (c *Conn) startTrace(now clock.Time) {
	if c.cfg.Tracer != nil {
		c.tracer = c.cfg.Tracer(c.side, c.originalID)
	}
	c.traceStarted(now)
}

// Tracer returns what the connection traces to, nil when to nothing.
func (c *Conn) Tracer() Tracer { return c.tracer }

// Side returns which side the connection is.
func (c *Conn) Side() wire.Perspective { return c.side }

// Addresses returns the two addresses of the first path that is open.
func (c *Conn) Addresses() (local, remote netip.AddrPort) {
	p := c.path0
	if len(c.open) > 0 {
		p = c.open[0]
	}
	return p.local, p.tuple.remote
}

// OriginalID returns the destination connection ID of the client's first packet:
// the name of the connection that both sides know.
func (c *Conn) OriginalID() wire.ConnID { return c.originalID }

// ConnectionState returns what TLS knows of the connection.
func (c *Conn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// Err returns why the connection ended, nil while it has not.
func (c *Conn) Err() error { return c.err }

// NextEvent returns the oldest event that was not taken yet.
func (c *Conn) NextEvent() (Event, bool) { return c.events.pop() }

// OpenStream opens a stream. It returns ErrBlocked when the peer allows no more for
// now (StreamsAvailable says when it does), or why the connection ended. A client
// with a session that allows 0-RTT may open streams at once; others after
// HandshakeComplete.
func (c *Conn) OpenStream(d wire.Direction) (*Stream, error) {
	if c.err != nil {
		return nil, c.err
	}
	return c.streams.open(d)
}

// AcceptStream returns the next stream that the peer opened; false when there is none.
func (c *Conn) AcceptStream(d wire.Direction) (*Stream, bool) { return c.streams.accept(d) }

// SendDatagram queues a DATAGRAM frame; it copies p. ErrBlocked means that the queue
// is full.
func (c *Conn) SendDatagram(p []byte) error {
	if c.err != nil {
		return c.err
	}
	return c.datagrams.send(p)
}

// ReceiveDatagram returns the next DATAGRAM's data, and gives the view.
func (c *Conn) ReceiveDatagram() (buf.View, bool) { return c.datagrams.take() }

// Ping has a PING frame sent.
func (c *Conn) Ping() { c.pingWanted = true }

// UpdateKeys begins a key update (RFC 9001, section 6). An error says why it is too
// early for one.
func (c *Conn) UpdateKeys(now clock.Time) error {
	if c.err != nil {
		return c.err
	}
	if c.keys.oneRTT == nil {
		return errors.New("update keys: the handshake is not over")
	}
	if err := c.keys.oneRTT.Update(now); err != nil {
		return fmt.Errorf("update keys: %w", err)
	}
	c.traceKeyUpdate(now)
	c.pingWanted = true // the update is over when a packet with the new keys is acknowledged
	return nil
}
