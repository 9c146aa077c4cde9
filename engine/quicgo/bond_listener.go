package quicgo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine"
)

const (
	// bondBacklog is how many sessions wait for Accept.
	bondBacklog = 64
	// maxJoining is how many connections may be between handshake and session.
	maxJoining = 128
)

// bondListener puts connections together into sessions, by token.
type bondListener struct {
	paths   []engine.Path
	sockets []*socket
	quic    []*quic.Listener
	ready   chan *bondSession
	joining chan struct{}

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	err    error

	mu       sync.Mutex
	sessions map[token]*bondSession
}

// Listen opens one socket per path, bound to the path's address.
func (e bond) Listen(ctx context.Context, c engine.Config) (engine.Listener, error) {
	if err := check(e.Name(), c); err != nil {
		return nil, err
	}
	l := &bondListener{
		ready: make(chan *bondSession, bondBacklog), joining: make(chan struct{}, maxJoining),
		sessions: map[token]*bondSession{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for _, p := range c.Paths {
		sock, err := openSocket(ctx, p.Local)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("quic-go-bond: %w", err)
		}
		l.sockets = append(l.sockets, sock)
		ql, err := sock.transport.Listen(tlsConfig(c.TLS), bondConfig(c.QLOG))
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("quic-go-bond: listen on %v: %w", p.Local, err)
		}
		l.quic = append(l.quic, ql)
		p.Local = sock.local()
		l.paths = append(l.paths, p)
	}
	for i, ql := range l.quic {
		l.wg.Go(func() { l.serve(i, ql) })
	}
	return l, nil
}

// serve accepts connections on path i.
func (l *bondListener) serve(i int, ql *quic.Listener) {
	for {
		conn, err := ql.Accept(l.ctx)
		if err != nil {
			return
		}
		select {
		case l.joining <- struct{}{}:
		default:
			_ = conn.CloseWithError(codeRefused, "too many connections are joining") // always nil
			continue
		}
		l.wg.Go(func() {
			defer func() { <-l.joining }()
			if err := l.join(i, conn); err != nil {
				_ = conn.CloseWithError(codeRefused, err.Error()) // always nil
			}
		})
	}
}

// join reads a connection's hello and adds it to its session, which the first one
// makes.
func (l *bondListener) join(i int, conn *quic.Conn) error {
	ctx, cancel := context.WithTimeout(l.ctx, joinTimeout)
	defer cancel()
	control, err := conn.AcceptStream(ctx)
	if err != nil {
		return err
	}
	release := boundStream(ctx, control)
	defer release()
	t, err := readHello(control)
	if err != nil {
		return err
	}
	if err := l.enter(t, i, conn); err != nil {
		return err
	}
	var welcome [frameHeader]byte
	header{kind: frameWelcome}.put(welcome[:])
	// An error here is the connection's, which the session watches now.
	_, _ = control.Write(welcome[:])
	return nil
}

// enter adds the connection to the session of the token.
func (l *bondListener) enter(t token, i int, conn *quic.Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return net.ErrClosed
	}
	s := l.sessions[t]
	fresh := s == nil
	if fresh {
		if len(l.ready) == cap(l.ready) {
			return errors.New("too many sessions wait to be accepted")
		}
		s = newBondSession(l.paths, t, roleListener)
	}
	sock := l.sockets[i].acquire()
	if err := s.addPath(i, conn, sock); err != nil {
		sock.release()
		return err
	}
	if fresh {
		l.sessions[t] = s
		s.wg.Go(func() {
			<-s.done
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.sessions, t)
		})
		l.ready <- s // has room, and only this side fills it
	}
	return nil
}

// readHello reads a control stream's first frame.
func readHello(r io.Reader) (token, error) {
	h, err := readHeader(r)
	if err != nil {
		return token{}, err
	}
	if h.kind != frameHello {
		return token{}, fmt.Errorf("the connection begins with a frame of kind %d", h.kind)
	}
	var body [helloSize]byte
	if _, err := io.ReadFull(r, body[:]); err != nil {
		return token{}, err
	}
	return parseHello(body[:])
}

func (l *bondListener) Accept(ctx context.Context) (engine.Session, error) {
	select {
	case s := <-l.ready:
		return s, nil
	case <-l.ctx.Done():
		return nil, fmt.Errorf("quic-go-bond: accept a session: %w", net.ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("quic-go-bond: accept a session: %w", context.Cause(ctx))
	}
}

func (l *bondListener) Paths() []engine.Path { return l.paths }

func (l *bondListener) Close() error {
	l.once.Do(func() { l.err = l.close() })
	return l.err
}

func (l *bondListener) close() error {
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	var errs []error
	for _, ql := range l.quic {
		errs = append(errs, ql.Close())
	}
	l.wg.Wait()
	for {
		select {
		case s := <-l.ready: // nobody will accept it
			errs = append(errs, s.Close())
			continue
		default:
		}
		break
	}
	for _, sock := range l.sockets {
		errs = append(errs, sock.release())
	}
	return errors.Join(errs...)
}
