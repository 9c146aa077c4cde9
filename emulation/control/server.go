package control

import (
	"errors"
	"net"
	"sync"
	"time"
)

// MaxClients is how many clients are served at once; more are turned away.
const MaxClients = 32

// retryAccept is the time between two tries where the machine has no file left, say.
const retryAccept = 100 * time.Millisecond

// Server accepts clients on a listener.
type Server struct {
	listener net.Listener
	answer   func(net.Conn)
	clients  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

// NewServer returns a server that calls answer for each client, in a goroutine of its
// own, and closes the connection when that returns.
func NewServer(l net.Listener, answer func(net.Conn)) *Server {
	return &Server{listener: l, answer: answer, open: map[net.Conn]bool{}}
}

// Serve accepts clients until Close, and returns when the last one is gone.
func (s *Server) Serve() {
	defer s.clients.Wait()
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(retryAccept)
			continue
		}
		if !s.admit(conn) {
			_ = conn.Close()
			continue
		}
		s.clients.Go(func() {
			s.answer(conn)
			s.dismiss(conn)
		})
	}
}

func (s *Server) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.open) == MaxClients {
		return false
	}
	s.open[conn] = true
	return true
}

func (s *Server) dismiss(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
	_ = conn.Close()
}

// Close ends all clients and makes Serve return. Idempotent.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for conn := range s.open {
		_ = conn.Close()
	}
}
