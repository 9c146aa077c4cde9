package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// carry runs the flow over the stream and closes the stream afterwards, or at once
// when the transfer ends: that is what unblocks the flow. begun, which may be nil, is
// called when the flow knows its request.
func (t *transfer) carry(stream engine.Stream, f *Flow, begun func()) error {
	release := context.AfterFunc(t.ctx, func() { stream.Close() })
	err := move(stream, f, begun)
	if err != nil && f.report != nil {
		err = fmt.Errorf("stream %d of session %d: %w", f.request.stream, f.request.session, f.fail(err))
	}
	if !release() && err != nil {
		// The stream was closed under the flow: the reason for that is the error.
		if cause := context.Cause(t.ctx); cause != nil {
			err = cause
		}
	}
	if cerr := stream.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close stream: %w", cerr)
	}
	return err
}

// move writes and reads by turns, as the flow says: its protocol never needs both at
// once.
func move(stream engine.Stream, f *Flow, begun func()) error {
	buf := make([]byte, requestSize)
	ended := false
	for {
		if err := write(stream, f); err != nil {
			return err
		}
		if f.Ending() && !ended {
			ended = true
			if err := stream.CloseWrite(); err != nil {
				return fmt.Errorf("end the stream: %w", err)
			}
		}
		switch {
		case f.Done():
			return nil
		case f.Lingering():
			linger(stream)
			return nil
		}
		if f.role == Receive && len(buf) < segmentMax {
			buf = make([]byte, segmentMax)
		}
		if err := read(stream, f, buf); err != nil {
			return err
		}
		if begun != nil && f.report != nil {
			begun()
			begun = nil
		}
	}
}

// write writes all that is pending.
func write(stream engine.Stream, f *Flow) error {
	for p := f.Pending(); len(p) > 0; p = f.Pending() {
		n, err := stream.Write(p)
		f.Wrote(n)
		if err != nil {
			return fmt.Errorf("%s: %w", f.writing(), err)
		}
	}
	return nil
}

// read reads once.
func read(stream engine.Stream, f *Flow, buf []byte) error {
	n, err := stream.Read(buf)
	if err := f.Read(buf[:n]); err != nil {
		return err
	}
	switch {
	case errors.Is(err, io.EOF):
		return f.End()
	case err != nil && f.expects():
		return fmt.Errorf("%s: %w", f.reading(), err)
	}
	return nil
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
