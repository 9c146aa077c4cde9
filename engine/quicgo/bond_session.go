package quicgo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine"
)

// role is a side of a session. Only the dialler opens streams.
type role uint8

const (
	roleDialler role = iota
	roleListener
)

// bondSession is a set of connections that carry the same streams.
//
// Locks: a session's mu may be taken before a stream's, never after.
type bondSession struct {
	config     []engine.Path
	token      token
	role       role
	pool       chunkPool
	cancelDial context.CancelFunc // dialler: ends dials in progress

	done chan struct{} // closed with err set
	wg   sync.WaitGroup
	once sync.Once

	mu       sync.Mutex
	paths    []*bondPath
	expected int // paths whose dial has not settled
	err      error
	closing  bool
	streams  map[int64]*bondStream // nil: over
	nextID   int64
	incoming []*bondStream
	arrived  chan struct{} // something may be in incoming
}

// bondPath is one connection of a session.
type bondPath struct {
	index  int // in config
	conn   *quic.Conn
	socket *socket

	mu         sync.Mutex
	reinjected int64
	stalled    int // lanes
}

func newBondSession(config []engine.Path, t token, r role) *bondSession {
	return &bondSession{
		config: config, token: t, role: r, cancelDial: func() {},
		done: make(chan struct{}), arrived: make(chan struct{}, 1),
		streams: map[int64]*bondStream{},
	}
}

// expect says that n paths are being dialled: the session does not fail for want of
// paths before they have settled.
func (s *bondSession) expect(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected += n
}

// settled says that a dial is over, and passes its error on.
func (s *bondSession) settled(err error) error {
	s.mu.Lock()
	s.expected--
	s.mu.Unlock()
	if err != nil {
		s.failIfDead(err)
	}
	return err
}

// failIfDead ends the session when no path lives or may still come up.
func (s *bondSession) failIfDead(cause error) {
	s.mu.Lock()
	live := s.expected
	for _, p := range s.paths {
		if p.conn.Context().Err() == nil {
			live++
		}
	}
	s.mu.Unlock()
	if live == 0 {
		s.fail(fmt.Errorf("every path is dead: %w", cause))
	}
}

// addPath puts a connection into service for path index of config. The session
// keeps both arguments unless it returns an error.
func (s *bondSession) addPath(index int, conn *quic.Conn, sock *socket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.closing {
		return fmt.Errorf("session is over: %w", net.ErrClosed)
	}
	p := &bondPath{index: index, conn: conn, socket: sock}
	s.paths = append(s.paths, p)
	s.wg.Go(func() { s.watch(p) })
	if s.role == roleListener {
		s.wg.Go(func() { s.acceptLanes(p) })
		return nil
	}
	for _, st := range s.streams {
		if st != nil {
			if err := s.openLane(st, p); err != nil && conn.Context().Err() == nil {
				return err
			}
		}
	}
	return nil
}

// watch waits for the end of a path's connection. The last one takes the session
// with it; so does any that the peer closed in order.
func (s *bondSession) watch(p *bondPath) {
	<-p.conn.Context().Done()
	cause := context.Cause(p.conn.Context())
	if inOrder(cause) {
		s.fail(closedError(cause))
		return
	}
	s.failIfDead(cause)
}

// fail ends the session and all its streams with err, once.
func (s *bondSession) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	close(s.done)
	for _, st := range s.streams {
		if st != nil {
			st.fail(err)
		}
	}
}

