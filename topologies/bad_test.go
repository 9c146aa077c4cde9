package topologies

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// knownEngines are the engines that the command registers.
func knownEngines() []string {
	return []string{"tquic", "tcp", "tcp-tls", "mptcp", "mptcp-tls", "quic-go", "quic-go-bond"}
}

// golden compares got with the file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (write it with go test -update)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", file, diff)
	}
}

// TestBadFiles holds the whole error text of each file in testdata/bad.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/bad: %d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			l := Loader{Engines: knownEngines()}
			topology, err := l.Parse(filepath.Base(file), data)
			problems, ok := errors.AsType[Problems](err)
			if !ok || len(problems) == 0 {
				t.Fatalf("error is %v, want Problems", err)
			}
			if diff := cmp.Diff(Topology{}, topology); diff != "" {
				t.Errorf("a topology beside the problems: %s", diff)
			}
			checkProblems(t, data, problems)
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", problems.Error()+"\n")
		})
	}
}

// checkProblems checks what holds for the problems of any file.
func checkProblems(t *testing.T, data []byte, problems Problems) {
	t.Helper()
	lines := bytes.Count(data, []byte("\n")) + 1
	for i, p := range problems {
		if p.Line < 1 || p.Col < 1 {
			t.Errorf("%v: no position", p)
		}
		// YAML ends lines at CR, NEL, LS and PS too.
		if p.Line > lines && !bytes.ContainsAny(data, "\r\u0085\u2028\u2029") {
			t.Errorf("%v: the file has %d lines", p, lines)
		}
		if p.Text == "" || strings.ContainsAny(p.String(), "\n") {
			t.Errorf("%q: not one line of text", p)
		}
		if i > 0 && (p.Line < problems[i-1].Line || p.Line == problems[i-1].Line && p.Col < problems[i-1].Col) {
			t.Errorf("%v stands after %v", p, problems[i-1])
		}
		if i > 0 && slices.Contains(problems[:min(i, 100)], p) {
			t.Errorf("%v: reported twice", p)
		}
	}
}

func TestProblemText(t *testing.T) {
	p := Problem{
		File: "lte-wifi.yaml", Line: 7, Col: 16, Path: "links[0].profile",
		Text: `unknown profile "lt"`, Expected: "one of ethernet, lte, wifi", Nearest: "lte",
	}
	want := `lte-wifi.yaml:7:16: links[0].profile: unknown profile "lt": expected one of ethernet, lte, wifi; did you mean "lte"?`
	if got := p.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	bare := Problem{File: "a.yaml", Line: 1, Col: 1, Text: "the file is empty"}
	if got, want := bare.String(), "a.yaml:1:1: the file is empty"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
