package journal

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

func ratePatch(r emulation.Rate) *emulation.Patch {
	return &emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: r}}
}

func mustAppend(t *testing.T, path string, e Entry) {
	t.Helper()
	if err := Append(path, e); err != nil {
		t.Fatal(err)
	}
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	want := []Entry{
		{At: 5, By: Hand, Kind: Arm, Seed: new(uint64(1) << 33)},
		{At: 7, Since: new(time.Duration(0)), By: Timeline, Kind: Start},
		{At: 9, Since: new(2 * time.Nanosecond), By: Timeline, Kind: Set, Link: "lte", Way: "up", Set: ratePatch(5e6), Ramp: time.Second, Late: 3},
		{At: 10, By: Hand, Kind: Down, Link: "lte", Error: "no such interface"},
	}
	r := NewReader(path)
	if got, err := r.Next(); len(got) > 0 || err != nil {
		t.Fatalf("Next without a file = %v, %v, want nothing", got, err)
	}
	for _, e := range want[:3] {
		mustAppend(t, path, e)
	}
	got, err := r.Next()
	if diff := cmp.Diff(want[:3], got); diff != "" || err != nil {
		t.Errorf("Next: %v (-want +got):\n%s", err, diff)
	}
	mustAppend(t, path, want[3])
	got, err = r.Next()
	if diff := cmp.Diff(want[3:], got); diff != "" || err != nil {
		t.Errorf("second Next: %v (-want +got):\n%s", err, diff)
	}
	late := NewReader(path)
	if err := late.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	if got, err := late.Next(); len(got) > 0 || err != nil {
		t.Errorf("Next after SkipToEnd = %v, %v, want nothing", got, err)
	}
}

func TestReaderSurvivesWhatIsNoEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	write := func(text string) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	r := NewReader(path)
	write("nonsense\n" + `{"at_ns":1,"by":"hand","kind":"up"}` + "\n" + `{"at_ns":2,"by":"ha`)
	got, err := r.Next()
	if err == nil || len(got) != 1 || got[0].At != 1 {
		t.Errorf("Next = %v, %v, want the one whole entry and an error for the nonsense", got, err)
	}
	write(`nd","kind":"down"}` + "\n")
	got, err = r.Next()
	if err != nil || len(got) != 1 || got[0].Kind != Down {
		t.Errorf("Next = %v, %v, want the entry that was cut", got, err)
	}
}

func TestFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, MaxBytes-100); err != nil {
		t.Fatal(err)
	}
	e := Entry{At: 1, By: Timeline, Kind: Set, Link: "a-link-with-a-rather-long-name", Set: ratePatch(1e6)}
	for range 3 {
		if err := Append(path, e); !errors.Is(err, ErrFull) {
			t.Errorf("Append to a full journal = %v, want ErrFull", err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > MaxBytes {
		t.Errorf("size %d, %v, want at most %d", info.Size(), err, MaxBytes)
	}
	r := Reader{path: path, offset: MaxBytes - 100}
	if got, err := r.Next(); err != nil || len(got) == 0 || got[0].Kind != Full {
		t.Errorf("Next = %v, %v, want an entry that says that it is full", got, err)
	}
}

func TestWritersDoNotMix(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	var writers sync.WaitGroup
	const each = 200
	for range 4 {
		writers.Go(func() {
			for range each {
				if err := Append(path, Entry{By: Hand, Kind: Set, Link: "lte", Set: ratePatch(5e6)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if got, err := NewReader(path).Next(); err != nil || len(got) != 4*each {
		t.Errorf("%d entries, %v, want %d", len(got), err, 4*each)
	}
}

func TestText(t *testing.T) {
	many := emulation.Patch{
		Fields: emulation.FieldDelay | emulation.FieldLoss | emulation.FieldBlackhole | emulation.FieldSlot,
		Values: emulation.Impairments{Delay: 20 * time.Millisecond, Blackhole: true},
	}
	for _, tt := range []struct {
		entry Entry
		want  string
	}{
		{Entry{Kind: Down, Link: "lte"}, "lte down"},
		{Entry{Kind: Rebind, Node: "cpe"}, "cpe rebind"},
		{Entry{Kind: Start}, "clock started"},
		{Entry{Kind: Set, Link: "lte", Way: "up", Set: ratePatch(5e6), Ramp: 2 * time.Second}, "lte up: rate=5mbit over 2s"},
		{Entry{Kind: Set, Link: "lte", Set: &many}, "lte: delay=20ms loss=0% slot=none blackhole=true"},
		{Entry{Kind: Set, Link: "lte", Set: &emulation.Patch{Fields: emulation.AllFields, Values: emulation.Impairments{Rate: 5e6}}}, "lte: all as 5mbit"},
		{Entry{Kind: Up, Link: "lte", Error: "gone"}, "lte up failed: gone"},
	} {
		if got := tt.entry.Text(); got != tt.want {
			t.Errorf("Text() = %q, want %q", got, tt.want)
		}
	}
}
