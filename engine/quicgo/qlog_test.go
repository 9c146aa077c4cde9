package quicgo_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/quicgo"
)

func TestQLOG(t *testing.T) {
	for _, tt := range []struct {
		engine engine.Engine
		paths  []string
	}{
		{quicgo.New(), []string{"127.0.0.1:0"}},
		{quicgo.NewBond(), []string{"127.0.0.1:0", "127.0.0.2:0"}},
	} {
		t.Run(tt.engine.Name(), func(t *testing.T) {
			enginetest.CheckLeaks(t)
			if !tt.engine.Capabilities().QLOG {
				t.Error("the engine does not say that it writes qlog files")
			}
			dir := t.TempDir()
			session(t, tt.engine, tt.paths, dir)
			for _, side := range []string{"client", "server"} {
				files, err := filepath.Glob(filepath.Join(dir, "*_"+side+".sqlog"))
				if err != nil || len(files) != len(tt.paths) {
					t.Errorf("%d files of the %s's, %v; want %d", len(files), side, err, len(tt.paths))
				}
				for _, f := range files {
					checkFile(t, f, side)
				}
			}
		})
	}
}

// session opens a session on the paths, moves a byte, and closes it.
func session(t *testing.T, e engine.Engine, addresses []string, dir string) {
	t.Helper()
	serverTLS, clientTLS, err := enginetest.NewTLS()
	if err != nil {
		t.Fatal(err)
	}
	var local, remote []engine.Path
	for _, a := range addresses {
		local = append(local, engine.Path{Link: a, Local: netip.MustParseAddrPort(a)})
	}
	l, err := e.Listen(t.Context(), engine.Config{Paths: local, TLS: serverTLS, QLOG: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i, p := range l.Paths() {
		remote = append(remote, engine.Path{Link: p.Link, Local: local[i].Local, Remote: p.Local})
	}
	d, err := e.Dial(t.Context(), engine.Config{Paths: remote, TLS: clientTLS, QLOG: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	a, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s, err := d.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	in, err := a.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// checkFile wants a header that is the file's, and whole records of packets both
// ways.
func checkFile(t *testing.T, file, side string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	records := bytes.Split(text, []byte{0x1e})[1:]
	names := map[string]int{}
	for i, r := range records {
		var record struct {
			Name  string `json:"name"`
			Trace struct {
				CommonFields struct {
					GroupID string `json:"group_id"`
				} `json:"common_fields"`
				VantagePoint struct {
					Type string `json:"type"`
				} `json:"vantage_point"`
			} `json:"trace"`
		}
		if err := json.Unmarshal(r, &record); err != nil {
			t.Fatalf("%s, record %d: %v\n%s", file, i, err, r)
		}
		names[record.Name]++
		id, _, _ := strings.Cut(filepath.Base(file), "_")
		if i == 0 && (record.Trace.CommonFields.GroupID != id || record.Trace.VantagePoint.Type != side) {
			t.Errorf("%s: the header says %+v", file, record.Trace)
		}
	}
	for _, name := range []string{"packet_sent", "packet_received", "connection_closed"} {
		if names["quic:"+name]+names["transport:"+name] == 0 {
			t.Errorf("%s has no %s among %v", file, name, names)
		}
	}
}

func TestQLOGFolderIsChecked(t *testing.T) {
	serverTLS, _, err := enginetest.NewTLS()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"absent": file + "s", "a file": file} {
		t.Run(name, func(t *testing.T) {
			c := engine.Config{TLS: serverTLS, QLOG: dir, Paths: []engine.Path{{Link: "a", Local: netip.MustParseAddrPort("127.0.0.1:0")}}}
			for _, e := range []engine.Engine{quicgo.New(), quicgo.NewBond()} {
				if l, err := e.Listen(t.Context(), c); err == nil || !strings.Contains(err.Error(), dir) {
					t.Errorf("%s: Listen = %v, %v; want an error that names %s", e.Name(), l, err, dir)
				}
			}
		})
	}
}
