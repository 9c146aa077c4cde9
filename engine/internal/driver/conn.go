package driver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Conn is a connection that runs. Its methods are safe for concurrent use. Once it
// is over they return the reason, as proto says it.
type Conn struct {
	e       *Endpoint
	dialled netip.AddrPort // a client's: the server's address, whose tokens it gets

	complete  chan struct{} // closed when the handshake is complete here
	confirmed chan struct{} // and confirmed
	done      chan struct{} // closed when the connection is over for the application
	gone      chan struct{} // closed when nothing of it is left

	wake            signal    // for its goroutine
	incoming        [2]signal // streams to accept, by wire.Direction
	outgoing        [2]signal // streams can be opened
	datagramIn      signal
	datagramOutRoom signal

	// Endpoint.mu guards these.
	offered bool // to Accept
	taken   bool // by the application

	mu            sync.Mutex
	core          *proto.Conn
	local, remote netip.AddrPort
	err           error
	refused       bool // no room in the endpoint's queue

	sending  bool      // somebody writes trains, and looks for more before it stops
	sent     sync.Cond // sending has become false
	blocked  bool      // what waits to be sent waits for a packet or the timer
	roomless bool      // somebody waits for datagramOutRoom
	sleeping bool      // the goroutine does, until armed
	armed    clock.Time
	latest   clock.Time // the connection's time, which never goes back
	aborted  bool
	train    proto.Transmit // of the one that sends, which lends it memory
	sockets  socketCache
	paths    paths
}

func newConn(e *Endpoint, core *proto.Conn) *Conn {
	c := &Conn{
		e: e, core: core,
		complete: make(chan struct{}), confirmed: make(chan struct{}), done: make(chan struct{}), gone: make(chan struct{}),
		wake: newSignal(), datagramIn: newSignal(), datagramOutRoom: newSignal(),
		incoming: [2]signal{newSignal(), newSignal()}, outgoing: [2]signal{newSignal(), newSignal()},
		paths: paths{changed: newSignal()},
	}
	c.local, c.remote = core.Addresses()
	c.dialled = c.remote
	c.sent.L = &c.mu
	return c
}

// Complete is closed when the handshake is complete on this side: 1-RTT data flows.
func (c *Conn) Complete() <-chan struct{} { return c.complete }

// Confirmed is closed when the peer is known to have completed the handshake, too.
func (c *Conn) Confirmed() <-chan struct{} { return c.confirmed }

// Done is closed when the connection is over for the application.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Gone is closed when nothing is left of the connection: the time in which it answers
// late packets is over, too.
func (c *Conn) Gone() <-chan struct{} { return c.gone }

// Err returns why the connection is over, nil while it is not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Addresses returns the two addresses in use.
func (c *Conn) Addresses() (local, remote netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.local, c.remote
}

// ConnectionState returns what TLS knows of the connection.
func (c *Conn) ConnectionState() tls.ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.ConnectionState()
}

// Stats returns the connection's counters.
func (c *Conn) Stats() proto.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.Stats()
}

// FullStats returns the connection's counters with the paths that are open, and apart
// from them those that were closed. After very many, the oldest closed ones are one with
// a later one of the same local address, where there is one.
func (c *Conn) FullStats() (proto.Stats, []ClosedPath) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.core.Stats()
	c.refreshClosed(s.Paths)
	s.Paths = slices.DeleteFunc(s.Paths, func(p proto.PathStats) bool { return p.State == proto.PathClosing })
	return s, slices.Clone(c.paths.closed)
}

// OpenStream opens a stream, and waits until the peer allows it.
func (c *Conn) OpenStream(ctx context.Context, d wire.Direction) (*Stream, error) {
	for first := true; ; first = false {
		s, err := c.tryOpen(d)
		if !errors.Is(err, proto.ErrBlocked) {
			if !first {
				c.outgoing[d].set() // another waiter may have its turn
			}
			return s, err
		}
		if err := c.outgoing[d].wait(ctx, c.done); err != nil {
			return nil, err
		}
	}
}

func (c *Conn) tryOpen(d wire.Direction) (*Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	core, err := c.core.OpenStream(d)
	if err != nil {
		c.requestSend() // STREAMS_BLOCKED, perhaps
		return nil, err
	}
	return newStream(c, core), nil
}

// AcceptStream waits for the next stream that the peer opened.
func (c *Conn) AcceptStream(ctx context.Context, d wire.Direction) (*Stream, error) {
	for {
		if s, err := c.tryAccept(d); s != nil || err != nil {
			c.incoming[d].set() // another waiter may have its turn
			return s, err
		}
		if err := c.incoming[d].wait(ctx, c.done); err != nil {
			return nil, err
		}
	}
}

func (c *Conn) tryAccept(d wire.Direction) (*Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if core, ok := c.core.AcceptStream(d); ok {
		return newStream(c, core), nil
	}
	return nil, c.err
}

// SendDatagram sends p, which is copied, as an unreliable datagram. It waits while
// too many wait to be sent.
func (c *Conn) SendDatagram(ctx context.Context, p []byte) error {
	for {
		err := c.trySendDatagram(p)
		if !errors.Is(err, proto.ErrBlocked) {
			c.datagramOutRoom.set() // another waiter may have its turn
			return err
		}
		if err := c.datagramOutRoom.wait(ctx, c.done); err != nil {
			return err
		}
	}
}

func (c *Conn) trySendDatagram(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.core.SendDatagram(p)
	c.roomless = c.roomless || errors.Is(err, proto.ErrBlocked)
	c.requestSend()
	return err
}

// ReceiveDatagram waits for a datagram and gives its view.
func (c *Conn) ReceiveDatagram(ctx context.Context) (buf.View, error) {
	for {
		c.mu.Lock()
		v, ok := c.core.ReceiveDatagram()
		err := c.err
		c.mu.Unlock()
		if ok {
			c.datagramIn.set() // another waiter may have its turn
			return v, nil
		}
		if err != nil {
			return buf.View{}, err
		}
		if err := c.datagramIn.wait(ctx, c.done); err != nil {
			return buf.View{}, err
		}
	}
}

// UpdateKeys begins a key update.
func (c *Conn) UpdateKeys() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.core.UpdateKeys(c.now())
	c.requestSend()
	return err
}

// Ping has the peer answer something.
func (c *Conn) Ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.core.Ping()
	c.requestSend()
}

// Close ends the connection with an application's error code and reason. It returns when
// the peer was told, whose late packets are answered for a while: see Gone. The trace has all
// up to then. Idempotent.
func (c *Conn) Close(code uint64, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.core.Close(c.now(), code, reason)
	c.settle(closeTrains)
	if c.sending {
		for c.sending {
			c.sent.Wait()
		}
		c.flush(closeTrains) // whoever sent may have left it to the connection's goroutine
	}
	if t, ok := c.core.Tracer().(interface{ Flush() error }); ok && !c.finished() {
		_ = t.Flush() // as in finish
	}
}

// abort ends the connection's goroutine. The sockets are closed.
func (c *Conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.core.Close(c.now(), 0, "")
	c.drainEvents()
	c.aborted = true
	c.finish()
	c.wakeUp()
}

// finish: nothing is left of the connection. mu is held.
func (c *Conn) finish() {
	finish(c.gone)
	c.leaveAll()
	c.wakeUp() // a timer that was set before ends nothing any more
	if t, ok := c.core.Tracer().(io.Closer); ok {
		_ = t.Close() // a trace that cannot be written must not harm what it traces
	}
}

// finish closes a channel that may be closed. Conn.mu is held.
func finish(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}
