package sim

import (
	"github.com/tquiclab/tquiclab/engine/internal/proto"
)

// ErrBlocked says that a stream has nothing to read, or no room to write, at the
// moment. Application says when that changes.
var ErrBlocked = proto.ErrBlocked

// Stream is one side of a stream. It never blocks.
type Stream struct {
	// Value is the application's.
	Value any

	conn  *Conn
	proto *proto.Stream
}

// Conn returns the connection that the stream belongs to.
func (s *Stream) Conn() *Conn { return s.conn }

// ID returns the stream's number.
func (s *Stream) ID() uint64 { return uint64(s.proto.ID()) }

// Write takes as much of p as there is room for, and ErrBlocked when that is none.
func (s *Stream) Write(p []byte) (int, error) {
	s.conn.host.touch(s.conn)
	return s.proto.Write(p)
}

// Read copies what is there: ErrBlocked when nothing is, io.EOF at the end.
func (s *Stream) Read(p []byte) (int, error) {
	s.conn.host.touch(s.conn) // room in the receive window may be told
	return s.proto.Read(p)
}

// Take hands the next bytes to f, which borrows them, without copying. Its errors are
// Read's, and f's.
func (s *Stream) Take(f func([]byte) error) error {
	s.conn.host.touch(s.conn)
	v, err := s.proto.ReadView()
	if err != nil {
		return err
	}
	defer v.Release()
	return f(v.Bytes)
}

// CloseWrite ends this side's bytes.
func (s *Stream) CloseWrite() error {
	s.conn.host.touch(s.conn)
	return s.proto.CloseWrite()
}

// Reset gives up sending; the peer learns the application's code.
func (s *Stream) Reset(code uint64) {
	s.conn.host.touch(s.conn)
	s.proto.Reset(code)
}

// StopSending asks the peer to give up sending.
func (s *Stream) StopSending(code uint64) {
	s.conn.host.touch(s.conn)
	s.proto.StopSending(code)
}
