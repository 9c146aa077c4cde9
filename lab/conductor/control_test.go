package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/control"
	"github.com/tquiclab/tquiclab/lab/journal"
)

// paper is a stage that takes everything.
type paper struct{}

func (paper) SetLink(string, Carrier) error                              { return nil }
func (paper) Impair(string, string, emulation.Impairments, uint64) error { return nil }
func (paper) Rebind(string) error                                        { return nil }

// rehearse runs a conductor on paper in real time, and returns it.
func rehearse(t testing.TB) *Conductor {
	t.Helper()
	clock, err := NewOwnClock(testSpec().Start, func() (uint64, error) { return 0, nil }, journal.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := New(Config{
		Spec: testSpec(), Stage: paper{}, Clock: clock, Now: journal.Now, Log: slog.New(slog.DiscardHandler),
		Record: func(journal.Entry) error { return nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return c
}

// listen serves a conductor on a socket, and returns its path.
func listen(t *testing.T, c *Conductor) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := control.NewServer(l, func(conn net.Conn) { c.serve(context.Background(), conn) })
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve() })
	t.Cleanup(func() {
		server.Close()
		serving.Wait()
	})
	return path
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	client, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestClientAndControl(t *testing.T) {
	client := dial(t, listen(t, rehearse(t)))
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	must(client.SetLink(ctx, "wifi", CarrierOff))
	must(client.Impair(ctx, []Setting{{"lte", "up", ratePatch(1e6)}}))
	must(client.Rebind(ctx, "cpe"))
	must(client.Start(ctx))
	if err := client.Start(ctx); !errors.Is(err, ErrRunning) {
		t.Errorf("second Start = %v, want ErrRunning", err)
	}
	s, err := client.Status(ctx)
	if err != nil || s.Started == nil || len(s.DownLinks) != 1 || s.InForce[0].Impairments.Rate != 1e6 || s.Recorded != 4 {
		t.Errorf("status = %+v, %v, want a clock that runs, wifi down, 1 Mbit/s and 4 records", s, err)
	}
	if links, err := client.Rest(ctx); err != nil || len(links) != 1 || links[0] != "wifi" {
		t.Errorf("Rest = %v, %v, want wifi", links, err)
	}
	must(client.Arm(ctx, 7))
	if s, err := client.Status(ctx); err != nil || s.Started != nil || s.InForce[0].Impairments.Rate != 10e6 {
		t.Errorf("status after Arm = %+v, %v, want a clock that waits and the file's rate", s, err)
	}
	if err := client.SetLink(ctx, "lte", "half"); err == nil || !strings.Contains(err.Error(), "want on or off") {
		t.Errorf("an unknown carrier: %v", err)
	}
	// A refusal does not end the connection.
	if err := client.Impair(ctx, []Setting{{"dsl", "up", ratePatch(1e6)}}); err == nil {
		t.Error("an unknown link was changed")
	}
	_, err = client.Status(ctx)
	must(err)
}

func TestControlBoundsItsClients(t *testing.T) {
	path := listen(t, rehearse(t))
	for range control.MaxClients {
		if _, err := dial(t, path).Status(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := dial(t, path).Status(t.Context()); err == nil {
		t.Errorf("client %d was served", control.MaxClients+1)
	}
}

func TestControlSurvivesNonsense(t *testing.T) {
	path := listen(t, rehearse(t))
	for _, text := range []string{"nonsense\n", "{}\n", "[]\n", "\x00\xff\n", `{"op":"arm","seed":-1}` + "\n"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		var resp response
		if err := json.NewDecoder(conn).Decode(&resp); err != nil || resp.Error == "" {
			t.Errorf("%q: answer %+v, %v, want an error in words", text, resp, err)
		}
		conn.Close()
	}
	endless, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer endless.Close()
	chunk := []byte(strings.Repeat("x", 1<<20))
	for range control.MaxLine>>20 + 2 {
		if _, err = endless.Write(chunk); err != nil {
			break
		}
	}
	if err == nil { // it may have been taken into buffers
		_, err = endless.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("a line without end was answered")
	}
	if _, err := dial(t, path).Status(t.Context()); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// FuzzRespond: whatever comes in on the control socket is answered, and the
// conductor's impairments stay valid.
func FuzzRespond(f *testing.F) {
	for _, r := range []request{
		{Op: "ping"},
		{Op: "status"},
		{Op: "rest"},
		{Op: "arm", Seed: 1 << 33},
		{Op: "start"},
		{Op: "impair", Settings: []Setting{{"lte", "up", ratePatch(1e6)}}},
		{Op: "link", Link: "lte", Carrier: CarrierOff},
		{Op: "rebind", Node: "cpe"},
		{Op: "explode"},
	} {
		line, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte(`{"op":"impair","settings":[{"link":"lte","way":"up","patch":{"fields":["loss"],"values":{"loss":7}}}]}`))
	c := rehearse(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, err := json.Marshal(respond(t.Context(), c, line)); err != nil {
			t.Fatalf("the answer does not encode: %v", err)
		}
		s, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range s.InForce {
			if err := i.Impairments.Validate(); err != nil {
				t.Errorf("in force on %s %s: %v", i.Link, i.Way, err)
			}
		}
	})
}

// FuzzReadSpec: no spec that is read makes the score panic.
func FuzzReadSpec(f *testing.F) {
	text, err := json.Marshal(testSpec())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, err := readSpec(strings.NewReader(string(text)))
		if err != nil {
			return
		}
		score := NewScore(spec)
		for range 100 {
			at, ok := score.Next()
			if !ok {
				return
			}
			if actions := score.Take(at); len(actions) == 0 {
				t.Fatalf("nothing is due at %v, though something was to be", at)
			}
		}
	})
}
