package agent

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/engine"
)

func TestParsePeakRSS(t *testing.T) {
	tests := []struct {
		name, text string
		want       int64
		ok         bool
	}{
		{"whole file", "Name:\ttquiclab\nVmPeak:\t  999 kB\nVmHWM:\t   10240 kB\nVmRSS:\t 1 kB\n", 10 << 20, true},
		{"absent", "Name:\tkthreadd\n", 0, false},
		{"no unit", "VmHWM:\t10240\n", 0, false},
		{"no number", "VmHWM:\tmany kB\n", 0, false},
		{"negative", "VmHWM:\t-1 kB\n", 0, false},
		{"overflow", "VmHWM:\t9223372036854775807 kB\n", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parsePeakRSS(strings.NewReader(tt.text))
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %d, %v; want %d, ok %v", got, err, tt.want, tt.ok)
			}
		})
	}
}

func TestProcessState(t *testing.T) {
	for stat, want := range map[string]string{
		"12 (sh) S 1 12":            "running",
		"12 (a) T (b) R 1 12":       "running", // the name may hold anything
		"12 (tquiclab) T 1 12":      "stopped (T): SIGCONT would go on",
		"12 (tquiclab) Z 1 12":      "ending",
		"12 (tquiclab) D 1 12":      "stuck in the kernel (D)",
		"12 (tquiclab) W 1":         "state W",
		"12 (tquiclab)":             "unknown state",
		"":                          "unknown state",
		"S":                         "unknown state",
		"12 (tquiclab) t 1 12 1 1 ": "held by a debugger (t)",
	} {
		if got := processState(stat); got != want {
			t.Errorf("processState(%q) = %q, want %q", stat, got, want)
		}
	}
}

// Whatever the lab says, the child ends without a panic and answers in lines
// that the lab can read.
func FuzzMain(f *testing.F) {
	f.Add([]byte("{\"id\":1,\"op\":\"hello\"}\n"))
	f.Add([]byte("{\"id\":1,\"op\":\"accept\",\"params\":{\"sessions\":1}}\n{\"id\":2,\"op\":\"quit\"}\n"))
	f.Add([]byte("{\"id\":1,\"op\":\"bulk\",\"params\":{\"side\":\"x\"}}\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Contains(in, []byte("drop")) {
			return // it would take effect
		}
		var out bytes.Buffer
		_ = Main(t.Context(), Config{In: bytes.NewReader(in), Out: &out, Engines: engine.Registry{}})
		lines := newLineReader(&out)
		for {
			line, err := lines.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := decodeReply(line); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte(`{"id":1,"result":{"version":1,"pid":2}}`))
	f.Add([]byte(`{"id":2,"event":"progress","result":{"at_ns":1,"bytes":2}}`))
	f.Add([]byte(`{"id":3,"error":{"text":"no","unsupported":true}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := decodeReply(line)
		if err != nil {
			return
		}
		again, err := decodeReply(bytes.TrimSuffix(encodeReply(r), []byte("\n")))
		if err != nil {
			t.Fatalf("%q was read, but not what became of it: %v", line, err)
		}
		if again.ID != r.ID || again.Event != r.Event || (again.Error == nil) != (r.Error == nil) {
			t.Errorf("%q changed on its way: %+v, then %+v", line, r, again)
		}
	})
}

func FuzzProcFiles(f *testing.F) {
	f.Add("VmHWM:\t   10240 kB\n")
	f.Add("12 (a) T (b) R 1 12")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parsePeakRSS(strings.NewReader(text)); err == nil && n < 0 {
			t.Errorf("peak RSS %d is negative", n)
		}
		if processState(text) == "" {
			t.Error("empty state")
		}
	})
}
