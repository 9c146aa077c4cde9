package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine"
)

// listener puts connections together into sessions, by token.
type listener struct {
	engine  *kernelEngine
	tls     *tls.Config
	paths   []engine.Path
	sockets []*net.TCPListener
	ready   chan *session
	pending chan struct{}

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	err    error

	mu       sync.Mutex
	sessions map[token]*session
}

// Listen opens one socket per address of the paths, which may end together. Port 0
// gives all of them the same port: the kernel's path manager joins subflows to the
// port that the first one used.
func (e *kernelEngine) Listen(ctx context.Context, c engine.Config) (engine.Listener, error) {
	congestion, err := e.check(c)
	if err != nil {
		return nil, err
	}
	sockets, err := e.bind(ctx, c.Paths, congestion)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.kind.Name, err)
	}
	l := &listener{
		engine: e, tls: e.tlsConfig(c.TLS),
		ready: make(chan *session, backlog), pending: make(chan struct{}, maxPending),
		sessions: map[token]*session{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for i, sock := range sockets {
		p := c.Paths[i]
		a := sock.Addr().(*net.TCPAddr).AddrPort()
		p.Local = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		l.paths = append(l.paths, p)
		if slices.Contains(l.sockets, sock) {
			continue // of an earlier path
		}
		l.sockets = append(l.sockets, sock)
		l.wg.Go(func() { l.serve(sock) })
	}
	return l, nil
}

// bindTries is how often bind looks for a port that is free on every address.
const bindTries = 16

// bind listens on every path's address and returns the path's socket, which several
// may share. A port that the kernel chose for the first
// may be taken on another: then it chooses again.
func (e *kernelEngine) bind(ctx context.Context, paths []engine.Path, congestion string) ([]*net.TCPListener, error) {
	for try := 1; ; try++ {
		sockets, err := e.bindOnce(ctx, paths, congestion)
		if err == nil {
			return sockets, nil
		}
		if try == bindTries || !errors.Is(err, unix.EADDRINUSE) || paths[0].Local.Port() != 0 {
			return nil, err
		}
	}
}

func (e *kernelEngine) bindOnce(ctx context.Context, paths []engine.Path, congestion string) ([]*net.TCPListener, error) {
	lc := net.ListenConfig{Control: congestionControl(congestion)}
	lc.SetMultipathTCP(e.kind.Capabilities.Multipath) // Go's default is to try
	var sockets []*net.TCPListener
	for i, p := range paths {
		same := func(other engine.Path) bool { return other.Local == p.Local }
		if k := slices.IndexFunc(paths[:i], same); k >= 0 {
			sockets = append(sockets, sockets[k])
			continue
		}
		local := p.Local
		if local.Port() == 0 && len(sockets) > 0 {
			local = netip.AddrPortFrom(local.Addr(), uint16(sockets[0].Addr().(*net.TCPAddr).Port))
		}
		sock, err := lc.Listen(ctx, "tcp", local.String())
		if err != nil {
			for _, s := range sockets {
				s.Close()
			}
			return nil, err // says listen, the address and the cause
		}
		sockets = append(sockets, sock.(*net.TCPListener))
	}
	return sockets, nil
}

// acceptPause is how long a listener rests after a passing error, such as too many
// open files.
const acceptPause = 50 * time.Millisecond

// serve accepts connections on one socket.
func (l *listener) serve(sock *net.TCPListener) {
	for {
		c, err := sock.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case <-time.After(acceptPause):
				continue
			case <-l.ctx.Done():
				return
			}
		}
		select {
		case l.pending <- struct{}{}:
		default:
			c.Close()
			continue
		}
		l.wg.Go(func() {
			defer func() { <-l.pending }()
			st := &stream{tcp: c, measure: l.engine.kind.Tracker()}
			if err := l.admit(st); err != nil {
				st.Close()
			}
		})
	}
}

// admit reads a connection's preamble and gives it its place. An error means that
// the connection has none.
func (l *listener) admit(st *stream) error {
	release := bound(l.ctx, st.tcp)
	if l.tls != nil {
		st.tls = tls.Server(st.tcp, l.tls)
		if err := st.tls.HandshakeContext(l.ctx); err != nil {
			return release(err)
		}
	}
	var buf [preambleSize]byte
	_, err := io.ReadFull(st.conn(), buf[:])
	if err := release(err); err != nil {
		return err
	}
	p, err := parsePreamble(buf[:])
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.kind == kindControl {
		return l.newSession(p.token, st)
	}
	s := l.sessions[p.token]
	if s == nil || !s.follow(st, func() { s.awaitOpen(st) }) {
		return errors.New("no such session")
	}
	return nil
}

// newSession makes a session of a control connection. The caller holds mu.
func (l *listener) newSession(t token, control *stream) error {
	if l.ctx.Err() != nil || l.sessions[t] != nil || len(l.ready) == cap(l.ready) {
		return errors.New("no room for another session")
	}
	s := newSession(l.engine.kind.Name, l.paths, control)
	l.sessions[t] = s
	s.watchControl()
	s.wg.Go(func() {
		<-s.ctx.Done()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.sessions, t)
	})
	s.wg.Go(func() {
		// One byte into an empty send buffer. An error ends the control connection,
		// which is being watched.
		_, _ = control.conn().Write([]byte{byteWelcome})
	})
	l.ready <- s // has room: only this function fills it, under mu
	return nil
}

// awaitOpen waits until the connection becomes a stream.
func (s *session) awaitOpen(st *stream) {
	var b [1]byte
	if _, err := io.ReadFull(st.conn(), b[:]); err != nil || b[0] != byteOpen {
		st.Close()
		return
	}
	s.deliver(st)
}

func (l *listener) Accept(ctx context.Context) (engine.Session, error) {
	select {
	case s := <-l.ready:
		return s, nil
	case <-l.ctx.Done():
		return nil, fmt.Errorf("%s: accept a session: %w", l.engine.kind.Name, net.ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: accept a session: %w", l.engine.kind.Name, context.Cause(ctx))
	}
}

func (l *listener) Paths() []engine.Path { return l.paths }

func (l *listener) Close() error {
	l.once.Do(func() { l.err = l.close() })
	return l.err
}

func (l *listener) close() error {
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	var errs []error
	for _, sock := range l.sockets {
		errs = append(errs, sock.Close())
	}
	l.wg.Wait()
	for {
		select {
		case s := <-l.ready: // nobody will accept it
			errs = append(errs, s.Close())
			continue
		default:
		}
		return errors.Join(errs...)
	}
}
