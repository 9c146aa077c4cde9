package uml

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// said is what a test binary says under -test.v=test2json, on a serial line.
const said = "\x16=== RUN   TestA\r\n" +
	"partial\x16=== RUN   TestA/s_b\r\n" +
	"    a_test.go:3: hi\r\n" +
	"--- FAIL: TestFake (0.00s)\r\n" +
	"\x16--- PASS: TestA/s_b (0.10s)\r\n" +
	"\x16=== NAME  TestA\r\n" +
	"half a line\x16--- FAIL: TestA/deep/odd_(name) (0.00s)\r\n" +
	"\x16--- SKIP: TestB (0.00s)\r\n" +
	"PASS\r\n"

func TestTake(t *testing.T) {
	var report Report
	var shown []string
	for line := range strings.SplitSeq(strings.TrimSuffix(said, "\n"), "\n") {
		if text, show := report.take(line); show {
			shown = append(shown, text)
		}
	}
	want := Report{Passed: []string{"TestA/s_b"}, Failed: []string{"TestA/deep/odd_(name)"}, Skipped: []string{"TestB"}}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	wantShown := []string{
		"partial", "    a_test.go:3: hi", "--- FAIL: TestFake (0.00s)", "--- PASS: TestA/s_b (0.10s)",
		"half a line--- FAIL: TestA/deep/odd_(name) (0.00s)", "--- SKIP: TestB (0.00s)", "PASS",
	}
	if diff := cmp.Diff(wantShown, shown); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
}

func TestVerdict(t *testing.T) {
	passed := []string{"TestA"}
	for _, c := range []struct {
		name   string
		report Report
		exit   int
		want   string // part of the error; "" for none
	}{
		{"passed", Report{Passed: passed}, 0, ""},
		{"failed", Report{Passed: passed, Failed: []string{"TestB"}}, 1, "failed inside: TestB"},
		{"skipped", Report{Passed: passed, Skipped: []string{"TestB"}}, 0, "skipped inside"},
		{"none", Report{}, 0, "no test ran inside"},
		{"status alone", Report{Passed: passed}, 2, "status 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.report.verdict(c.exit)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func FuzzTake(f *testing.F) {
	for line := range strings.SplitSeq(said, "\n") {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var report Report
		text, _ := report.take(line)
		if n := len(report.Passed) + len(report.Failed) + len(report.Skipped); n > 1 || n == 1 && !strings.Contains(line, marker) {
			t.Errorf("%q: %d verdicts", line, n)
		}
		if !strings.Contains(line, marker) && text != strings.TrimSuffix(line, "\r") {
			t.Errorf("%q is shown as %q", line, text)
		}
	})
}
