package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestReadMahimahi(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       emulation.Trace
		err        string // part of it; empty: none
	}{
		{"plain", "0\n0\n3\n10\n", emulation.Trace{0, 0, 3, 10}, ""},
		{"no newline at the end", "1\n2", emulation.Trace{1, 2}, ""},
		{"carriage returns", "1\r\n2\r\n", emulation.Trace{1, 2}, ""},
		{"empty file", "", nil, "a.down: capacity trace is empty"},
		{"empty line", "1\n\n2\n", nil, `a.down:2: "": want whole milliseconds`},
		{"no number", "1\nx\n", nil, `a.down:2: "x"`},
		{"negative", "-1\n", nil, `a.down:1: "-1"`},
		{"fraction", "1.5\n", nil, `a.down:1: "1.5"`},
		{"too large", "4294967296\n", nil, `a.down:1: "4294967296"`},
		{"descending", "5\n4\n", nil, `a.down:2: "4": want at least 5`},
		{"no duration", "0\n0\n", nil, "lasts no time"},
		{"binary", "\x00\xff\x01\n", nil, "a.down:1"},
		{"long line", strings.Repeat("1", 2*maxLine), nil, "a.down:1: read:"},
		{"all at once", "x\n1\ny\n", nil, `a.down:3: "y"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ReadMahimahi("a.down", strings.NewReader(tc.text))
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("got %v, want %q", err, tc.err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.File != "a.down") {
				t.Errorf("%v is no *Error of the file", err)
			}
		})
	}
}

// endless repeats a text for ever and counts what was read.
type endless struct {
	text string
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[(e.read+i)%len(e.text)]
	}
	e.read += len(p)
	return len(p), nil
}

func TestReadersEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		read func(io.Reader) error
		most int
	}{
		"mahimahi":        {"7\n", untilThousand, 1 << 16},
		"mahimahi errors": {"x\n", untilErrors, 1 << 16},
		"csv errors":      {"x\n", readCSV, 1 << 16},
	} {
		e := &endless{text: tc.text}
		if err := tc.read(e); err == nil {
			t.Errorf("%s: an endless file was read", name)
		}
		if e.read > tc.most {
			t.Errorf("%s: read %d bytes, want at most %d", name, e.read, tc.most)
		}
	}
}

func untilThousand(r io.Reader) error { _, err := readMahimahi("f", r, 1000); return err }
func untilErrors(r io.Reader) error   { _, err := ReadMahimahi("f", r); return err }
func readCSV(r io.Reader) error       { _, err := ReadCSV("f", r); return err }

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteMahimahi(t *testing.T) {
	want := emulation.Trace{0, 0, 3, 4294967295}
	var b bytes.Buffer
	if err := WriteMahimahi(&b, want); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != "0\n0\n3\n4294967295\n" {
		t.Errorf("wrote %q", got)
	}
	if err := WriteMahimahi(failing{}, want); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
}

func FuzzReadMahimahi(f *testing.F) {
	for _, s := range []string{"0\n0\n3\n", "1", "5\n4\n", "", "\n", "4294967295\n", "+1\n", "1_0\n", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ReadMahimahi("f", bytes.NewReader(data))
		if err != nil {
			return
		}
		if err := got.Validate(); err != nil {
			t.Fatalf("read an invalid trace: %v", err)
		}
		var b bytes.Buffer
		if err := WriteMahimahi(&b, got); err != nil {
			t.Fatal(err)
		}
		again, err := ReadMahimahi("f", &b)
		if err != nil || !slices.Equal(again, got) {
			t.Fatalf("%v became %v (%v)", got, again, err)
		}
	})
}

// Where recorded traces lie beside the repository, the model delivers of them what
// they carry: in each second within 2 %.
func TestRecordedTracesAreDelivered(t *testing.T) {
	files, err := filepath.Glob("../../../shared/traces/*.down")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			trace, err := ReadMahimahi(name, file)
			if err != nil {
				t.Fatal(err)
			}
			wantDelivered(t, trace)
		})
	}
}

// wantDelivered sends as much as a trace takes through the model, and compares
// seconds.
func wantDelivered(t *testing.T, trace emulation.Trace) {
	t.Helper()
	d, err := emulation.NewDirection(emulation.Impairments{Capacity: &trace}, emulation.Seed{})
	if err != nil {
		t.Fatal(err)
	}
	d.Start(0)
	const packet = 1000 // bytes: none fits an opportunity exactly
	seconds := int(trace.Period().Seconds())
	want, got := make([]float64, seconds+1), make([]float64, seconds+1)
	for _, ms := range trace {
		want[min(int(ms)/1000, seconds)] += float64(emulation.Opportunity)
	}
	for range len(trace) * int(emulation.Opportunity) / packet {
		d.Enqueue(-1, emulation.Packet{Size: packet, IPSize: packet})
	}
	for at, ok := d.NextDeparture(); ok; at, ok = d.NextDeparture() {
		d.Dequeue(at)
		got[min(int(at/1e9), seconds)] += packet
	}
	for i := range seconds {
		// A packet may straddle each end of the second.
		if diff := got[i] - want[i]; diff > 0.02*want[i]+packet || -diff > 0.02*want[i]+packet {
			t.Errorf("second %d: %.0f bytes delivered, the trace has %.0f", i, got[i], want[i])
		}
	}
}

func ExampleReadMahimahi() {
	trace, err := ReadMahimahi("lte.down", strings.NewReader("0\n2\n2\n4\n"))
	fmt.Println(trace, trace.Period(), trace.MeanRate(), err)
	// Output: [0 2 2 4] 4ms 12000000 <nil>
}
