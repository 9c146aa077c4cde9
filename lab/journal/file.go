package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// FileName is the journal's name in a lab's folder.
const FileName = "changes.jsonl"

const (
	// MaxBytes bounds the file, which lies in memory (/run): 100,000 changes or so.
	MaxBytes = 16 << 20
	maxLine  = 4 << 20
)

// ErrFull is wrapped when an entry finds no more room.
var ErrFull = errors.New("the journal is full")

// Append writes one entry to the file at path, making it. An error that wraps
// ErrFull says that the change is not recorded.
func Append(path string, e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("record change: %w", err)
	}
	if err := appendLine(path, append(line, '\n')); err != nil {
		return fmt.Errorf("record change in %s: %w", path, err)
	}
	return nil
}

func appendLine(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size()+int64(len(line)) <= MaxBytes && len(line) <= maxLine {
		_, err = f.Write(line)
		return err
	}
	last, err := json.Marshal(Entry{At: Now(), By: Hand, Kind: Full})
	if err != nil {
		return err
	}
	if info.Size()+int64(len(last)) < MaxBytes {
		_, err = f.Write(append(last, '\n'))
	}
	return errors.Join(ErrFull, err)
}

// Reader goes through a journal as it grows.
type Reader struct {
	path   string
	offset int64
}

// NewReader returns a reader from the file's beginning. The file need not exist yet.
func NewReader(path string) *Reader { return &Reader{path: path} }

// SkipToEnd leaves out what is in the file by now.
func (r *Reader) SkipToEnd() error {
	_, err := r.Next()
	return err
}

// Next returns the entries that came since the last call. A line that is still being
// written waits for the next call; one that is no entry is an error, and left out
// then.
func (r *Reader) Next() ([]Entry, error) {
	f, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, r.offset, 2*MaxBytes))
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	r.offset += int64(end)
	return parse(data[:end])
}

// parse returns the entries of whole lines.
func parse(data []byte) ([]Entry, error) {
	var entries []Entry
	var errs []error
	for line := range bytes.Lines(data) {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			errs = append(errs, fmt.Errorf("read changes: %w", err))
			continue
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(errs...)
}

// Now returns the instant on CLOCK_MONOTONIC, in ns, which all processes of the
// machine share.
func Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("journal: no CLOCK_MONOTONIC: " + err.Error())
	}
	return t.Nano()
}
