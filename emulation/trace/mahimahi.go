package trace

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/tquiclab/tquiclab/emulation"
)

// ReadMahimahi reads a trace in Mahimahi's format: a line for each delivery
// opportunity with its time in whole milliseconds, in order that does not descend,
// no line empty, the last above zero. The errors are of type *Error, joined.
func ReadMahimahi(file string, r io.Reader) (emulation.Trace, error) {
	return readMahimahi(file, r, emulation.MaxOpportunities)
}

// readMahimahi is ReadMahimahi with the number of lines at which it gives up.
func readMahimahi(file string, r io.Reader, most int) (emulation.Trace, error) {
	f := findings{file: file}
	var t emulation.Trace
	f.lines(r, func(line string) bool {
		ms, err := strconv.ParseUint(line, 10, 32)
		switch last := len(t) - 1; {
		case err != nil:
			f.add(fmt.Sprintf("whole milliseconds from 0 to %d", math.MaxUint32), "%.40q", line)
			return true
		case last >= 0 && uint32(ms) < t[last]:
			f.add(fmt.Sprintf("at least %d, the line before", t[last]), "%q", line)
			return true
		case len(t) == most:
			f.add(fmt.Sprintf("at most %d lines", most), "the trace goes on")
			return false
		default:
			t = append(t, uint32(ms))
		}
		return true
	})
	if len(f.errs) == 0 {
		if err := t.Validate(); err != nil {
			f.whole(err)
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// WriteMahimahi writes t in the format that ReadMahimahi reads.
func WriteMahimahi(w io.Writer, t emulation.Trace) error {
	b := bufio.NewWriter(w)
	var line []byte
	for _, ms := range t {
		line = append(strconv.AppendUint(line[:0], uint64(ms), 10), '\n')
		if _, err := b.Write(line); err != nil {
			return fmt.Errorf("write trace: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write trace: %w", err)
	}
	return nil
}

// newScanner returns a scanner of lines that are not too long.
func newScanner(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, maxLine), maxLine)
	return s
}
