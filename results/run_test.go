package results

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestRunIsReadBackAsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "one")
	r := mustCreate(t, dir)
	summary := filledSummary()
	manifest := Manifest{
		Schema: Schema, Lab: "lte-wifi", Topology: json.RawMessage(`{"name":"lte-wifi"}`), TopologySHA256: "5b3c",
		Backend: "relay", Seed: 1, CommandLine: []string{"tquiclab", "run", "lte-wifi"},
		Order: []Planned{{Round: 1, Order: 1, Arm: summary.Trials[0].Arm}},
	}
	must(t, r.WriteManifest(manifest))
	series, err := r.Series("lte-up")
	must(t, err)
	must(t, series.Append(map[string]int{"bytes": 1}))
	must(t, series.Append(map[string]int{"bytes": 2}))
	must(t, series.Close())
	must(t, series.Close()) // idempotent
	must(t, r.AppendTrial(summary.Trials[0]))
	manifest.DurationS = ptr(12.5)
	must(t, r.WriteManifest(manifest))
	must(t, r.Finish(summary))

	gotManifest, gotSummary, err := Open(dir)
	must(t, err)
	// Indentation is not content.
	var compact json.RawMessage
	must(t, json.Unmarshal(gotManifest.Topology, &map[string]any{}))
	compact = json.RawMessage(strings.Join(strings.Fields(string(gotManifest.Topology)), ""))
	gotManifest.Topology = compact
	if diff := cmp.Diff(manifest, gotManifest); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(summary, gotSummary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if got, want := read(t, dir, "series/lte-up.jsonl"), "{\"bytes\":1}\n{\"bytes\":2}\n"; got != want {
		t.Errorf("series: got %q, want %q", got, want)
	}
	if diff := cmp.Diff([]string{"manifest.json", "series", "summary.json", "trials.jsonl"}, entries(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestCreateRefuses(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string) string // returns the folder to ask for
		want    string
	}{
		{"a folder with something in it", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o644))
			return dir
		}, "is not empty: choose another with --out"},
		{"a file", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
			return filepath.Join(dir, "file")
		}, "is a file"},
		{"a folder below a file", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
			return filepath.Join(dir, "file", "run")
		}, "not a directory"},
		{"a folder that no one can write to", func(*testing.T, string) string {
			return "/proc/tquiclab/run"
		}, "create results folder /proc/tquiclab/run"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			r, err := Create(tt.prepare(t, dir))
			if err == nil {
				t.Fatal(errors.Join(errors.New("got no error"), r.Close()))
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q in it", err, tt.want)
			}
			for _, entry := range entries(t, dir) {
				if entry != "file" && entry != "thesis.tex" {
					t.Errorf("%s was left behind", entry)
				}
			}
		})
	}
}

func TestCreateTakesAnEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	mustCreate(t, dir)
	if _, err := Create(dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a second run in the same folder: got %v, want a refusal", err)
	}
}

