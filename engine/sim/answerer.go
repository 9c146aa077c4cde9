package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/workload"
)

// answerer is the server's part in a handshake workload: it answers each session's ask,
// and says at the end how many.
type answerer struct {
	books    *workload.HandshakeListener
	progress workload.Progress
	now      func() int64
	after    func(time.Duration, func())

	conns   []*Conn // that were open at the beginning
	flow    *workload.ListenerControl
	started bool
	waiting bool // for the dialler's word, and no longer than that is due
	over    bool
	err     error
}

// reply is the listener's side of a stream: of a session, or the control stream.
type reply interface {
	Pending() []byte
	Wrote(n int)
	Read(data []byte) error
}

// begin implements party.
func (a *answerer) begin() { a.started = true }

// Connected implements Application.
func (a *answerer) Connected(c *Conn) {
	if !a.started {
		a.conns = append(a.conns, c)
	}
}

// Readable implements Application.
func (a *answerer) Readable(s *Stream) {
	f := a.replyOf(s)
	if f == nil {
		return
	}
	if _, err := pull(s, f); err != nil {
		a.refuse(s, err)
		return
	}
	a.Writable(s)
	if at, ok := a.books.Overdue(); ok && !a.waiting {
		a.waiting = true
		a.after(time.Duration(at-a.now()), func() { a.over = true })
	}
	a.over = a.over || (a.flow != nil && a.flow.Over())
}

// replyOf returns the stream's flow; nil: it has none.
func (a *answerer) replyOf(s *Stream) reply {
	if f, ok := s.Value.(reply); ok {
		return f
	}
	switch {
	case !slices.Contains(a.conns, s.Conn()):
		s.Value = a.books.Answer()
	case a.flow == nil:
		a.flow = a.books.Control()
		s.Value = a.flow
	default:
		a.err = fmt.Errorf("the dialler opened a second control stream")
		return nil
	}
	return s.Value.(reply)
}

// refuse ends a session that does not ask, or the run if it is the control stream that
// has another word.
func (a *answerer) refuse(s *Stream, why error) {
	if s.Value == a.flow {
		a.err = why
		return
	}
	s.Conn().Close(0, sessionClosed)
}

// Writable implements Application. What cannot be written is the dialler's to miss.
func (a *answerer) Writable(s *Stream) {
	if f, ok := s.Value.(reply); ok {
		_, _ = push(s, f)
	}
}

// Closed implements Application: the dialler counts its sessions, and those that break.
func (a *answerer) Closed(_ *Conn, err error) {
	if !a.started {
		a.err = fmt.Errorf("the connection ended: %w", err)
	}
}

func (a *answerer) finished() bool                   { return a.over || a.err != nil }
func (a *answerer) failure() error                   { return a.err }
func (a *answerer) report(err error) workload.Report { return a.books.Report(err) }
func (a *answerer) bytes() int64                     { return a.progress.Bytes() }
func (a *answerer) sessions() []*Conn                { return a.conns }

// Waiting says what the workload waits for, for who finds it stuck.
func (a *answerer) Waiting() string { return "asks" }
