package quicgo

import (
	"fmt"
	"net"
	"sync"

	"github.com/quic-go/quic-go"
)

// stream is a QUIC stream. quic-go forbids Close during Write, so Close first makes
// a Write in progress return.
type stream struct {
	quic *quic.Stream

	writeMu sync.Mutex // held during Write

	mu      sync.Mutex
	closed  bool
	ended   bool // CloseWrite was called
	writing bool
}

func (s *stream) Read(b []byte) (int, error) {
	n, err := s.quic.Read(b)
	return n, s.hint(err)
}

func (s *stream) Write(b []byte) (int, error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	s.mu.Lock()
	if s.closed || s.ended {
		s.mu.Unlock()
		return 0, fmt.Errorf("write to a stream that is closed for writing: %w", net.ErrClosed)
	}
	s.writing = true
	s.mu.Unlock()
	n, err := s.quic.Write(b)
	s.mu.Lock()
	s.writing = false
	s.mu.Unlock()
	return n, s.hint(err)
}

// hint says that the stream was closed where quic-go says how.
func (s *stream) hint(err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	return closedError(err)
}

func (s *stream) CloseWrite() error {
	s.mu.Lock()
	done := s.ended || s.closed
	s.ended = true
	s.mu.Unlock()
	if done {
		return nil
	}
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	return s.quic.Close()
}

// Close ends an idle stream in order, and resets one that was in the middle of a
// Write: the peer must not take what it got for the whole.
func (s *stream) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	cutOff, ended := s.writing, s.ended
	s.mu.Unlock()
	s.quic.CancelRead(quic.StreamErrorCode(codeClosed))
	if cutOff {
		s.quic.CancelWrite(quic.StreamErrorCode(codeClosed))
		return nil
	}
	if ended {
		return nil
	}
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	_ = s.quic.Close() // fails when the peer has closed the stream before
	return nil
}