// A killed run: what AppendTrial confirmed is there, a torn line is not.
func TestOpenAfterAKill(t *testing.T) {
	arm := Arm{Engine: "tcp", Paths: []string{"lte"}}
	trial := func(round int, bps float64) Trial {
		return Trial{Round: round, Order: 1, Arm: arm, GoodputBPS: bps, Intact: true, Paths: []TrialPath{}}
	}
	dir := t.TempDir()
	r := mustCreate(t, dir)
	must(t, r.WriteManifest(Manifest{
		Lab: "direct", TopologySHA256: "ab", Backend: "direct", Seed: 7,
		Order: []Planned{{Round: 1}, {Round: 2}, {Round: 3}},
	}))
	must(t, r.AppendTrial(trial(1, 10e6)))
	must(t, r.AppendTrial(trial(2, 20e6)))
	whole := read(t, dir, TrialsFile)
	must(t, os.WriteFile(filepath.Join(dir, TrialsFile), []byte(whole+`{"round":3,"arm":{"eng`), 0o644))

	_, got, err := Open(dir)
	must(t, err)
	want := Summary{
		Schema: Schema, Lab: "direct", TopologySHA256: "ab", Backend: "direct", Seed: 7, Complete: false,
		Trials:   []Trial{trial(1, 10e6), trial(2, 20e6)},
		Arms:     []ArmSummary{{Arm: arm, Goodput: Estimate{Median: 15e6, Min: 10e6, Max: 20e6, N: 2}}},
		Warnings: []string{"the run did not end in order: 2 of 3 trials were recorded"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// The values that need the whole run are worked out from what there is of it.
func TestOpenAfterAKillFillsTheBenefit(t *testing.T) {
	dir := t.TempDir()
	r := mustCreate(t, dir)
	must(t, r.WriteManifest(Manifest{}))
	var s story
	s.trial(1, "bond", 30e6, "lte")
	s.trial(1, "bond", 80e6, "lte", "wifi")
	s.trial(1, "bond", 50e6, "wifi")
	for _, trial := range s {
		must(t, r.AppendTrial(trial))
	}
	_, got, err := Open(dir)
	must(t, err)
	if b := got.Arms[1].AggregationBenefit; b == nil || *b != 1 {
		t.Errorf("got the benefit %v, want 1", b)
	}
}

func TestOpenRefuses(t *testing.T) {
	const manifest = `{"schema":"tquiclab/v1"}`
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"a folder that is no run", nil, "is not a run folder"},
		{"another schema", map[string]string{ManifestFile: `{"schema":"tquiclab/v2"}`}, `schema "tquiclab/v2" is unknown here`},
		{"no schema", map[string]string{ManifestFile: `{}`}, `schema "" is unknown here`},
		{"a summary of another schema", map[string]string{ManifestFile: manifest, SummaryFile: `{"schema":"x"}`}, `summary.json: schema "x"`},
		{"a summary that is no JSON", map[string]string{ManifestFile: manifest, SummaryFile: `{"schema"`}, "summary.json: decode"},
		{"a broken line before the last", map[string]string{ManifestFile: manifest, TrialsFile: "{}\n{\n{}\n"}, "trials.jsonl:2: decode trial"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
			}
			_, _, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestOpenIgnoresUnknownFields(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, ManifestFile), []byte(`{"schema":"tquiclab/v1","lab":"x","moon_phase":"full"}`), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, TrialsFile), []byte("{\"round\":4,\"mood\":1}\n"), 0o644))
	m, s, err := Open(dir)
	must(t, err)
	if m.Lab != "x" || len(s.Trials) != 1 || s.Trials[0].Round != 4 {
		t.Errorf("got lab %q and trials %+v, want x and one trial of round 4", m.Lab, s.Trials)
	}
}

func TestRunRefusesWhatIsNotFinite(t *testing.T) {
	r := mustCreate(t, t.TempDir())
	if err := r.AppendTrial(Trial{GoodputBPS: math.NaN()}); err == nil {
		t.Error("AppendTrial took a NaN")
	}
	if err := r.WriteManifest(Manifest{DurationS: ptr(math.Inf(1))}); err == nil {
		t.Error("WriteManifest took an infinity")
	}
	if err := r.Finish(Summary{Trials: []Trial{{StolenS: math.Inf(-1)}}}); err == nil {
		t.Error("Finish took an infinity")
	}
	s, err := r.Series("x")
	must(t, err)
	if err := s.Append(math.NaN()); err == nil {
		t.Error("Series.Append took a NaN")
	}
	must(t, s.Append(1))
	must(t, s.Close())
	must(t, r.AppendTrial(Trial{Round: 1}))
	if got := read(t, r.Dir(), "series/x.jsonl"); got != "1\n" {
		t.Errorf("series: got %q, want the one good value", got)
	}
	if got := strings.Count(read(t, r.Dir(), TrialsFile), "\n"); got != 1 {
		t.Errorf("trials: got %d lines, want the one good trial", got)
	}
	if _, err := os.Stat(filepath.Join(r.Dir(), SummaryFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("summary.json after a refusal: got %v, want that it is not there", err)
	}
}

func TestSeriesNames(t *testing.T) {
	r := mustCreate(t, t.TempDir())
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".hidden", "-x", "naïve", "a b", "a\x00", strings.Repeat("x", 101)} {
		if _, err := r.Series(name); err == nil {
			t.Errorf("Series(%q) was taken", name)
		}
	}
	s, err := r.Series("round-1.client_lte.up")
	must(t, err)
	if _, err := r.Series("round-1.client_lte.up"); err == nil {
		t.Error("the same series was started twice")
	}
	if err := r.Finish(Summary{}); err == nil || !strings.Contains(err.Error(), "still open") {
		t.Errorf("Finish with an open series: got %v, want a refusal", err)
	}
	must(t, s.Close())
	if err := s.Append(1); err == nil {
		t.Error("a closed series took a value")
	}
	must(t, r.Finish(Summary{}))
	must(t, r.Close()) // idempotent, and fine after Finish
	if err := r.AppendTrial(Trial{}); err == nil {
		t.Error("a finished run took a trial")
	}
}

