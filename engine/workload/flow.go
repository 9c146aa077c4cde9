package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// flowStage is how far a stream is.
type flowStage uint8

const (
	flowRequest flowStage = iota // the listener reads the request
	flowData                     // the sender writes, the receiver reads
	flowVerdict                  // the sender reads the verdict
	flowEnd                      // waits for the peer's end of the stream
	flowDone
)

// Flow is one side of one stream of a bulk transfer. It does no I/O: its owner
// writes what is Pending, hands in what was read, half-closes when Ending says so,
// and goes on until Done. One owner at a time.
type Flow struct {
	books   *Exchange
	dialler bool
	request request
	role    Role // of this side
	report  *StreamReport
	pattern pattern
	stage   flowStage

	out  []byte // to be written
	head int    // of out: bytes that are no payload
	buf  []byte // a sender's, for one segment

	cut     segments
	message [requestSize]byte // a request or a verdict, as far as it was read
	have    int

	begun    bool
	deadline int64 // of a sender by time
}

// enter takes the request up into the books, this side doing what role says.
func (f *Flow) enter(r request, role Role) (err error) {
	f.request, f.role = r, role
	f.report, f.pattern, err = f.books.enter(r, role)
	return err
}

// Pending returns what to write next, which the caller borrows until Wrote. It is
// empty when there is nothing until something was read.
func (f *Flow) Pending() []byte {
	if len(f.out) == 0 && f.stage == flowData {
		f.begin()
		if f.role == Send {
			f.nextSegment()
		}
	}
	return f.out
}

// begin marks that the data may flow now: the request is out, or read.
func (f *Flow) begin() {
	if !f.begun {
		f.begun = true
		f.deadline = f.books.begin() + int64(f.request.duration)
	}
}

// nextSegment puts the next segment out: the last one is empty.
func (f *Flow) nextSegment() {
	if f.buf == nil {
		f.buf = make([]byte, segmentHeader+segmentMax)
	}
	n := int64(segmentMax)
	if f.request.duration == 0 {
		n = min(n, f.request.bytes-f.report.Bytes)
	} else if f.books.now() >= f.deadline {
		n = 0
	}
	binary.BigEndian.PutUint32(f.buf, uint32(n))
	f.out = f.buf[:segmentHeader+n]
	f.head = segmentHeader
	f.pattern.fill(f.out[segmentHeader:], f.report.Bytes)
	if n == 0 {
		f.stage = flowVerdict
	}
}

// Wrote says that the first n bytes of what was pending were written.
func (f *Flow) Wrote(n int) {
	f.out = f.out[n:]
	head := min(n, f.head)
	f.head -= head
	if payload := n - head; payload > 0 {
		f.report.Bytes += int64(payload)
		f.books.moved(payload)
	}
}

// Read takes the bytes that came next on the stream. It borrows them. After an error
// the transfer is over.
func (f *Flow) Read(data []byte) error {
	for len(data) > 0 {
		var err error
		switch f.stage {
		case flowRequest:
			data, err = f.readRequest(data)
		case flowData:
			data, err = f.readData(data)
		case flowVerdict:
			data, err = f.readVerdict(data)
		case flowEnd:
			if f.dialler {
				err = fmt.Errorf("wait for the sender's end: %d more bytes", len(data))
			}
			data = nil // the listener has had the last word
		case flowDone:
			return nil
		}
		if err != nil {
			return f.fail(err)
		}
	}
	return nil
}

// fail notes why the stream is not intact.
func (f *Flow) fail(err error) error {
	if f.report == nil {
		return err
	}
	f.report.Intact = false
	if f.report.Reason == "" {
		f.report.Reason = err.Error()
	}
	return err
}

// collect takes as much of data as the message of size bytes still lacks, and
// returns what is left over; ok says that the message is whole.
func (f *Flow) collect(data []byte, size int) (rest []byte, ok bool) {
	n := copy(f.message[f.have:size], data)
	f.have += n
	if f.have < size {
		return data[n:], false
	}
	f.have = 0
	return data[n:], true
}

func (f *Flow) readRequest(data []byte) ([]byte, error) {
	rest, ok := f.collect(data, requestSize)
	if !ok {
		return rest, nil
	}
	r, err := parseRequest(f.message[:])
	if err != nil {
		return nil, err
	}
	if err := f.enter(r, r.role.peer()); err != nil {
		return nil, err
	}
	f.stage = flowData
	f.begin()
	return rest, nil
}

