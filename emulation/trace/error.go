package trace

import (
	"errors"
	"fmt"
	"io"
)

// Error is a defect of a file: file:line: text, and what would be right.
type Error struct {
	File string
	Line int    // from 1; 0 for the file as a whole
	Text string // what is wrong, with the offending text
	Want string // what would be right; may be empty
}

// Error returns the parts as one line.
func (e *Error) Error() string {
	s := e.File
	if e.Line > 0 {
		s += fmt.Sprintf(":%d", e.Line)
	}
	s += ": " + e.Text
	if e.Want != "" {
		s += ": want " + e.Want
	}
	return s
}

const (
	maxErrors = 10   // that a reader collects before it stops
	maxLine   = 1024 // bytes
)

// findings collects the defects of one file.
type findings struct {
	file string
	line int
	errs []error
}

func (f *findings) add(want, text string, args ...any) {
	f.errs = append(f.errs, &Error{f.file, f.line, fmt.Sprintf(text, args...), want})
}

// enough reports whether there is no use in reading on.
func (f *findings) enough() bool { return len(f.errs) >= maxErrors }

// whole adds a defect of the file as a whole.
func (f *findings) whole(err error) {
	f.errs = append(f.errs, &Error{File: f.file, Text: err.Error()})
}

func (f *findings) err() error { return errors.Join(f.errs...) }

// lines calls use with each line of r, without its end, until it says false. A
// line that is too long ends the reading.
func (f *findings) lines(r io.Reader, use func(line string) bool) {
	s := newScanner(r)
	for s.Scan() {
		f.line++
		if !use(s.Text()) || f.enough() {
			return
		}
	}
	if err := s.Err(); err != nil {
		f.line++
		f.add("", "read: %v", err)
	}
}
