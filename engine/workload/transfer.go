package workload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// carry runs f and closes the stream afterwards, or at once when the transfer
// ends: that is what unblocks f.
func (t *transfer) carry(stream engine.Stream, f func() error) error {
	release := context.AfterFunc(t.ctx, func() { stream.Close() })
	err := f()
	if !release() && err != nil {
		// The stream was closed under f: the reason for that is the error.
		if cause := context.Cause(t.ctx); cause != nil {
			err = cause
		}
	}
	if cerr := stream.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close stream: %w", cerr)
	}
	return err
}

// move carries the data of one stream after its request.
func (t *transfer) move(stream engine.Stream, r request, role Role, report *StreamReport, p pattern) error {
	var err error
	if role == Send {
		err = t.send(stream, r, report, p)
	} else {
		err = t.receive(stream, r, report, p)
	}
	if err != nil {
		report.Intact = false
		if report.Reason == "" {
			report.Reason = err.Error()
		}
		return fmt.Errorf("stream %d of session %d: %w", r.stream, r.session, err)
	}
	return nil
}

// send writes r.bytes bytes, or as many as go out within r.duration, and waits for
// the receiver's verdict.
func (t *transfer) send(stream engine.Stream, r request, report *StreamReport, p pattern) error {
	buf := make([]byte, segmentHeader+segmentMax)
	t.begin()
	deadline := time.Now().Add(r.duration)
	for {
		n := int64(segmentMax)
		if r.duration == 0 {
			n = min(n, r.bytes-report.Bytes)
		} else if !time.Now().Before(deadline) {
			n = 0
		}
		binary.BigEndian.PutUint32(buf, uint32(n))
		p.fill(buf[segmentHeader:segmentHeader+n], report.Bytes)
		written, err := stream.Write(buf[:segmentHeader+n])
		if written > segmentHeader {
			report.Bytes += int64(written - segmentHeader)
			t.moved(written - segmentHeader)
		}
		if err != nil {
			return fmt.Errorf("write at offset %d: %w", report.Bytes, err)
		}
		if n == 0 {
			return awaitVerdict(stream, r, report)
		}
	}
}

// lingerTimeout bounds how long the listener's side waits for the dialler's end.
const lingerTimeout = 5 * time.Second

// linger waits on the listener's side until the dialler has ended the stream, which
// says that the listener's last word has arrived: its session may close now. However
// the wait ends, the transfer is over.
func linger(stream engine.Stream) {
	timer := time.AfterFunc(lingerTimeout, func() { stream.Close() })
	defer timer.Stop()
	_, _ = io.Copy(io.Discard, stream)
}

// awaitVerdict reads what the receiver made of the stream, and ends the stream.
func awaitVerdict(stream engine.Stream, r request, report *StreamReport) error {
	var buf [verdictSize]byte
	if _, err := io.ReadFull(stream, buf[:]); err != nil {
		return fmt.Errorf("read the receiver's verdict: %w", err)
	}
	v, err := parseVerdict(buf[:])
	if err != nil {
		return err
	}
	report.Delivered = v.bytes
	switch {
	case !v.intact:
		report.Reason = "the receiver found a fault"
	case v.bytes != report.Bytes:
		report.Reason = fmt.Sprintf("the receiver read %d bytes of %d", v.bytes, report.Bytes)
	default:
		report.Intact = true
	}
	if err := stream.CloseWrite(); err != nil {
		return fmt.Errorf("end the stream: %w", err)
	}
	if r.role == Receive {
		linger(stream)
	}
	return nil
}

// receive reads to the end of the data, checks each byte and sends the verdict.
func (t *transfer) receive(stream engine.Stream, r request, report *StreamReport, p pattern) error {
	t.begin()
	if err := t.drain(stream, r, report, p); err != nil {
		return err
	}
	if r.duration == 0 && report.Bytes < r.bytes && report.Reason == "" {
		report.Reason = fmt.Sprintf("the data ended after %d of %d bytes", report.Bytes, r.bytes)
	}
	report.Delivered = report.Bytes
	report.Intact = report.Reason == ""
	if _, err := stream.Write(verdict{bytes: report.Bytes, intact: report.Intact}.append(nil)); err != nil {
		return fmt.Errorf("write the verdict: %w", err)
	}
	if r.role != Receive {
		linger(stream)
		return nil
	}
	// The dialler returns first, and its session may end then: it waits for the
	// sender's end of the stream, which says that the verdict has arrived.
	if n, err := io.Copy(io.Discard, stream); err != nil || n > 0 {
		return fmt.Errorf("wait for the sender's end: %d more bytes: %w", n, err)
	}
	return nil
}

// drain reads the data up to the segment that ends it. After the first wrong byte
// it counts and checks no more.
func (t *transfer) drain(stream engine.Stream, r request, report *StreamReport, p pattern) error {
	buf := make([]byte, segmentMax)
	var cut segments
	for !cut.ended {
		n, err := stream.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			var payload []byte
			var cerr error
			if payload, rest, cerr = cut.next(rest); cerr != nil {
				return cerr
			}
			if len(payload) == 0 {
				continue
			}
			t.moved(len(payload))
			if report.Reason == "" {
				if i := p.check(payload, report.Bytes); i >= 0 {
					report.Reason = fmt.Sprintf("byte %d is wrong", report.Bytes+int64(i))
				}
			}
			report.Bytes += int64(len(payload))
		}
		if r.duration == 0 && report.Bytes > r.bytes {
			return fmt.Errorf("%d bytes came where %d were asked for", report.Bytes, r.bytes)
		}
		if err != nil && !cut.ended {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read at offset %d: %w", report.Bytes, err)
		}
	}
	return nil
}
