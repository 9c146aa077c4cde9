package results

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Series is a time series that is being written, one JSON value a line. It is
// buffered: what was appended is on the disk once Close has returned nil. One
// goroutine uses it at a time; two series may be used at the same time.
type Series struct {
	path   string
	file   *os.File
	buf    *bufio.Writer
	err    error // the first failure; later calls return it
	closed bool
}

func createSeries(path string) (*Series, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, writeError("create", path, err)
	}
	return &Series{path: path, file: f, buf: bufio.NewWriterSize(f, 64<<10)}, nil
}

// Append adds one value. A value that does not encode is left out, with an error,
// and the series goes on; after a failed write it does not.
func (s *Series) Append(v any) error {
	if s.closed {
		return fmt.Errorf("series %s is closed", s.path)
	}
	if s.err != nil {
		return s.err
	}
	line, err := encodeLine(v)
	if err != nil {
		return fmt.Errorf("series %s: %w", s.path, err)
	}
	if _, err := s.buf.Write(line); err != nil {
		s.err = writeError("write", s.path, err)
	}
	return s.err
}

// Close writes what is buffered and closes the file. It returns the first error
// that the series had. Idempotent.
func (s *Series) Close() error {
	if s.closed {
		return s.err
	}
	s.closed = true
	var err error
	if s.err == nil {
		err = s.buf.Flush()
	}
	err = errors.Join(err, s.file.Sync(), s.file.Close())
	if err != nil && s.err == nil {
		s.err = writeError("write", s.path, err)
	}
	return s.err
}

func validSeriesName(name string) bool {
	if name == "" || len(name) > 100 || strings.ContainsAny(name[:1], ".-_") {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(".-_", r))
	}) < 0
}

// lines is a file that grows by whole lines, each on the disk before the next.
type lines struct {
	path string
	file *os.File
	size int64 // up to the last whole line
	err  error // set once a torn line could not be cut off
}

func createLines(path string) (*lines, error) {
	// O_EXCL: of two runs that found the folder empty, one must lose.
	// O_APPEND: after a truncation the next write goes to the new end.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if err != nil {
		return nil, writeError("create", path, err)
	}
	return &lines{path: path, file: f}, nil
}

func (l *lines) append(line []byte) error {
	if l.err != nil {
		return l.err
	}
	_, err := l.file.Write(line)
	if err == nil {
		err = l.file.Sync()
	}
	if err == nil {
		l.size += int64(len(line))
		return nil
	}
	err = writeError("write", l.path, err)
	// A half line would make the next one unreadable.
	if cut := l.file.Truncate(l.size); cut != nil {
		l.err = errors.Join(err, fmt.Errorf("cut the torn line off %s: %w", l.path, cut))
		return l.err
	}
	return err
}

func (l *lines) close() error {
	if err := l.file.Close(); err != nil {
		return writeError("close", l.path, err)
	}
	return nil
}
