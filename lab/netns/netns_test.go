package netns

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// newName returns a name that no one else uses, and removes it at the end.
func newName(t *testing.T) string {
	t.Helper()
	name := "tqltest-" + rand.Text()[:8]
	t.Cleanup(func() {
		if err := Remove(name); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return name
}

func mustCreate(t *testing.T, name, mark string) *NS {
	t.Helper()
	ns, err := Create(name, mark)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

func interfaces(t *testing.T) []string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

func TestCreateIsMarkedAndNamed(t *testing.T) {
	name := newName(t)
	ns := mustCreate(t, name, "owner:1")
	opened, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if got, err := opened.Mark(); err != nil || got != "owner:1" {
		t.Errorf("Mark() = %q, %v, want owner:1", got, err)
	}
	a, _ := ns.Inode()
	b, _ := opened.Inode()
	if a == 0 || a != b {
		t.Errorf("created inode %d, opened inode %d, want the same", a, b)
	}
	names, err := Names()
	if err != nil || !slices.Contains(names, name) {
		t.Errorf("Names() = %v, %v, want it to hold %s", names, err, name)
	}
}

func TestCreateLeavesATakenNameAlone(t *testing.T) {
	name := newName(t)
	first := mustCreate(t, name, "first")
	if _, err := Create(name, "second"); !errors.Is(err, ErrExists) {
		t.Fatalf("second Create: %v, want ErrExists", err)
	}
	if got, _ := first.Mark(); got != "first" {
		t.Errorf("mark after the second Create = %q, want first", got)
	}
}

func TestDoRunsInsideAndComesBack(t *testing.T) {
	before := interfaces(t)
	ns := mustCreate(t, newName(t), "m")
	var inside []string
	if err := ns.Do(func() error {
		all, err := net.Interfaces()
		for _, i := range all {
			inside = append(inside, i.Name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"lo"}; !slices.Equal(inside, want) {
		t.Errorf("interfaces inside = %v, want %v", inside, want)
	}
	// Many goroutines, so that a thread left inside would be met again.
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if err := ns.Do(func() error { return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for range 64 {
		if after := interfaces(t); !slices.Equal(after, before) {
			t.Fatalf("interfaces outside after Do = %v, want %v", after, before)
		}
	}
}

func TestDoReturnsTheFunctionsError(t *testing.T) {
	ns := mustCreate(t, newName(t), "m")
	want := errors.New("inner")
	if err := ns.Do(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("Do = %v, want %v", err, want)
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	if _, err := Open("tqltest-" + rand.Text()[:8]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a missing name: %v, want fs.ErrNotExist", err)
	}
	name := newName(t)
	mustCreate(t, newName(t), "m") // makes Dir where no namespace was yet
	if err := os.WriteFile(filepath.Join(Dir, name), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name); !errors.Is(err, ErrNotNamespace) {
		t.Errorf("Open of an empty file: %v, want ErrNotNamespace", err)
	}
}

func TestRemoveTwice(t *testing.T) {
	name := newName(t)
	mustCreate(t, name, "m")
	for range 2 {
		if err := Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open after Remove: %v, want fs.ErrNotExist", err)
	}
}

// The process's first thread is the one that never ends: no namespace may stay with
// it. Many goroutines at once make it likely that one gets that thread.
func TestFirstThreadStaysAtHome(t *testing.T) {
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		name := "tqltest-" + rand.Text()[:8]
		ns, err := Create(name, "test")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(ns.Close(), Remove(name)); err != nil {
			t.Fatal(err)
		}
		if now, err := os.Readlink("/proc/self/ns/net"); now != home {
			t.Fatalf("the first thread is in %s, not in %s any more: %v", now, home, err)
		}
	}
}
