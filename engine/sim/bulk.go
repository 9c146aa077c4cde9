package sim

import (
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/engine/workload"
)

// bulk is one host's part in a workload of streams that are there from the beginning: it
// drives their flows.
type bulk struct {
	books    traffic
	clocked  clocked
	progress workload.Progress
	role     workload.Role
	dialler  bool
	streams  int // that a dialler opens on each connection
	started  bool
	conns    []*Conn // in the order in which they connected
	flows    []*flow
	want     int   // how many flows there will be
	done     int   // how many are over
	err      error // the first that ended the transfer early
}

// flow is a workload's flow on its stream.
type flow struct {
	streamFlow
	stream  *Stream
	over    bool
	waiting bool // a look at it is planned
}

// Connected implements Application.
func (b *bulk) Connected(c *Conn) { b.conns = append(b.conns, c) }

// begin implements party: a dialler opens its streams and starts to move data.
func (b *bulk) begin() {
	b.started = true
	if !b.dialler {
		return
	}
	for i, c := range b.conns {
		for j := range b.streams {
			s, err := c.OpenStream()
			if err != nil {
				b.fail(fmt.Errorf("stream %d of session %d: %w", j, i, err))
				return
			}
			f, err := b.books.dial(b.role, len(b.conns), workload.Place{Session: i, Stream: j})
			if err != nil {
				b.fail(err)
				return
			}
			b.attach(s, f)
			b.write(s)
		}
	}
	b.books.start()
	b.watch()
}

func (b *bulk) attach(s *Stream, f streamFlow) *flow {
	w := &flow{streamFlow: f, stream: s}
	s.Value = w
	b.flows = append(b.flows, w)
	return w
}

// Readable implements Application.
func (b *bulk) Readable(s *Stream) {
	f, ok := s.Value.(*flow)
	if !ok {
		if b.dialler {
			b.fail(errors.New("the listener opened a stream"))
			return
		}
		f = b.attach(s, b.books.serve())
	}
	defer b.watch()
	ended, err := pull(s, f)
	if err == nil && ended {
		err = f.End()
	}
	if err != nil {
		b.fail(err)
		return
	}
	b.write(s)
}

// Writable implements Application.
func (b *bulk) Writable(s *Stream) {
	if _, ok := s.Value.(*flow); ok {
		b.write(s)
	}
}

// write writes what is pending, as far as there is room, and ends what is done.
func (b *bulk) write(s *Stream) {
	f := s.Value.(*flow)
	if all, err := push(s, f); err != nil || !all {
		b.fail(err)
		return
	}
	if f.Ending() {
		if err := s.CloseWrite(); err != nil {
			b.fail(fmt.Errorf("end the stream: %w", err))
		}
	}
	if f.Done() && !f.over {
		f.over = true
		b.done++
	}
	b.wait(f)
}

// Closed implements Application.
func (b *bulk) Closed(_ *Conn, err error) {
	if !b.finished() {
		b.fail(fmt.Errorf("the connection ended: %w", err))
	}
}

// fail notes an error, unless it is nil or a later one.
func (b *bulk) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *bulk) failure() error                   { return b.err }
func (b *bulk) report(err error) workload.Report { return b.books.report(err) }
func (b *bulk) bytes() int64                     { return b.progress.Bytes() }
func (b *bulk) sessions() []*Conn                { return b.conns }

// finished implements party.
func (b *bulk) finished() bool {
	return b.err != nil || b.clocked.over || (b.started && b.done == b.want)
}

// Waiting says what the transfer waits for, for who finds it stuck.
func (b *bulk) Waiting() string {
	for _, f := range b.flows {
		if !f.over {
			return f.Waiting()
		}
	}
	return "streams"
}
