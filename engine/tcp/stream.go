package tcp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/tquiclab/tquiclab/engine"
)

// stream is one connection.
type stream struct {
	tcp *net.TCPConn
	tls *tls.Conn // nil without TLS

	measure func(*net.TCPConn, []engine.Path) []engine.PathStats // under the session's mu
	session *session                                             // that counts the stream, or nil
	once    sync.Once
}

// conn returns what the bytes go through.
func (s *stream) conn() net.Conn {
	if s.tls != nil {
		return s.tls
	}
	return s.tcp
}

func (s *stream) Read(b []byte) (int, error) { return s.conn().Read(b) }

func (s *stream) Write(b []byte) (int, error) { return s.conn().Write(b) }

// CloseWrite ends this side's bytes: under TLS with the close_notify alert that RFC
// 8446, section 6.1 asks for, and with the FIN behind it. (Go's reader takes a bare
// FIN between two records for an end as well.)
func (s *stream) CloseWrite() error {
	if s.session != nil {
		s.session.sample(s)
	}
	if s.tls != nil {
		if err := s.tls.CloseWrite(); err != nil {
			return fmt.Errorf("close for writing: %w", err)
		}
	}
	if err := s.tcp.CloseWrite(); err != nil {
		return fmt.Errorf("close for writing: %w", err)
	}
	return nil
}

// Close closes the connection below TLS: the alert that tls.Conn would send could
// wait for a peer that does not read.
func (s *stream) Close() error {
	var err error
	s.once.Do(func() {
		if s.session != nil {
			s.session.retire(s)
		}
		if err = s.tcp.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	})
	return err
}
