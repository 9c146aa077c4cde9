package driver

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// writeChunk is how much a Write copies while it holds the connection: 1.3 us of
// copying.
const writeChunk = 64 << 10

// Stream is a stream of a connection. Its methods are safe for concurrent use; reads
// wait for one another, and so do writes.
type Stream struct {
	conn *Conn
	core *proto.Stream // conn.mu guards it

	readable, writable signal
	readBy, writeBy    deadline

	readMu, writeMu sync.Mutex // one Read, one Write at a time

	// conn.mu guards these.
	closed  bool // by Close
	writing bool
}

// newStream returns the stream of core. conn.mu is held.
func newStream(c *Conn, core *proto.Stream) *Stream {
	s := &Stream{conn: c, core: core, readable: newSignal(), writable: newSignal()}
	core.Owner = s
	return s
}

// ID returns the stream's ID.
func (s *Stream) ID() wire.StreamID { return s.core.ID() }

// Conn returns the stream's connection.
func (s *Stream) Conn() *Conn { return s.conn }

// Read waits for bytes and copies them to p. Errors: io.EOF at the end,
// *proto.StreamError, os.ErrDeadlineExceeded, net.ErrClosed after Close, the
// connection's end.
func (s *Stream) Read(p []byte) (n int, err error) {
	err = s.read(func() (err error) {
		n, err = s.core.Read(p)
		return err
	})
	return n, err
}

// ReadView waits for bytes and gives them as they lie. Errors as Read's.
func (s *Stream) ReadView() (v buf.View, err error) {
	err = s.read(func() (err error) {
		v, err = s.core.ReadView()
		return err
	})
	return v, err
}

// read calls try with the connection until it does not block.
func (s *Stream) read(try func() error) error {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	for {
		if s.readBy.passed() {
			return errDeadline()
		}
		err := s.tryRead(try)
		if !errors.Is(err, proto.ErrBlocked) {
			return err
		}
		select {
		case <-s.readable:
		case <-s.conn.done:
		case <-s.readBy.done():
			return errDeadline()
		}
	}
}

func (s *Stream) tryRead(try func() error) error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	err := try()
	c.requestSend() // credit for the peer, perhaps
	return err
}

// Write copies p into the connection, and waits while its buffer is full. Errors:
// *proto.StreamError, proto.ErrWriteClosed, os.ErrDeadlineExceeded, net.ErrClosed
// after Close, the connection's end.
func (s *Stream) Write(p []byte) (int, error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	written := 0
	for {
		if s.writeBy.passed() {
			s.stopWriting()
			return written, errDeadline()
		}
		n, err := s.tryWrite(p[written:])
		written += n
		switch {
		case err == nil && written == len(p):
			return written, nil
		case err == nil:
			continue
		case !errors.Is(err, proto.ErrBlocked):
			return written, err
		}
		select {
		case <-s.writable:
		case <-s.conn.done:
		case <-s.writeBy.done():
		}
	}
}

func (s *Stream) tryWrite(p []byte) (int, error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s.writing = false
	if s.closed {
		return 0, net.ErrClosed
	}
	n, err := s.core.Write(p[:min(len(p), writeChunk)])
	s.writing = n < len(p) && (err == nil || errors.Is(err, proto.ErrBlocked))
	c.requestSend()
	return n, err
}

// stopWriting notes that a Write is over that did not write all.
func (s *Stream) stopWriting() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.writing = false
}

// CloseWrite ends the stream's data behind what was written.
func (s *Stream) CloseWrite() error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	err := s.core.CloseWrite()
	s.writable.set()
	c.requestSend()
	return err
}

// Reset gives up what was written and has not arrived.
func (s *Stream) Reset(code uint64) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s.core.Reset(code)
	s.writable.set()
	c.requestSend()
}

// StopSending asks the peer to send no more.
func (s *Stream) StopSending(code uint64) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s.core.StopSending(code)
	s.readable.set()
	c.requestSend()
}

// Close ends both directions and unblocks Read and Write. What was written still
// arrives; a Write that is cut off resets the stream with code 0, lest the peer take
// what it got for the whole. Idempotent.
func (s *Stream) Close() error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.writing {
		s.core.Reset(0)
	} else {
		_ = s.core.CloseWrite() // reset, or over with the connection: as closed as can be
	}
	s.core.StopSending(0)
	s.readable.set()
	s.writable.set()
	c.requestSend()
	return nil
}

// SetReadDeadline makes reads return os.ErrDeadlineExceeded from t on; the zero time
// is none.
func (s *Stream) SetReadDeadline(t time.Time) { s.readBy.set(t) }

// SetWriteDeadline makes writes return os.ErrDeadlineExceeded from t on; the zero
// time is none. Some of the data may have been written.
func (s *Stream) SetWriteDeadline(t time.Time) { s.writeBy.set(t) }

// WriteTo writes what comes to w without copying it (lend), until the stream's end.
func (s *Stream) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		v, err := s.ReadView()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return total, err
		}
		n, err := w.Write(v.Bytes)
		total += int64(n)
		v.Release()
		if err != nil {
			return total, err
		}
	}
}

// ReadFrom writes what r has to the stream until its end.
func (s *Stream) ReadFrom(r io.Reader) (int64, error) {
	chunk := make([]byte, writeChunk)
	var total int64
	for {
		n, rerr := r.Read(chunk)
		if n > 0 {
			written, err := s.Write(chunk[:n])
			total += int64(written)
			if err != nil {
				return total, err
			}
		}
		if rerr == io.EOF {
			return total, nil
		}
		if rerr != nil {
			return total, rerr
		}
	}
}
