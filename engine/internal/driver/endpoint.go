package driver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/udpio"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Config is what an Endpoint is made with. The zero value is ready to use.
type Config struct {
	Socket udpio.Config
	// RetryAbove and MaxConns as in proto.EndpointConfig.
	RetryAbove, MaxConns int
}

// Idle buffers that an endpoint keeps: 16 MiB of received and 8 MiB of sent data.
const (
	recvBufferSize = 128 << 10
	keepRecv       = 128
	keepSend       = 128
	// trainSize is the room for a train: more does not leave in one system call. Only
	// connections that are sending have one.
	trainSize  = 64 << 10
	keepTrains = 16
)

// maxTokens bounds the servers whose address tokens an endpoint remembers.
const maxTokens = 64

// Endpoint is sockets and the connections on them. Its methods are safe for
// concurrent use.
type Endpoint struct {
	config Config
	base   time.Time // where its clock starts
	pool   *buf.Pool // received data
	trains *buf.Pool // trains that are being built and sent
	tasks  sync.WaitGroup
	over   chan struct{} // closed by shut

	accepted signal // the queue has connections, or the listener's end

	// generation changes with the sockets.
	generation atomic.Uint64

	mu        sync.Mutex
	core      *proto.Endpoint
	conns     map[*proto.Conn]*Conn
	lastCore  *proto.Conn // the last batch's, and what it is here
	lastConn  *Conn
	sockets   []*udpio.Socket
	tokens    map[netip.AddrPort][]byte
	queue     []*Conn // handshake complete, not accepted
	backlog   int
	listening bool
	temporary bool // shut with the last connection
	closed    bool
}

// New returns an endpoint that has the socket (give), also when it fails.
func New(conn *net.UDPConn, c Config) (*Endpoint, error) {
	e := &Endpoint{
		config: c, base: time.Now(), over: make(chan struct{}),
		pool: buf.NewPool(recvBufferSize, keepRecv), trains: buf.NewPool(trainSize, keepTrains),
		accepted: newSignal(), conns: map[*proto.Conn]*Conn{}, tokens: map[netip.AddrPort][]byte{},
	}
	ec := proto.EndpointConfig{
		Random: rand.Reader, RetryAbove: c.RetryAbove, MaxConns: c.MaxConns, SendPool: proto.NewSendPool(keepSend),
	}
	rand.Read(ec.ResetKey[:]) // never fails
	rand.Read(ec.TokenKey[:])
	var err error
	if e.core, err = proto.NewEndpoint(ec); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if _, err := e.AddSocket(conn); err != nil {
		return nil, err
	}
	return e, nil
}

// now returns the time on the endpoint's clock, which starts at one second.
func (e *Endpoint) now() clock.Time { return clock.Time(time.Second + time.Since(e.base)) }

// Epoch returns when the clock of the endpoint's connections was at zero.
func (e *Endpoint) Epoch() time.Time { return e.base.Add(-time.Second) }

// LocalAddr returns the address of the endpoint's first socket.
func (e *Endpoint) LocalAddr() netip.AddrPort {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sockets[0].LocalAddr()
}

// LocalAddrs returns the addresses of the endpoint's sockets, oldest first.
func (e *Endpoint) LocalAddrs() []netip.AddrPort {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]netip.AddrPort, len(e.sockets))
	for i, s := range e.sockets {
		out[i] = s.LocalAddr()
	}
	return out
}

// Listen takes connections from now on. backlog bounds those that wait for Accept.
func (e *Endpoint) Listen(server proto.Config, backlog int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return errEndpointClosed()
	case e.listening:
		return errors.New("the endpoint listens already")
	}
	if err := e.core.SetServer(&server); err != nil {
		return err
	}
	e.listening, e.backlog = true, backlog
	return nil
}

// StopListening takes no more connections and closes those that nobody accepted.
// The others live on.
func (e *Endpoint) StopListening() {
	e.mu.Lock()
	if !e.listening {
		e.mu.Unlock()
		return
	}
	e.listening = false
	_ = e.core.SetServer(nil) // nil is never wrong
	var orphans []*Conn
	for core, c := range e.conns {
		if core.Side() == wire.Server && !c.taken {
			orphans = append(orphans, c)
		}
	}
	e.queue = nil
	e.mu.Unlock()
	e.accepted.set()
	for _, c := range orphans {
		c.Close(0, "the listener was closed")
	}
}

// Accept returns the next connection whose handshake is complete. When the endpoint
// does not listen any more, the error wraps net.ErrClosed.
func (e *Endpoint) Accept(ctx context.Context) (*Conn, error) {
	for {
		c, ok, more := e.nextAccepted()
		if more {
			e.accepted.set()
		}
		if c != nil {
			return c, nil
		}
		if !ok {
			return nil, net.ErrClosed
		}
		if err := e.accepted.wait(ctx, e.over); err != nil {
			return nil, err
		}
	}
}