// On a disk too small for a run, Create says so; on one that fills up during the
// run, each write says so, and what was on it stays readable.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root: make test")
	}
	ownMounts(t)
	small := tmpfs(t, "size=8m")
	if _, err := Create(filepath.Join(small, "a", "run")); err == nil || !strings.Contains(err.Error(), "a run needs 64 MiB: free space, or choose another folder with --out") {
		t.Errorf("Create on 8 MiB: got %v, want a refusal that says what to do", err)
	}
	if left := entries(t, small); len(left) != 0 {
		t.Errorf("Create left %v behind", left)
	}

	disk := tmpfs(t, "size=66m")
	dir := filepath.Join(disk, "run")
	r := mustCreate(t, dir)
	must(t, r.WriteManifest(Manifest{Lab: "x"}))
	must(t, r.AppendTrial(Trial{Round: 1, Intact: true}))
	series, err := r.Series("samples")
	must(t, err)
	must(t, series.Append(strings.Repeat("x", 10)))
	fill(t, filepath.Join(disk, "ballast"))

	long := Trial{Round: 2, Error: strings.Repeat("e", 3*os.Getpagesize())}
	for range 2 { // the second time finds the file as the first found it
		wantFull(t, "AppendTrial", r.AppendTrial(long))
	}
	wantFull(t, "WriteManifest", r.WriteManifest(Manifest{Lab: strings.Repeat("y", 3*os.Getpagesize())}))
	must(t, series.Append(strings.Repeat("x", 3*os.Getpagesize()))) // buffered
	wantFull(t, "Series.Close", series.Close())
	wantFull(t, "Finish", r.Finish(Summary{Lab: strings.Repeat("z", 3*os.Getpagesize())}))

	m, s, err := Open(dir)
	must(t, err)
	if m.Lab != "x" || s.Complete || len(s.Trials) != 1 || s.Trials[0].Round != 1 {
		t.Errorf("got lab %q, complete %v, trials %+v; want x, false and round 1 alone", m.Lab, s.Complete, s.Trials)
	}
	must(t, os.Remove(filepath.Join(disk, "ballast")))
	must(t, r.AppendTrial(long))
	must(t, r.Finish(Summary{Lab: "x", Complete: true}))
	// The half lines of the failed attempts are gone: the file is the two trials.
	trials, err := decodeTrials([]byte(read(t, dir, TrialsFile)))
	if err != nil || len(trials) != 2 || trials[1].Error != long.Error {
		t.Errorf("trials after space was made: got %d, %v; want both", len(trials), err)
	}
	if diff := cmp.Diff([]string{"manifest.json", "series", "summary.json", "trials.jsonl"}, entries(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func wantFull(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "--out") {
		t.Errorf("%s on a full disk: got %v, want ENOSPC and what to do", what, err)
	}
}

// fill takes every free page of the file system.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	page := make([]byte, 1<<20)
	for len(page) > 0 {
		if _, err := f.Write(page); errors.Is(err, unix.ENOSPC) {
			page = page[:len(page)/2]
		} else {
			must(t, err)
		}
	}
}

// ownMounts gives the test's thread a mount namespace of its own, which ends with
// the thread: never unlocked, it dies with the test, however that ends.
func ownMounts(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	must(t, unix.Unshare(unix.CLONE_NEWNS))
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
}

// tmpfs mounts a small file system for the test.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	t.Cleanup(func() {
		// Detached, it goes even if the test left a file open.
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

func mustCreate(t *testing.T, dir string) *Run {
	t.Helper()
	r, err := Create(dir)
	must(t, err)
	t.Cleanup(func() { _ = r.Close() }) // the test checks Close where it matters
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return string(data)
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