// readData checks payload and, at its end, makes the verdict. After the first wrong
// byte it counts and checks no more.
func (f *Flow) readData(data []byte) ([]byte, error) {
	if f.role == Send {
		return nil, errors.New("the receiver sent something before its verdict was due")
	}
	for len(data) > 0 {
		payload, rest, err := f.cut.next(data)
		if err != nil {
			return nil, err
		}
		data = rest
		if len(payload) == 0 {
			continue
		}
		f.books.moved(len(payload))
		if f.report.Reason == "" {
			if i := f.pattern.check(payload, f.report.Bytes); i >= 0 {
				f.report.Reason = fmt.Sprintf("byte %d is wrong", f.report.Bytes+int64(i))
			}
		}
		f.report.Bytes += int64(len(payload))
	}
	if f.request.duration == 0 && f.report.Bytes > f.request.bytes {
		return nil, fmt.Errorf("%d bytes came where %d were asked for", f.report.Bytes, f.request.bytes)
	}
	if f.cut.ended {
		f.judge()
	}
	return nil, nil
}

// judge says what the receiver got.
func (f *Flow) judge() {
	if f.request.duration == 0 && f.report.Bytes < f.request.bytes && f.report.Reason == "" {
		f.report.Reason = fmt.Sprintf("the data ended after %d of %d bytes", f.report.Bytes, f.request.bytes)
	}
	f.report.Delivered = f.report.Bytes
	f.report.Intact = f.report.Reason == ""
	f.out = verdict{bytes: f.report.Bytes, intact: f.report.Intact}.append(nil)
	f.head = len(f.out)
	f.stage = flowEnd
}

// readVerdict reads what the receiver made of the stream.
func (f *Flow) readVerdict(data []byte) ([]byte, error) {
	rest, ok := f.collect(data, verdictSize)
	if !ok {
		return rest, nil
	}
	v, err := parseVerdict(f.message[:verdictSize])
	if err != nil {
		return nil, err
	}
	f.report.Delivered = v.bytes
	switch {
	case !v.intact:
		f.report.Reason = "the receiver found a fault"
	case v.bytes != f.report.Bytes:
		f.report.Reason = fmt.Sprintf("the receiver read %d bytes of %d", v.bytes, f.report.Bytes)
	default:
		f.report.Intact = true
	}
	f.stage = flowEnd
	if f.dialler {
		f.stage = flowDone
	}
	return rest, nil
}

// End says that the peer has ended its bytes. It is an error where more were due.
func (f *Flow) End() error {
	switch f.stage {
	case flowEnd:
		f.stage = flowDone
		return nil
	case flowDone:
		return nil
	}
	return f.fail(fmt.Errorf("%s: %w", f.reading(), io.ErrUnexpectedEOF))
}

// expects reports whether the flow needs to read more than the end of the stream.
func (f *Flow) expects() bool { return f.stage != flowDone }

// reading and writing name what the flow is at, for errors.
func (f *Flow) reading() string {
	switch f.stage {
	case flowRequest:
		return "read a request"
	case flowVerdict:
		return "read the receiver's verdict"
	case flowEnd:
		return "wait for the sender's end"
	}
	return fmt.Sprintf("read at offset %d", f.report.Bytes)
}

func (f *Flow) writing() string {
	switch {
	case f.stage == flowEnd:
		return "write the verdict"
	case f.dialler && !f.begun:
		return fmt.Sprintf("write the request of stream %d", f.request.stream)
	}
	return fmt.Sprintf("write at offset %d", f.report.Bytes)
}

// Lingering says that only the peer's end is left to wait for, and that this side is
// the listener: the wait may be cut short.
func (f *Flow) Lingering() bool { return f.stage == flowEnd && !f.dialler && len(f.out) == 0 }

// Ending says that this side will write no more: its half of the stream can end.
func (f *Flow) Ending() bool {
	return len(f.out) == 0 && (f.stage == flowDone || (f.stage == flowEnd && f.role == Send))
}

// Done says that the stream's transfer is over.
func (f *Flow) Done() bool { return f.stage == flowDone && len(f.out) == 0 }

// Waiting says what the flow waits for, for who finds it stuck.
func (f *Flow) Waiting() string {
	switch f.stage {
	case flowRequest:
		return "a request"
	case flowData:
		if f.role == Send {
			return fmt.Sprintf("room to write byte %d", f.report.Bytes)
		}
		return fmt.Sprintf("byte %d", f.report.Bytes)
	case flowVerdict:
		return "the receiver's verdict"
	case flowEnd:
		return "the end of the stream"
	}
	return "nothing"
}
