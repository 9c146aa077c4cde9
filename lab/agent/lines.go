package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a message in either direction, in bytes. The longest real one,
// a report with the statistics of many sessions, stays far below.
const maxLine = 1 << 20

// lineReader cuts a stream into lines.
type lineReader struct {
	s *bufio.Scanner
}

func newLineReader(r io.Reader) lineReader {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), maxLine)
	s.Split(splitLine)
	return lineReader{s}
}

// next returns the next line without its end, valid until the next call. It
// returns io.EOF at the end of the stream, and io.ErrUnexpectedEOF when the
// stream ends inside a line: the writer died there.
func (l lineReader) next() ([]byte, error) {
	if l.s.Scan() {
		return l.s.Bytes(), nil
	}
	err := l.s.Err()
	switch {
	case err == nil:
		return nil, io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("a line of more than %d bytes", maxLine)
	}
	return nil, err
}

// splitLine is a bufio.SplitFunc for lines that all end in a newline.
func splitLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// lineWriter writes the child's replies from a goroutine of its own, so that a
// lab that does not read delays nothing but replies.
type lineWriter struct {
	queue chan []byte
	done  chan struct{} // closed when the goroutine ended
}

// newLineWriter starts the goroutine. It calls broken, once, when out fails.
func newLineWriter(out io.Writer, broken func(error)) *lineWriter {
	w := &lineWriter{queue: make(chan []byte, 16), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		failed := false
		for line := range w.queue {
			if failed {
				continue
			}
			if _, err := out.Write(line); err != nil {
				failed = true
				broken(err)
			}
		}
	}()
	return w
}

// reply queues a line and waits for room until ctx ends.
func (w *lineWriter) reply(ctx context.Context, r reply) {
	select {
	case w.queue <- encodeReply(r):
	case <-ctx.Done():
	}
}

// event queues a line, or drops it when the lab is behind.
func (w *lineWriter) event(r reply) {
	select {
	case w.queue <- encodeReply(r):
	default:
	}
}

// close lets the goroutine finish what is queued. Nothing may be queued after.
func (w *lineWriter) close() { close(w.queue) }

// encodeReply returns r as a line. A reply that is too long for one becomes an
// error that says so.
func encodeReply(r reply) []byte {
	line, err := json.Marshal(r)
	if err == nil && len(line) >= maxLine {
		err = fmt.Errorf("a reply of %d bytes, more than %d", len(line), maxLine)
	}
	if err != nil {
		// This struct holds an integer and a string: it always encodes.
		line, _ = json.Marshal(reply{ID: r.ID, Error: newRemoteError(fmt.Errorf("encode reply: %w", err))})
	}
	return append(line, '\n')
}
