package tcp

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	"github.com/tquiclab/tquiclab/engine"
)

// session is a control connection and any number of streams.
type session struct {
	name    string
	paths   []engine.Path
	control *stream
	dialler *dialler // nil on the listener's side

	ctx    context.Context // ends with the session, for the cause
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	once   sync.Once

	mu         sync.Mutex
	spare      *stream // a connection that is no stream yet
	open       []*stream
	incoming   []*stream
	arrived    chan struct{} // something may be in incoming
	past       []engine.PathStats
	most       []uint64 // most packets of one connection, per path
	congestion string
}

func newSession(name string, paths []engine.Path, control *stream) *session {
	s := &session{
		name: name, paths: paths, control: control, arrived: make(chan struct{}, 1),
		past: make([]engine.PathStats, len(paths)), most: make([]uint64, len(paths)),
		congestion: congestionInUse(control.tcp),
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// watchControl ends the session when the peer ends the control connection.
func (s *session) watchControl() {
	s.wg.Go(func() {
		_, err := io.Copy(io.Discard, s.control.conn())
		if err == nil {
			err = fmt.Errorf("%w: the peer closed the session", net.ErrClosed)
		}
		s.cancel(fmt.Errorf("the control connection ended: %w", err))
	})
}

// follow counts the stream among the session's until it closes, and runs serve for
// it in a goroutine of the session, if there is one. It refuses when the session is
// over.
func (s *session) follow(st *stream, serve func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.open = append(s.open, st)
	st.session = s
	if serve != nil {
		s.wg.Go(serve) // under mu, for Close waits after it had mu
	}
	return true
}

// sample reads the figures of a stream that is about to send its end. The kernel may
// have forgotten them when the stream closes.
func (s *session) sample(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.measure(st.tcp, s.paths)
}

// retire takes the last figures of a stream that is about to close.
func (s *session) retire(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.open, st)
	if i < 0 {
		return
	}
	s.open = slices.Delete(s.open, i, i+1)
	merge(s.past, st.measure(st.tcp, s.paths), s.most)
}

func (s *session) OpenStream(ctx context.Context) (engine.Stream, error) {
	if s.dialler == nil {
		return nil, fmt.Errorf("%s: the listener opens no streams: %w", s.name, engine.ErrUnsupported)
	}
	st, err := s.connection(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: open a stream: %w", s.name, err)
	}
	release := bound(ctx, st.tcp)
	_, err = st.conn().Write([]byte{byteOpen})
	if err := release(err); err != nil {
		st.Close()
		return nil, fmt.Errorf("%s: open a stream: %w", s.name, err)
	}
	return st, nil
}

// connection returns the connection that Dial made, or makes another.
func (s *session) connection(ctx context.Context) (*stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.ctx.Err() != nil {
		return nil, context.Cause(s.ctx)
	}
	s.mu.Lock()
	st := s.spare
	s.spare = nil
	s.mu.Unlock()
	if st != nil {
		return st, nil
	}
	// The end of the session ends the dial too.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	defer stop()
	st, err := s.dialler.stream(ctx)
	if err != nil {
		return nil, err
	}
	if !s.follow(st, nil) {
		st.Close()
		return nil, context.Cause(s.ctx)
	}
	return st, nil
}

// deliver puts a stream that the peer opened up for AcceptStream.
func (s *session) deliver(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.incoming = append(s.incoming, st)
	s.announce()
}

// announce wakes an AcceptStream. The caller holds mu.
func (s *session) announce() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

func (s *session) AcceptStream(ctx context.Context) (engine.Stream, error) {
	for {
		s.mu.Lock()
		if len(s.incoming) > 0 {
			st := s.incoming[0]
			s.incoming = s.incoming[1:]
			if len(s.incoming) > 0 {
				s.announce()
			}
			s.mu.Unlock()
			return st, nil
		}
		s.mu.Unlock()
		select {
		case <-s.arrived:
		case <-s.ctx.Done():
			return nil, fmt.Errorf("%s: accept a stream: %w", s.name, context.Cause(s.ctx))
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: accept a stream: %w", s.name, context.Cause(ctx))
		}
	}
}

// Stats adds up the streams, those that are closed too. The control connection does
// not count.
func (s *session) Stats() engine.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum, most := slices.Clone(s.past), slices.Clone(s.most)
	for _, st := range s.open {
		merge(sum, st.measure(st.tcp, s.paths), most)
	}
	for i, p := range s.paths {
		sum[i].Link = p.Link
	}
	return engine.Stats{Congestion: s.congestion, Paths: sum}
}

func (s *session) Close() error {
	var err error
	s.once.Do(func() {
		s.cancel(fmt.Errorf("%w: this side closed the session", net.ErrClosed))
		s.mu.Lock()
		open := slices.Clone(s.open)
		s.mu.Unlock()
		for _, st := range open {
			st.Close()
		}
		err = s.control.Close()
		s.wg.Wait()
	})
	return err
}
