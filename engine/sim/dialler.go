package sim

import (
	"fmt"
	"time"

	"github.com/tquiclab/tquiclab/engine/workload"
)

// sessionClosed is the reason that both sides of a handshake workload close a session
// with, beside code 0: that of the engine in a lab.
const sessionClosed = "session closed"

// dialler is the client's part in a handshake workload: sessions set up one after the
// other, beside the first connection, whose one stream controls it all.
type dialler struct {
	books    *workload.HandshakeDialler
	progress workload.Progress
	dial     func() (*Conn, error)
	now      func() int64
	after    func(time.Duration, func())

	conns   []*Conn // that were open at the beginning
	control *Stream
	flow    *workload.DiallerControl
	started bool
	running int // diallers that have time for another session
	over    bool
	err     error
}

// dialled is one session of it.
type dialled struct {
	of   *dialler
	flow *workload.AskFlow
	conn *Conn // what Dial returned, then what it came to
	over bool
}

// begin implements party.
func (d *dialler) begin() {
	d.started = true
	var err error
	if d.control, err = d.conns[0].OpenStream(); err != nil {
		d.err = fmt.Errorf("open the control stream: %w", err)
		return
	}
	d.flow = d.books.Control()
	d.Writable(d.control)
	d.books.Start()
	d.running = d.books.Parallel
	for range d.books.Parallel {
		d.next()
	}
}

// next begins a dialler's next session, if there is time for one.
func (d *dialler) next() {
	if !d.books.More() {
		if d.running--; d.running == 0 {
			d.end()
		}
		return
	}
	s := &dialled{of: d, flow: d.books.Dial()}
	var err error
	if s.conn, err = d.dial(); err != nil {
		s.fail(fmt.Errorf("dial: %w", err))
		return
	}
	s.conn.Value = s
	at, why := s.flow.Overdue()
	d.after(time.Duration(at-d.now()), func() { s.fail(why) })
}

// end tells the listener that no more sessions come, and waits for its verdict. Where the
// network is gone by then nobody does.
func (d *dialler) end() {
	d.books.End()
	d.flow.Over()
	d.Writable(d.control)
	d.after(d.books.Bound, func() { d.over = true })
}

// Connected implements Application.
func (d *dialler) Connected(c *Conn) {
	s, ok := c.Value.(*dialled)
	if !ok {
		d.conns = append(d.conns, c)
		return
	}
	s.conn = c
	s.flow.Opened()
	stream, err := c.OpenStream()
	if err != nil {
		s.fail(err)
		return
	}
	stream.Value = s
	d.Writable(stream)
}

// Readable implements Application.
func (d *dialler) Readable(stream *Stream) {
	if s, ok := stream.Value.(*dialled); ok {
		s.read(stream)
		return
	}
	if stream != d.control {
		d.err = fmt.Errorf("the listener opened a stream")
		return
	}
	if _, err := pull(stream, d.flow); err != nil {
		d.err = err
		return
	}
	if d.flow.Done() {
		_ = stream.CloseWrite() // nobody needs it any more
		d.over = true
	}
}

// read reads the answer, with which the session is over and the next one begins.
func (s *dialled) read(stream *Stream) {
	if s.over {
		return
	}
	if _, err := pull(stream, s.flow); err != nil {
		s.fail(err)
		return
	}
	if s.flow.Done() {
		s.close()
		s.of.next()
	}
}

func (s *dialled) close() {
	s.over = true
	if s.conn != nil {
		s.conn.Close(0, sessionClosed)
	}
}

// fail counts the session as failed, unless it is over. The next one begins after a
// pause.
func (s *dialled) fail(why error) {
	if s.over {
		return
	}
	s.flow.Fail(why)
	s.close()
	s.of.after(workload.DialPause, s.of.next)
}

// Writable implements Application.
func (d *dialler) Writable(stream *Stream) {
	s, ok := stream.Value.(*dialled)
	switch {
	case !ok:
		if _, err := push(stream, d.flow); err != nil && d.running == 0 {
			d.over = true // the control session is gone: there is nothing to compare
		}
	case !s.over:
		if _, err := push(stream, s.flow); err != nil {
			s.fail(fmt.Errorf("ask: %w", err))
		}
	}
}

// Closed implements Application. A control session that broke says nothing of the others.
func (d *dialler) Closed(c *Conn, err error) {
	if s, ok := c.Value.(*dialled); ok {
		s.fail(err)
		return
	}
	if !d.started {
		d.err = fmt.Errorf("the connection ended: %w", err)
	}
}

func (d *dialler) finished() bool                   { return d.over || d.err != nil }
func (d *dialler) failure() error                   { return d.err }
func (d *dialler) report(err error) workload.Report { return d.books.Report(err) }
func (d *dialler) bytes() int64                     { return d.progress.Bytes() }
func (d *dialler) sessions() []*Conn                { return d.conns }

// Waiting says what the workload waits for, for who finds it stuck.
func (d *dialler) Waiting() string {
	if d.running > 0 {
		return "answers"
	}
	return "the verdict"
}
