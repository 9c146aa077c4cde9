package workload

import (
	"errors"
	"fmt"
	"io"
)

// PacedFlow is one side of one stream of a paced exchange. Like Flow it does no I/O:
// its owner writes what is Pending, asks Due when there will be more, hands in what was
// read, half-closes when Ending says so, and goes on until Done. One owner may write
// while another reads.
type PacedFlow struct {
	books   *PacedExchange
	dialler bool
	wake    chan struct{} // something to write may have come up

	// Under books.mu from here on.
	request pacedRequest
	role    Role // of this side
	report  StreamReport
	stage   flowStage

	head    []byte // a request or a verdict, to be written before any message
	out     []byte // what is being written
	payload bool   // out is data that counts
	buf     []byte
	sent    int64 // messages of this side, begun
	got     int64 // messages of the peer, whole
	in      messages

	sending, reading pattern
	outAt, inAt      int64 // offsets in them

	text [pacedSize]byte // a request or a verdict, as far as it was read
	have int
}

// enter takes the request up into the books. books.mu is held.
func (f *PacedFlow) enter(r pacedRequest, role Role) error {
	f.request, f.role = r, role
	if err := f.books.enter(f, r, role); err != nil {
		return err
	}
	f.report = StreamReport{Session: int(r.session), Stream: int(r.stream)}
	// The two directions have different bytes: an echo is no answer.
	ask := pattern{table: f.books.table, seed: r.Seed, stream: uint64(2 * r.number())}
	answer := ask
	answer.stream++
	f.sending, f.reading = ask, answer
	if role == Send && r.Kind == RPC || role == Receive && r.Kind == CBR {
		f.sending, f.reading = answer, ask
	}
	return nil
}

// rouse says that there may be something to write.
func (f *PacedFlow) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// paces reports whether this side's messages go by the clock, answers whether they
// follow the peer's.
func (f *PacedFlow) paces() bool   { return (f.request.Kind == CBR) == (f.role == Send) }
func (f *PacedFlow) answers() bool { return f.request.Kind == RPC && f.role == Send }

// toSend and toRead are how many messages go each way.
func (f *PacedFlow) toSend() int64 {
	if f.paces() || f.answers() {
		return f.request.messages()
	}
	return 0
}

func (f *PacedFlow) toRead() int64 {
	if f.role == Receive || f.answers() {
		return f.request.messages()
	}
	return 0
}

// outSize and inSize are the messages' sizes each way.
func (f *PacedFlow) outSize() int {
	if f.answers() {
		return f.request.Response
	}
	return f.request.Size
}

func (f *PacedFlow) inSize() int {
	if f.role == Receive {
		return f.request.bytes()
	}
	return f.request.Size
}

// Pending returns what to write next, which the caller borrows until Wrote. It is
// empty when there is nothing until something was read or Due has come.
func (f *PacedFlow) Pending() []byte {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	switch {
	case len(f.out) > 0:
	case len(f.head) > 0:
		f.out, f.head, f.payload = f.head, nil, false
	case f.stage != flowData || !f.books.started:
	case f.sent < f.toSend():
		at, ok := f.due()
		if !ok || f.books.now() < at {
			return nil
		}
		f.nextMessage()
	case f.role == Receive && f.toRead() == 0:
		f.judge() // more streams than messages
		f.out, f.head = f.head, nil
	}
	return f.out
}

// due returns when the next message may be written. books.mu is held.
func (f *PacedFlow) due() (at int64, ok bool) {
	if f.answers() {
		return f.books.start, f.sent < f.got
	}
	return f.books.start + f.request.due(f.request.index(f.sent)), true
}

// Due returns when there will be something to write though nothing is read meanwhile:
// it may be in the past.
func (f *PacedFlow) Due() (at int64, ok bool) {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	switch {
	case len(f.out) > 0 || len(f.head) > 0:
		return f.books.now(), true
	case f.stage != flowData || !f.books.started || f.sent >= f.toSend():
		return 0, false
	}
	return f.due()
}

// nextMessage puts the next message out.
func (f *PacedFlow) nextMessage() {
	size := f.outSize()
	if f.buf == nil {
		f.buf = make([]byte, size)
	}
	at, _ := f.due()
	message{size: size, index: f.request.index(f.sent), due: at}.put(f.buf)
	f.sending.fill(f.buf[messageHeader:], f.outAt)
	f.outAt += int64(size - messageHeader)
	f.out, f.payload = f.buf, f.role == Send
	f.sent++
}

// Wrote says that the first n bytes of what was pending were written.
func (f *PacedFlow) Wrote(n int) {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	f.out = f.out[n:]
	if f.payload && n > 0 {
		f.report.Bytes += int64(n)
		f.books.moved(n)
	}
}

// Read takes the bytes that came next on the stream. It borrows them. After an error
// the exchange is over.
func (f *PacedFlow) Read(data []byte) error {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	defer f.rouse()
	for len(data) > 0 {
		var err error
		switch f.stage {
		case flowRequest:
			data, err = f.readRequest(data)
		case flowData:
			if f.got < f.toRead() {
				data, err = f.readMessage(data)
			} else {
				data, err = f.readVerdict(data)
			}
		case flowEnd:
			if f.dialler {
				err = fmt.Errorf("wait for the sender's end: %d more bytes", len(data))
			}
			data = nil // the listener has had the last word
		default:
			return nil
		}
		if err != nil {
			return f.fail(err)
		}
	}
	return nil
}