// nextAccepted takes a connection from the queue, if there is one. ok: there may be
// one later; more: another waiter should look, too.
func (e *Endpoint) nextAccepted() (c *Conn, ok, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) > 0 {
		c = e.queue[0]
		e.queue = slices.Delete(e.queue, 0, 1)
		c.taken = true
	}
	ok = e.listening && !e.closed
	return c, ok, len(e.queue) > 0 || !ok
}

// Dial returns a new connection to remote. Its handshake has just begun.
func (e *Endpoint) Dial(c proto.Config, remote netip.AddrPort) (*Conn, error) {
	local, err := e.localFor(remote)
	if err != nil {
		return nil, err
	}
	return e.DialFrom(c, local, remote)
}

// DialFrom is Dial from the address of one of the endpoint's sockets.
func (e *Endpoint) DialFrom(c proto.Config, local, remote netip.AddrPort) (*Conn, error) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, errEndpointClosed()
	}
	token := e.tokens[remote]
	delete(e.tokens, remote) // RFC 9000, section 8.1.3: SHOULD NOT be used again
	core, err := e.core.Dial(e.now(), c, local, remote, token)
	if err != nil {
		e.mu.Unlock()
		return nil, err
	}
	conn := e.adopt(core)
	conn.taken = true
	e.mu.Unlock()
	return conn, nil
}

// adopt makes a connection of core and starts it. e.mu is held.
func (e *Endpoint) adopt(core *proto.Conn) *Conn {
	c := newConn(e, core)
	e.conns[core] = c
	e.tasks.Go(c.run)
	return c
}

// conn returns the connection of core, nil when it is gone. e.mu is held.
func (e *Endpoint) conn(core *proto.Conn) *Conn {
	if core != e.lastCore {
		e.lastCore, e.lastConn = core, e.conns[core]
	}
	return e.lastConn
}

// handleEvent does the endpoint's part of a connection's event. The connection's
// owner calls it.
func (e *Endpoint) handleEvent(c *Conn, ev proto.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.core.HandleEvent(c.core, ev)
	switch ev.Kind {
	case proto.EarlyAccepted, proto.HandshakeComplete:
		e.offer(c)
	case proto.AddressToken:
		// RFC 9000, section 8.1.3: the newest is the most likely to be taken.
		if _, have := e.tokens[c.dialled]; have || len(e.tokens) < maxTokens {
			e.tokens[c.dialled] = ev.Data
		}
	case proto.Closed:
		if i := slices.Index(e.queue, c); i >= 0 {
			e.queue = slices.Delete(e.queue, i, i+1)
		}
	case proto.Drained:
		e.forget(c)
	}
}

// offer puts a server's connection where Accept finds it. e.mu is held.
func (e *Endpoint) offer(c *Conn) {
	if c.core.Side() != wire.Server || c.offered {
		return
	}
	c.offered = true
	if !e.listening || len(e.queue) >= e.backlog {
		c.refused = true
		return
	}
	e.queue = append(e.queue, c)
	e.accepted.set()
}

// forget: nothing is left to do for c. e.mu is held.
func (e *Endpoint) forget(c *Conn) {
	delete(e.conns, c.core)
	if e.lastConn == c {
		e.lastCore, e.lastConn = nil, nil
	}
	if e.temporary && len(e.conns) == 0 {
		_ = e.shut() // nobody is there to hear of it
	}
}

// CloseWhenIdle closes the endpoint with its last connection, at once if there is
// none. It does not wait.
func (e *Endpoint) CloseWhenIdle() error {
	e.StopListening()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.temporary = true
	if len(e.conns) == 0 {
		return e.shut()
	}
	return nil
}

// shut closes the sockets. e.mu is held.
func (e *Endpoint) shut() error {
	if e.closed {
		return nil
	}
	e.closed = true
	close(e.over)
	var errs []error
	for _, s := range e.sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Close closes the connections and the sockets, and waits for all goroutines. The
// peers are told once. Idempotent.
func (e *Endpoint) Close() error {
	e.StopListening()
	e.mu.Lock()
	conns := make([]*Conn, 0, len(e.conns))
	for _, c := range e.conns {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	for _, c := range conns {
		c.Close(0, "the endpoint was closed")
	}
	e.mu.Lock()
	err := e.shut()
	// Those that came meanwhile are as gone as the sockets.
	for _, c := range e.conns {
		conns = append(conns, c)
	}
	e.mu.Unlock()
	for _, c := range conns {
		c.abort()
	}
	e.tasks.Wait()
	if err != nil {
		return fmt.Errorf("close endpoint: %w", err)
	}
	return nil
}

// Wait waits until an endpoint that closes itself has done so.
func (e *Endpoint) Wait() {
	<-e.over
	e.tasks.Wait()
}
