package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// HandshakeDialler is the dialler's books over its sessions: which were dialled when, and
// what came of them. Handshake.Request keeps its own; an owner with its own clock, such
// as a simulation's, makes one and drives its flows itself. Safe for concurrent use, as
// are its flows, each of one goroutine.
type HandshakeDialler struct {
	Handshake
	meter
	role Role

	mu          sync.Mutex
	asked       uint64
	result      HandshakeReport
	wrong       string // an answer that was none
	open, first latencies
}

// NewHandshakeDialler returns the books of a dialler that does what role says and has
// done nothing. now is read when something happens, in nanoseconds, above zero. p may be
// nil.
func NewHandshakeDialler(h Handshake, role Role, now func() int64, p *Progress) *HandshakeDialler {
	if p == nil {
		p = new(Progress)
	}
	d := &HandshakeDialler{Handshake: h, role: role, open: newLatencies(), first: newLatencies()}
	d.now, d.progress = now, p
	return d
}

// Start starts the clock.
func (d *HandshakeDialler) Start() { d.begin() }

// More reports whether there is time to begin another session.
func (d *HandshakeDialler) More() bool { return d.now() < d.start.Load()+int64(d.Duration) }

// Dial returns the flow of the one stream of a session whose dialling begins now.
func (d *HandshakeDialler) Dial() *AskFlow { return &AskFlow{books: d, began: d.now()} }

// End says that the last session is over.
func (d *HandshakeDialler) End() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.result.Elapsed = max(d.Duration, time.Duration(d.last.Load()-d.start.Load()))
}

// errBound is the reason of a session that took too long.
func (h Handshake) errBound() error { return fmt.Errorf("no answer after %v", h.Bound) }

// number returns the next session's.
func (d *HandshakeDialler) number() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return scramble(d.Seed) + d.asked
}

// Report sums up. err is what ended the dialling early.
func (d *HandshakeDialler) Report(err error) Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.meter.report(d.role, []StreamReport{{Bytes: d.result.Done * answerSize, Delivered: d.result.Done * answerSize, Intact: d.wrong == "", Reason: d.wrong}}, err)
	h := d.result
	h.MaxGap = max(time.Duration(d.gap.Load()), time.Duration(d.start.Load())+h.Elapsed-time.Duration(d.last.Load()))
	var errs [2]error
	h.Dial, errs[0] = d.open.summary()
	h.FirstByte, errs[1] = d.first.summary()
	if err := errors.Join(errs[:]...); err != nil {
		r.Intact, r.Reason, r.Error = false, err.Error(), err.Error()
	}
	r.Handshake = &h
	return r
}

// AskFlow is the dialler's side of one session and its stream: an ask and its answer. It
// does no I/O. Once it is Done, or was failed, the session is to be closed.
type AskFlow struct {
	books  *HandshakeDialler
	number uint64
	out    []byte // what of the ask is not written yet
	answer [answerSize]byte
	got    int // bytes of the answer
	// When the dialling began, the session was open, and the answer's first byte was there.
	began, opened, answered int64
	failed                  bool
}

// Opened says that the session is open: the ask can be written.
func (f *AskFlow) Opened() {
	f.opened, f.number = f.books.now(), f.books.number()
	f.out = binary.BigEndian.AppendUint64([]byte(askMagic), f.number)
}

// Overdue returns when a session that has no answer has failed.
func (f *AskFlow) Overdue() (at int64, why error) {
	return f.began + int64(f.books.Bound), f.books.errBound()
}

// Pending returns what is to be written next. It is good until Wrote.
func (f *AskFlow) Pending() []byte { return f.out }

// Wrote says how much of Pending was.
func (f *AskFlow) Wrote(n int) { f.out = f.out[n:] }

// Read takes bytes that have arrived. An error says that they are no answer.
func (f *AskFlow) Read(data []byte) error {
	if len(data) == 0 || f.Done() || f.failed {
		return nil
	}
	if f.got == 0 {
		f.answered = f.books.now()
	}
	f.got += copy(f.answer[f.got:], data)
	if !f.Done() {
		return nil
	}
	return f.books.answer(f)
}

// Done reports whether the whole answer is there.
func (f *AskFlow) Done() bool { return f.got == answerSize }

// Fail counts the session as failed.
func (f *AskFlow) Fail(why error) {
	d := f.books
	d.mu.Lock()
	defer d.mu.Unlock()
	f.failed = true
	d.result.Failed++
	if d.result.Reason == "" {
		d.result.Reason = why.Error()
	}
}

// answer takes the answer of a session up.
func (d *HandshakeDialler) answer(f *AskFlow) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if binary.BigEndian.Uint64(f.answer[:]) != answerTo(f.number) {
		d.wrong = fmt.Sprintf("the answer to session %d is wrong", f.number-scramble(d.Seed))
		return errors.New(d.wrong)
	}
	d.moved(answerSize)
	d.result.Done++
	d.open.add(f.opened - f.began)
	d.first.add(f.answered - f.began)
	return nil
}

// DiallerControl is the dialler's side of the control stream. It does no I/O.
type DiallerControl struct {
	books   *HandshakeDialler
	out     []byte
	verdict []byte // as far as it came
}

// Control returns the control stream's flow. There is one.
func (d *HandshakeDialler) Control() *DiallerControl {
	return &DiallerControl{books: d, out: []byte(controlMagic)}
}

// Over has the listener told that no more sessions come.
func (c *DiallerControl) Over() { c.out = append(c.out, controlEnd...) }

// Pending, Wrote and Done are as an AskFlow's.
func (c *DiallerControl) Pending() []byte { return c.out }

// Wrote says how much of Pending was.
func (c *DiallerControl) Wrote(n int) { c.out = c.out[n:] }

// Read takes bytes that have arrived: the listener's verdict. An error says that it
// contradicts this side's books, or is none.
func (c *DiallerControl) Read(data []byte) error {
	if c.Done() {
		return nil
	}
	c.verdict = append(c.verdict, data...)
	if !c.Done() {
		return nil
	}
	v, err := parseVerdict(c.verdict[:verdictSize])
	if err != nil {
		return err
	}
	c.books.mu.Lock()
	defer c.books.mu.Unlock()
	if done := c.books.result.Done; v.bytes < done*answerSize {
		return fmt.Errorf("the listener has answered %d sessions, the dialler has read %d answers", v.bytes/answerSize, done)
	}
	return nil
}

// Done reports whether the verdict is there.
func (c *DiallerControl) Done() bool { return len(c.verdict) >= verdictSize }
