package tquic

import (
	"io"
	"net"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/driver"
)

// Stream is an ordered, reliable stream of bytes, in both directions or in one. It is
// a net.Conn. Its methods are safe for concurrent use.
type Stream struct {
	driver *driver.Stream
}

var (
	_ net.Conn      = (*Stream)(nil)
	_ io.ReaderFrom = (*Stream)(nil)
	_ io.WriterTo   = (*Stream)(nil)
)

// ID returns the stream's number on its connection (RFC 9000, section 2.1).
func (s *Stream) ID() uint64 { return uint64(s.driver.ID()) }

// Read waits for bytes and copies them to p. At the end of what the peer wrote it
// returns io.EOF; a *StreamError when the peer gave up, or after StopSending.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.driver.Read(p)
	return n, readError(err)
}

// readError keeps io.EOF as it is, which callers compare with ==.
func readError(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return publicError(err)
}

// Write copies p into the connection's memory (borrow), and waits while too much of
// what was written before is not acknowledged. It returns a *StreamError when the
// peer wants no more, or after Reset.
func (s *Stream) Write(p []byte) (int, error) {
	n, err := s.driver.Write(p)
	return n, publicError(err)
}

// WriteTo writes what the peer sends to w until its end. w is lent the bytes as they
// lie in the receive buffers; nothing is copied here.
func (s *Stream) WriteTo(w io.Writer) (int64, error) {
	n, err := s.driver.WriteTo(w)
	return n, publicError(err)
}

// ReadFrom writes what r has to the stream until its end. It does not end the stream.
func (s *Stream) ReadFrom(r io.Reader) (int64, error) {
	n, err := s.driver.ReadFrom(r)
	return n, publicError(err)
}

// CloseWrite ends this side's bytes: the peer reads them all, then io.EOF.
func (s *Stream) CloseWrite() error { return publicError(s.driver.CloseWrite()) }

// CloseRead asks the peer to send no more, with code 0.
func (s *Stream) CloseRead() error {
	s.driver.StopSending(0)
	return nil
}

// Reset gives up sending: bytes that the peer has not got are not sent again, and its
// reads fail with the code. Unlike Close it leaves the other direction open.
func (s *Stream) Reset(code uint64) { s.driver.Reset(code) }

// StopSending asks the peer to send no more, with a code for its application. What
// comes nevertheless is dropped.
func (s *Stream) StopSending(code uint64) { s.driver.StopSending(code) }

// Close ends both directions and unblocks Read and Write. What was written arrives;
// when a Write is cut off, the peer sees a reset with code 0. Idempotent.
func (s *Stream) Close() error { return publicError(s.driver.Close()) }

// LocalAddr returns the connection's address on this side.
func (s *Stream) LocalAddr() net.Addr {
	local, _ := s.driver.Conn().Addresses()
	return net.UDPAddrFromAddrPort(local)
}

// RemoteAddr returns the peer's address.
func (s *Stream) RemoteAddr() net.Addr {
	_, remote := s.driver.Conn().Addresses()
	return net.UDPAddrFromAddrPort(remote)
}

// SetDeadline sets both deadlines.
func (s *Stream) SetDeadline(t time.Time) error {
	s.driver.SetReadDeadline(t)
	s.driver.SetWriteDeadline(t)
	return nil
}

// SetReadDeadline makes Read return os.ErrDeadlineExceeded from t on; the zero time is
// none.
func (s *Stream) SetReadDeadline(t time.Time) error {
	s.driver.SetReadDeadline(t)
	return nil
}

// SetWriteDeadline makes Write return os.ErrDeadlineExceeded from t on; the zero time
// is none. Some of the data may have been written.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.driver.SetWriteDeadline(t)
	return nil
}
