package topologies

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/trace"
)

// Bounds of what a topology may read and make.
const (
	maxTraceFile  = 64 << 20 // bytes
	maxTraceTime  = 10 * time.Second
	maxTraceBytes = 4 * maxTraceFile // in all
	// maxTraced is how many opportunities all traces may have, where a step counts as
	// eight: so many have its size.
	maxTraced    = emulation.MaxOpportunities
	stepWeight   = 8
	maxGenerated = 2 * time.Hour // of traces in all
)

// hashPattern is a SHA-256 in hex.
const hashPattern = `^[0-9a-f]{64}$`

func parseHash(text string) (string, error) {
	if sum, err := hex.DecodeString(text); err != nil || len(sum) != sha256.Size || text != strings.ToLower(text) {
		return "", &QuantityError{Text: quote(text) + " is no SHA-256", Expected: "64 hexadecimal digits, in lower case"}
	}
	return text, nil
}

// path reads the name of a file. YAML has no NUL and no control characters here.
func path(d *decoder, n node) (string, bool) {
	return checked(func(text string) (Problem, bool) {
		if len(text) > maxPath {
			return Problem{Text: fmt.Sprintf("a path of %d bytes", len(text)), Expected: fmt.Sprintf("at most %d", maxPath)}, false
		}
		return Problem{}, true
	})(d, n)
}

const maxPath = 4095 // Linux's PATH_MAX, without the final zero

// traces is what a topology reads from files and makes by generators.
type traces struct {
	dir       string // that names are relative to
	readable  bool   // files may be read
	bytes     int64  // read
	traced    int    // opportunities, steps with their weight
	generated time.Duration
	files     map[fileKey]*traced
	made      map[madeKey]*traced
	used      []TraceFile
}

// fileKey is a file as it is read, madeKey a trace as it is made; each is read or
// made once.
type fileKey struct {
	kind TraceKind
	name string
}

type madeKey struct {
	trace.Settings
	window time.Duration
}

// traced is what came of one of them.
type traced struct {
	sha256   string
	trace    *emulation.Trace
	steps    *emulation.Schedule
	table    *emulation.Table
	problems []Problem // without places
}

// origin is what a direction's trace is for.
type origin struct {
	link, way string
	event     int // from 1; 0: the link itself
	seed      uint64
	carries   Family
}

// use notes that a trace serves a direction, unless it has problems, which are
// reported at the place.
func (d *decoder) use(at place, t *traced, by origin, as TraceFile) bool {
	for _, p := range t.problems {
		d.problem(at, p)
	}
	if len(t.problems) > 0 {
		return false
	}
	as.Link, as.Direction, as.Event, as.SHA256 = by.link, by.way, by.event, t.sha256
	d.traces.used = append(d.traces.used, as)
	return true
}

// fromFile reads a file of a kind, once however often it is named.
func (d *decoder) fromFile(kind TraceKind, f, hash field[string], by origin) *traced {
	if f.state != good {
		return nil
	}
	if !d.traces.readable {
		d.problem(f.place, Problem{Text: "the file " + quote(f.value) + " cannot be read here", Expected: "a topology that is itself read from a file: names are relative to its folder"})
		return nil
	}
	key := fileKey{kind, f.value}
	t := d.traces.files[key]
	if t == nil {
		t = d.traces.read(kind, f.value)
		if d.traces.files == nil {
			d.traces.files = map[fileKey]*traced{}
		}
		d.traces.files[key] = t
	}
	if len(t.problems) == 0 && hash.state == good && hash.value != t.sha256 {
		d.problem(hash.place, Problem{Text: quote(f.value) + " is another file: its SHA-256 is " + t.sha256, Expected: "the file that the topology was written for, or sha256 brought up to date"})
		return nil
	}
	if !d.use(f.place, t, by, TraceFile{Kind: kind, Source: f.value}) {
		return nil
	}
	return t
}

// read reads and parses one file.
func (s *traces) read(kind TraceKind, name string) *traced {
	file := name
	if !filepath.IsAbs(file) {
		file = filepath.Join(s.dir, file)
	}
	data, err := readBounded(file, min(maxTraceFile, maxTraceBytes-s.bytes))
	s.bytes += int64(len(data))
	if err != nil {
		return &traced{problems: []Problem{{Text: err.Error(), Expected: fmt.Sprintf("a regular file of at most %s, all of them %s; its name is relative to the topology's folder", FormatSize(maxTraceFile), FormatSize(maxTraceBytes))}}}
	}
	sum := sha256.Sum256(data)
	t := &traced{sha256: hex.EncodeToString(sum[:])}
	size := 0
	switch kind {
	case TraceMahimahi:
		var got emulation.Trace
		got, err = trace.ReadMahimahi(name, bytes.NewReader(data))
		t.trace, size = &got, len(got)
	case TraceCSV:
		if t.steps, err = trace.ReadCSV(name, bytes.NewReader(data)); err == nil {
			size = stepWeight * len(t.steps.Steps)
		}
	case TraceTable:
		var got emulation.Table
		got, err = trace.ReadTable(name, bytes.NewReader(data))
		t.table = &got
	}
	t.problems = append(fileProblems(err), s.count(size)...)
	return t
}

// count holds what all traces have in sum against the bound.
func (s *traces) count(size int) []Problem {
	if s.traced += size; s.traced > maxTraced {
		return []Problem{{Text: "the traces of this topology are too long in all", Expected: fmt.Sprintf("at most %d opportunities, a step for %d of them; the same file or generator serves many links at no cost", maxTraced, stepWeight)}}
	}
	return nil
}

// fileProblems turns a reader's error into problems.
func fileProblems(err error) []Problem {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var problems []Problem
		for _, e := range joined.Unwrap() {
			problems = append(problems, fileProblems(e)...)
		}
		return problems
	}
	if e, ok := errors.AsType[*trace.Error](err); ok {
		text := (&trace.Error{File: e.File, Line: e.Line, Text: e.Text}).Error()
		return []Problem{{Text: oneLine(text), Expected: e.Want}}
	}
	return []Problem{{Text: oneLine(err.Error())}}
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "; ") }

// readBounded reads a regular file that is not too long; of one that turns out to be,
// what was read comes with the error. Neither a FIFO without a
// writer nor a file that never ends holds it up.
func readBounded(name string, most int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, fmt.Errorf("read trace: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("read trace: %s is no regular file", name)
	case info.Size() > most:
		return nil, fmt.Errorf("read trace: %s has %s", name, FormatSize(emulation.ByteCount(info.Size())))
	}
	until := time.Now().Add(maxTraceTime)
	if err := f.SetReadDeadline(until); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	var data bytes.Buffer
	for {
		n, err := io.CopyN(&data, f, 1<<20)
		switch {
		case int64(data.Len()) > most:
			return data.Bytes(), fmt.Errorf("read trace: %s goes on after %s", name, FormatSize(emulation.ByteCount(most)))
		case err == io.EOF:
			return data.Bytes(), nil
		case err != nil:
			return nil, fmt.Errorf("read trace: %w", err)
		case n > 0 && time.Now().After(until):
			return nil, fmt.Errorf("read trace: %s takes longer than %v", name, maxTraceTime)
		}
	}
}