// fail notes why the stream is not intact. books.mu is held.
func (f *PacedFlow) fail(err error) error {
	f.report.Intact = false
	if f.report.Reason == "" {
		f.report.Reason = err.Error()
	}
	return err
}

// collect takes as much of data as the text of size bytes still lacks.
func (f *PacedFlow) collect(data []byte, size int) (rest []byte, ok bool) {
	n := copy(f.text[f.have:size], data)
	f.have += n
	if f.have < size {
		return data[n:], false
	}
	f.have = 0
	return data[n:], true
}

func (f *PacedFlow) readRequest(data []byte) ([]byte, error) {
	rest, ok := f.collect(data, pacedSize)
	if !ok {
		return rest, nil
	}
	r, err := parsePaced(f.text[:])
	if err != nil {
		return nil, err
	}
	if err := f.enter(r, r.role.peer()); err != nil {
		return nil, err
	}
	f.stage = flowData
	return rest, nil
}

// readMessage checks what came of the message that is due.
func (f *PacedFlow) readMessage(data []byte) ([]byte, error) {
	payload, rest, ended, err := f.in.next(data, f.inSize(), f.request.index(f.got))
	if err != nil {
		return nil, err
	}
	if i := f.reading.check(payload, f.inAt); i >= 0 && f.report.Reason == "" {
		f.report.Reason = fmt.Sprintf("message %d is wrong at byte %d of the stream's payload", f.in.now.index, f.inAt+int64(i))
	}
	f.inAt += int64(len(payload))
	if f.role == Receive {
		n := len(data) - len(rest)
		f.report.Bytes += int64(n)
		f.books.moved(n)
	}
	if !ended {
		return rest, nil
	}
	if f.role == Receive {
		due := f.in.now.due
		if f.request.Kind == RPC {
			due = f.books.start + f.request.due(f.request.index(f.got))
		}
		f.books.deliver(due)
	}
	f.got++
	if f.role == Receive && f.got == f.toRead() {
		f.judge()
	}
	return rest, nil
}

// judge says what the receiver got.
func (f *PacedFlow) judge() {
	f.report.Delivered = f.report.Bytes
	f.report.Intact = f.report.Reason == ""
	f.head = verdict{bytes: f.report.Bytes, intact: f.report.Intact}.append(nil)
	f.stage = flowEnd
}

// readVerdict reads what the receiver made of the stream.
func (f *PacedFlow) readVerdict(data []byte) ([]byte, error) {
	if f.role == Receive || f.sent < f.toSend() {
		return nil, errors.New("the peer sent something that was not due")
	}
	rest, ok := f.collect(data, verdictSize)
	if !ok {
		return rest, nil
	}
	v, err := parseVerdict(f.text[:verdictSize])
	if err != nil {
		return nil, err
	}
	f.report.Delivered = v.bytes
	want := f.request.messages() * int64(f.request.bytes())
	switch {
	case !v.intact:
		f.report.Reason = "the receiver found a fault"
	case v.bytes != want:
		f.report.Reason = fmt.Sprintf("the receiver read %d bytes of %d", v.bytes, want)
	default:
		f.report.Intact = f.report.Reason == ""
	}
	f.stage = flowEnd
	if f.dialler {
		f.stage = flowDone
	}
	return rest, nil
}

// End says that the peer has ended its bytes. It is an error where more were due.
func (f *PacedFlow) End() error {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	defer f.rouse()
	switch f.stage {
	case flowEnd:
		f.stage = flowDone
		return nil
	case flowDone:
		return nil
	}
	return f.fail(fmt.Errorf("the stream ended at %s: %w", f.waiting(), io.ErrUnexpectedEOF))
}

// at returns how far the flow is.
func (f *PacedFlow) at() flowStage {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	return f.stage
}

// Lingering says that only the peer's end is left to wait for, and that this side is
// the listener: the wait may be cut short.
func (f *PacedFlow) Lingering() bool {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	return f.stage == flowEnd && !f.dialler && !f.unwritten()
}

func (f *PacedFlow) unwritten() bool { return len(f.out)+len(f.head) > 0 }

// Ending says that this side will write no more: its half of the stream can end.
func (f *PacedFlow) Ending() bool {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	return !f.unwritten() && (f.stage == flowDone || (f.stage == flowEnd && f.role == Send))
}

// Done says that the stream's exchange is over.
func (f *PacedFlow) Done() bool {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	return f.stage == flowDone && !f.unwritten()
}

// Waiting says what the flow waits for, for who finds it stuck.
func (f *PacedFlow) Waiting() string {
	f.books.mu.Lock()
	defer f.books.mu.Unlock()
	return f.waiting()
}

func (f *PacedFlow) waiting() string {
	switch {
	case f.stage == flowRequest:
		return "a request"
	case f.stage == flowData && f.got < f.toRead():
		return fmt.Sprintf("message %d", f.request.index(f.got))
	case f.stage == flowData:
		return "the receiver's verdict"
	case f.stage == flowEnd:
		return "the end of the stream"
	}
	return "nothing"
}
