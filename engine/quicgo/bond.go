package quicgo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine"
)

// NewBond returns the engine "quic-go-bond".
func NewBond() engine.Engine { return bond{} }

type bond struct{}

func (bond) Name() string { return "quic-go-bond" }

func (bond) Capabilities() engine.Capabilities {
	return engine.Capabilities{Multipath: true, Encrypted: true, QLOG: true, Congestion: congestionName}
}

// joinTimeout bounds what a connection may take from its handshake to its place in
// a session, on both sides.
const joinTimeout = 5 * time.Second

// lateJoin is how long Dial waits for the other paths once one is up. A later one
// joins the running session.
const lateJoin = time.Second

// Dial opens one connection per path at the same time.
func (e bond) Dial(ctx context.Context, c engine.Config) (engine.Session, error) {
	if err := check(e.Name(), c); err != nil {
		return nil, err
	}
	if err := checkRemotes(e.Name(), c.Paths); err != nil {
		return nil, err
	}
	var t token
	rand.Read(t[:])
	s := newBondSession(c.Paths, t, roleDialler)
	results := make(chan error, len(c.Paths))
	// A path that joins late must outlive ctx, and end with the session.
	dialCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	s.expect(len(c.Paths))
	for i := range c.Paths {
		s.wg.Go(func() { results <- s.settled(e.join(dialCtx, s, i, c)) })
	}
	s.cancelDial = cancel
	if err := awaitPaths(results, len(c.Paths)); err != nil {
		s.Close()
		return nil, fmt.Errorf("quic-go-bond: %w", err)
	}
	if !stop() {
		s.Close()
		return nil, fmt.Errorf("quic-go-bond: %w", context.Cause(ctx))
	}
	return s, nil
}

// awaitPaths waits until every path has settled, or lateJoin after the first one
// came up. It returns an error when none did. The dials end with Dial's context, so
// they bound the wait.
func awaitPaths(results <-chan error, n int) error {
	var errs []error
	var late <-chan time.Time
	up := 0
	for range n {
		select {
		case err := <-results:
			if err != nil {
				errs = append(errs, err)
				continue
			}
			up++
			if late == nil {
				late = time.After(lateJoin)
			}
		case <-late:
			return nil
		}
	}
	if up == 0 {
		return errors.Join(errs...)
	}
	return nil
}

// join dials path i, joins its connection to the session and adds it.
func (e bond) join(ctx context.Context, s *bondSession, i int, c engine.Config) error {
	conn, sock, err := dialPath(ctx, c.Paths[i], c, bondConfig(c.QLOG))
	if err != nil {
		return err
	}
	err = greet(ctx, conn, s.token)
	if err == nil {
		err = s.addPath(i, conn, sock)
	}
	if err != nil {
		_ = conn.CloseWithError(codeClosed, "join failed") // always nil
		sock.release()
		return fmt.Errorf("join %v to the session: %w", c.Paths[i].Remote, err)
	}
	return nil
}

// greet opens the control stream and waits for the listener's welcome.
func greet(ctx context.Context, conn *quic.Conn, t token) error {
	control, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return fmt.Errorf("open the control stream: %w", err)
	}
	release := boundStream(ctx, control)
	defer release()
	if _, err := control.Write(helloFrame(t)); err != nil {
		return fmt.Errorf("write the hello: %w", err)
	}
	h, err := readHeader(control)
	if err != nil {
		return fmt.Errorf("read the welcome: %w", err)
	}
	if h.kind != frameWelcome {
		return fmt.Errorf("the listener answered with a frame of kind %d", h.kind)
	}
	return nil
}

// boundStream ends calls on the stream with the context and after joinTimeout. The
// caller releases it once the stream has served.
func boundStream(ctx context.Context, qs *quic.Stream) (release func()) {
	_ = qs.SetDeadline(time.Now().Add(joinTimeout)) // always nil
	stop := context.AfterFunc(ctx, func() { _ = qs.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if stop() {
			_ = qs.SetDeadline(time.Time{})
		}
	}
}

// readHeader reads one frame header.
func readHeader(r io.Reader) (header, error) {
	var b [frameHeader]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return header{}, err
	}
	return parseHeader(b[:])
}
