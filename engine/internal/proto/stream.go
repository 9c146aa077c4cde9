package proto

import (
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

var (
	// ErrBlocked says that the call can do nothing now; an event tells when to try again.
	ErrBlocked = errors.New("blocked")
	// ErrWriteClosed is Write's after CloseWrite.
	ErrWriteClosed = errors.New("stream is closed for writing")
	// ErrNoHalf is what reading from our own or writing to the peer's unidirectional
	// stream gives.
	ErrNoHalf = errors.New("stream does not go in this direction")
)

// StreamError says that one half of a stream ended before its end: the application
// on one side reset what it sends, or stopped what it receives.
type StreamError struct {
	ID     wire.StreamID
	Code   uint64 // the application's
	Remote bool   // the peer's application did it
	// Stopped: the receiver did not want the data. Else the sender gave it up.
	Stopped bool
}

// Error says who ended which stream how.
func (e *StreamError) Error() string {
	who, how := "this side", "reset"
	if e.Remote {
		who = "the peer"
	}
	if e.Stopped {
		how = "stopped"
	}
	return fmt.Sprintf("%s %s stream %d with code %d", who, how, e.ID, e.Code)
}

// Stream is a stream of a connection, with the connection's owner. Errors of its
// methods that the docs do not name are the connection's end.
type Stream struct {
	// Owner is whatever the connection's owner wants to find again in events. The
	// connection does not look at it.
	Owner any

	id   wire.StreamID
	all  *streams
	send sendHalf
	recv recvHalf

	wants     controlFrames
	inControl bool // in all.control
	inRepeats bool // in all.repeats
	inFresh   bool // in all.fresh
	forgotten bool
}

// controlFrames is the frames beside STREAM that are to be sent for a stream.
type controlFrames uint8

const (
	wantReset controlFrames = 1 << iota
	wantStop
	wantMaxData
	wantBlocked
)

// ID returns the stream's ID.
func (s *Stream) ID() wire.StreamID { return s.id }

// Write copies as much of p into the send buffer as fits, and returns how much. A
// full buffer gives ErrBlocked, and a StreamWritable event when it has room again;
// a reset or stopped stream *StreamError, a closed one ErrWriteClosed.
func (s *Stream) Write(p []byte) (int, error) {
	if err := s.writeError(); err != nil {
		return 0, err
	}
	space := s.SendSpace()
	if space == 0 && len(p) > 0 {
		s.send.starved = true
		return 0, ErrBlocked
	}
	n := min(space, len(p))
	s.send.data.write(p[:n])
	s.all.schedule(s)
	return n, nil
}

func (s *Stream) writeError() error {
	switch {
	case s.all.err != nil:
		return s.all.err
	case s.send.state == sendNone:
		return ErrNoHalf
	case s.send.err != nil:
		return s.send.err
	case s.send.closed:
		return ErrWriteClosed
	}
	return nil
}

// SendSpace returns how many bytes Write takes now.
func (s *Stream) SendSpace() int {
	held := s.send.data.buffered()
	if s.all.err != nil || !s.send.open() || held >= s.all.sendBuffer {
		return 0
	}
	return int(s.all.sendBuffer - held)
}

// CloseWrite ends the stream behind what was written. A second call does nothing; a
// reset or stopped stream gives *StreamError.
func (s *Stream) CloseWrite() error {
	if err := s.writeError(); err != nil && !errors.Is(err, ErrWriteClosed) {
		return err
	}
	if !s.send.closed {
		s.send.closed = true
		s.all.schedule(s)
	}
	return nil
}

// Reset gives up sending: what has not arrived may never do so, and the peer's
// reads fail with code, which is at most wire.MaxVarint. It does nothing when
// everything arrived already.
func (s *Stream) Reset(code uint64) {
	if s.all.err == nil {
		s.all.reset(s, &StreamError{ID: s.id, Code: min(code, wire.MaxVarint)})
	}
}

// Read copies bytes in order to p. ErrBlocked: none are there; io.EOF: there will
// be no more; *StreamError: the peer reset the stream, or we stopped it.
func (s *Stream) Read(p []byte) (int, error) {
	if err := s.readError(len(p) > 0); err != nil {
		return 0, err
	}
	n := s.recv.data.read(p)
	s.all.copies.Read += uint64(n)
	s.all.consumed(s, uint64(n))
	return n, nil
}

// ReadView returns the next bytes in order without copying them: give. Its errors
// are Read's.
func (s *Stream) ReadView() (buf.View, error) {
	if err := s.readError(true); err != nil {
		return buf.View{}, err
	}
	v, _ := s.recv.data.pop()
	s.all.consumed(s, uint64(len(v.Bytes)))
	return v, nil
}

// readError returns why there is nothing to read, and takes the stream's end.
func (s *Stream) readError(wanted bool) error {
	if s.all.err != nil {
		return s.all.err
	}
	if s.recv.state == recvNone {
		return ErrNoHalf
	}
	err := s.recv.take(wanted)
	s.all.forgetIfDone(s)
	return err
}

// Buffered returns how many bytes Read would give.
func (s *Stream) Buffered() int { return s.recv.data.readable() }

// StopSending says that the application wants no more of what the peer sends. What
// is there is dropped; the peer is asked to reset its half with code, which is at
// most wire.MaxVarint.
func (s *Stream) StopSending(code uint64) {
	if s.all.err == nil {
		s.all.stop(s, min(code, wire.MaxVarint))
	}
}

// Done reports whether both halves are over: all sent data or the reset arrived,
// and the application took the end of what it receives.
func (s *Stream) Done() bool {
	return s.send.over() && s.recv.over() && s.wants&wantStop == 0
}
