package workload

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
)

// HandshakeListener is the listener's books over the sessions that it answers.
// Handshake.Serve keeps its own; an owner with its own clock makes one and drives its
// flows itself. Safe for concurrent use, as are its flows, each of one goroutine.
type HandshakeListener struct {
	Handshake
	meter
	role     Role
	answered atomic.Int64
}

// NewHandshakeListener returns the books of a listener that does what role says and has
// answered nothing. now and p are as NewHandshakeDialler's.
func NewHandshakeListener(h Handshake, role Role, now func() int64, p *Progress) *HandshakeListener {
	if p == nil {
		p = new(Progress)
	}
	l := &HandshakeListener{Handshake: h, role: role}
	l.now, l.progress = now, p
	return l
}

// patience is how long after the start a listener waits for the dialler's word that no
// more sessions come: the last one begins within Duration and takes a Bound at most, and
// then the dialler says so, unless the network is gone.
func (h Handshake) patience() time.Duration { return h.Duration + 2*h.Bound }

// Overdue returns when the listener stops to wait for the dialler's word, once it has
// started.
func (l *HandshakeListener) Overdue() (at int64, ok bool) {
	start := l.start.Load()
	return start + int64(l.patience()), start != 0
}

// Answer returns the flow of the one stream of a session.
func (l *HandshakeListener) Answer() *AnswerFlow { return &AnswerFlow{books: l} }

// Report sums up. err is what ended the answering early.
func (l *HandshakeListener) Report(err error) Report {
	n := l.answered.Load() * answerSize
	return l.report(l.role, []StreamReport{{Bytes: n, Delivered: n, Intact: true}}, err)
}

// AnswerFlow is the listener's side of one session's stream. It does no I/O.
type AnswerFlow struct {
	books *HandshakeListener
	ask   []byte // as far as it came
	out   []byte
}

// Pending returns what is to be written next. It is good until Wrote.
func (f *AnswerFlow) Pending() []byte { return f.out }

// Wrote says how much of Pending was.
func (f *AnswerFlow) Wrote(n int) {
	f.out = f.out[n:]
	if n > 0 && len(f.out) == 0 {
		f.books.moved(answerSize)
	}
}

// Read takes bytes that have arrived. An error says that they are no ask.
func (f *AnswerFlow) Read(data []byte) error {
	if len(f.ask) >= askSize {
		return nil
	}
	f.ask = append(f.ask, data...)
	if len(f.ask) < askSize {
		return nil
	}
	if magic := f.ask[:len(askMagic)]; string(magic) != askMagic {
		return fmt.Errorf("%q is no ask", magic)
	}
	// Counted first: the dialler may have read it before it is known to be written.
	f.books.answered.Add(1)
	number := binary.BigEndian.Uint64(f.ask[len(askMagic):])
	f.out = binary.BigEndian.AppendUint64(nil, answerTo(number))
	return nil
}

// ListenerControl is the listener's side of the control stream. It does no I/O.
type ListenerControl struct {
	books *HandshakeListener
	words int    // that have come
	in    []byte // of the next one
	out   []byte
}

// Control returns the control stream's flow. There is one.
func (l *HandshakeListener) Control() *ListenerControl { return &ListenerControl{books: l} }

// due returns the next word, or the last one.
func (c *ListenerControl) due() string {
	if c.words == 0 {
		return controlMagic
	}
	return controlEnd
}

// Pending returns what is to be written next. It is good until Wrote.
func (c *ListenerControl) Pending() []byte { return c.out }

// Wrote says how much of Pending was.
func (c *ListenerControl) Wrote(n int) { c.out = c.out[n:] }

// Read takes bytes that have arrived. The first word starts the clock, upon the last one
// the verdict is to be written.
func (c *ListenerControl) Read(data []byte) error {
	c.in = append(c.in, data...)
	for !c.Over() && len(c.in) >= len(c.due()) {
		word := c.in[:len(c.due())]
		if err := checkWord(word, c.due()); err != nil {
			return err
		}
		c.in = c.in[len(word):]
		if c.words++; c.words == 1 {
			c.books.begin()
		} else {
			c.out = verdict{bytes: c.books.answered.Load() * answerSize, intact: true}.append(nil)
		}
	}
	return nil
}

// Over reports whether the dialler has said that no more sessions come.
func (c *ListenerControl) Over() bool { return c.words == 2 }
