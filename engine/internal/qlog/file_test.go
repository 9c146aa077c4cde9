package qlog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestFile(t *testing.T) {
	dir := t.TempDir()
	id := wire.NewConnID([]byte{0xde, 0xad, 0xbe, 0xef})
	for side, want := range map[wire.Perspective]string{wire.Client: "deadbeef_client.sqlog", wire.Server: "deadbeef_server.sqlog"} {
		f, err := File(dir, side, id)
		if err != nil {
			t.Fatal(err)
		}
		trace := New(f, Options{Side: side, GroupID: id.String()})
		if err := errors.Join(trace.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, want))
		if err != nil {
			t.Fatal(err)
		}
		readRecords(t, text)
	}
	if f, err := File(dir, wire.Client, id); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the same file again: %v, %v; want fs.ErrExist", f, err)
	}
	if f, err := File(filepath.Join(dir, "absent"), wire.Client, id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no folder: %v, %v; want fs.ErrNotExist", f, err)
	}
}