func (s *bondSession) OpenStream(ctx context.Context) (engine.Stream, error) {
	if s.role != roleDialler {
		return nil, fmt.Errorf("quic-go-bond: the listener opens no streams: %w", engine.ErrUnsupported)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("quic-go-bond: open a stream: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, fmt.Errorf("quic-go-bond: open a stream: %w", s.err)
	}
	st := newBondStream(s, s.nextID)
	s.nextID++
	for _, p := range s.paths {
		if err := s.openLane(st, p); err != nil && p.conn.Context().Err() == nil {
			st.fail(err)
			return nil, fmt.Errorf("quic-go-bond: open a stream: %w", err)
		}
	}
	s.streams[st.id] = st
	return st, nil
}

// openLane gives the stream a lane on the path. The caller holds mu.
func (s *bondSession) openLane(st *bondStream, p *bondPath) error {
	qs, err := p.conn.OpenStream()
	if err != nil {
		return err
	}
	st.attach(st.nextLane(), p, qs, openLane)
	return nil
}

// acceptLanes takes the QUIC streams that the dialler opens on a path.
func (s *bondSession) acceptLanes(p *bondPath) {
	for {
		qs, err := p.conn.AcceptStream(context.Background())
		if err != nil {
			return // the connection is over
		}
		s.wg.Go(func() {
			if err := s.acceptLane(p, qs); err != nil {
				p.abort(err)
			}
		})
	}
}

// acceptLane reads a lane's first frame and joins the lane to its stream. A stream
// that is over answers with the end of the lane.
func (s *bondSession) acceptLane(p *bondPath, qs *quic.Stream) error {
	h, err := readHeader(qs)
	if err != nil {
		return err
	}
	if h.kind != frameOpen {
		return fmt.Errorf("a lane begins with a frame of kind %d", h.kind)
	}
	id, err := readLaneID(qs)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, known := s.streams[h.offset]
	if !known {
		st = newBondStream(s, h.offset)
		s.streams[h.offset] = st
		s.incoming = append(s.incoming, st)
		s.announce()
		if s.err != nil {
			st.fail(s.err)
		}
	}
	if st == nil {
		qs.CancelRead(quic.StreamErrorCode(codeClosed))
		return qs.Close()
	}
	return st.attach(id, p, qs, acceptedLane)
}

// announce wakes an AcceptStream. The caller holds mu.
func (s *bondSession) announce() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

func (s *bondSession) AcceptStream(ctx context.Context) (engine.Stream, error) {
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
		case <-s.done:
			return nil, fmt.Errorf("quic-go-bond: accept a stream: %w", s.err)
		case <-ctx.Done():
			return nil, fmt.Errorf("quic-go-bond: accept a stream: %w", context.Cause(ctx))
		}
	}
}

// forget drops a stream that is over; its number stays taken. A lane that comes late
// is ended at once, which tells the dialler that nothing more is wanted.
func (s *bondSession) forget(st *bondStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[st.id] = nil
}

// Stats adds up the connections of each path. A path is dead when it has none that
// lives and delivers.
func (s *bondSession) Stats() engine.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	paths := make([]engine.PathStats, len(s.config))
	for i, p := range s.config {
		paths[i] = engine.PathStats{Link: p.Link, Dead: true}
	}
	for _, p := range s.paths {
		to, c := &paths[p.index], pathStats(p.conn)
		to.SRTT = max(to.SRTT, c.SRTT)
		to.SentPackets += c.SentPackets
		to.ReceivedPackets += c.ReceivedPackets
		to.LostPackets += c.LostPackets
		p.mu.Lock()
		to.ReinjectedBytes += uint64(p.reinjected)
		to.Dead = to.Dead && (p.stalled > 0 || diedByItself(p.conn))
		p.mu.Unlock()
	}
	return engine.Stats{Congestion: congestionName, Paths: paths}
}

func (s *bondSession) Close() error {
	var err error
	s.once.Do(func() { err = s.close() })
	return err
}

func (s *bondSession) close() error {
	s.fail(fmt.Errorf("%w: this side closed the session", net.ErrClosed))
	s.cancelDial()
	s.mu.Lock()
	s.closing = true
	paths := s.paths
	s.mu.Unlock()
	var closers sync.WaitGroup
	for _, p := range paths {
		closers.Go(func() { _ = p.conn.CloseWithError(codeClosed, "session closed") }) // always nil
	}
	closers.Wait()
	s.wg.Wait()
	var errs []error
	for _, p := range paths {
		errs = append(errs, p.socket.release())
	}
	return errors.Join(errs...)
}

// abort ends a path whose peer broke the protocol. It does nothing to a connection
// that is over.
func (p *bondPath) abort(err error) {
	if p.conn.Context().Err() == nil {
		_ = p.conn.CloseWithError(codeProtocol, err.Error()) // always nil
	}
}

// firstGuess is a lane's delivery time before one was measured.
func (p *bondPath) firstGuess() time.Duration {
	if rtt := p.conn.ConnectionStats().SmoothedRTT; rtt > 0 {
		return 2 * rtt
	}
	return 100 * time.Millisecond
}

// account notes what a lane did since the last call.
func (p *bondPath) account(reinjected int64, stalled int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reinjected += reinjected
	p.stalled += stalled
}
