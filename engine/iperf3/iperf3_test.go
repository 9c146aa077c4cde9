package iperf3

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine"
)

// pair is a listener's and a dialler's session over loopback.
func pair(t *testing.T, address string) (listening, dialling engine.Generator) {
	t.Helper()
	e := New()
	l, err := e.Listen(t.Context(), engine.Config{Paths: []engine.Path{{Link: "lo", Local: netip.AddrPortFrom(netip.MustParseAddr(address), 0)}}})
	if err != nil {
		t.Fatal(err)
	}
	at := l.Paths()[0].Local
	if at.Port() == 0 {
		t.Fatal("the listener has no port")
	}
	a, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Dial(t.Context(), engine.Config{Paths: []engine.Path{{Link: "lo", Local: netip.AddrPortFrom(at.Addr(), 0), Remote: at}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range []engine.Session{a, b} {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return a.(engine.Generator), b.(engine.Generator)
}

func TestTransfers(t *testing.T) {
	const size = 64 << 20
	for _, tt := range []struct {
		name, address string
		up            bool
		late          time.Duration // of the server
	}{
		{"up", "127.0.0.1", true, 0},
		{"down", "127.0.0.1", false, 0},
		{"IPv6", "::1", false, 0},
		{"a server that comes late", "127.0.0.1", true, 300 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			listening, dialling := pair(t, tt.address)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var got [2]engine.Generated
			var errs [2]error
			var both sync.WaitGroup
			both.Go(func() {
				time.Sleep(tt.late)
				got[0], errs[0] = listening.Generate(ctx, engine.Transfer{Sends: !tt.up})
			})
			both.Go(func() {
				got[1], errs[1] = dialling.Generate(ctx, engine.Transfer{Sends: tt.up, Bytes: size, Streams: 2})
				if errs[1] != nil {
					cancel() // the server would wait for ever
				}
			})
			both.Wait()
			if err := errors.Join(errs[:]...); err != nil {
				t.Fatal(err)
			}
			for i, g := range got {
				// Each stream ends with a whole block of 128 KiB; a server that receives stops
				// counting when the sender says that it is done.
				if g.Bytes < size/4 || g.Bytes > 2*size || g.LastNS < g.StartNS || g.StartNS <= 0 || g.PeakRSS <= 0 {
					t.Errorf("side %d: %+v, want about %d bytes", i, g, size)
				}
			}
			if got := dialling.Stats(); got.Congestion != "cubic" || got.Paths[0].Link != "lo" {
				t.Errorf("statistics %+v, want cubic over lo", got)
			}
			if _, err := dialling.Generate(t.Context(), engine.Transfer{Bytes: 1, Streams: 1}); err == nil {
				t.Error("a session ran twice")
			}
		})
	}
}

func TestCloseEndsTheProgram(t *testing.T) {
	listening, _ := pair(t, "127.0.0.1")
	ended := make(chan error, 1)
	go func() {
		_, err := listening.Generate(context.Background(), engine.Transfer{})
		ended <- err
	}()
	for !listening.(*session).started() {
		time.Sleep(time.Millisecond)
	}
	if err := listening.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("a server without a client came to an end of its own")
	}
	if _, err := listening.Generate(t.Context(), engine.Transfer{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want net.ErrClosed", err)
	}
}

func (s *session) started() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over != nil
}

func TestRefusals(t *testing.T) {
	e := New()
	local := engine.Path{Local: netip.MustParseAddrPort("127.0.0.1:0")}
	listening, dialling := pair(t, "127.0.0.1")
	_, two := e.Dial(t.Context(), engine.Config{Paths: []engine.Path{local, local}})
	_, none := e.Listen(t.Context(), engine.Config{})
	_, missing := iperf{program: "no-such-program"}.Listen(t.Context(), engine.Config{Paths: []engine.Path{local}})
	_, open := dialling.OpenStream(t.Context())
	_, accept := listening.AcceptStream(t.Context())
	_, half := dialling.Generate(t.Context(), engine.Transfer{Duration: 1500 * time.Millisecond, Streams: 1})
	_, many := dialling.Generate(t.Context(), engine.Transfer{Bytes: 1, Streams: 129})
	for _, tt := range []struct {
		name, want  string
		err         error
		unsupported bool
	}{
		{"two paths", "one path", two, true},
		{"no path", "no path", none, false},
		{"no program", "install the package iperf3", missing, true},
		{"open a stream", "no streams", open, true},
		{"accept a stream", "no streams", accept, true},
		{"half seconds", "whole seconds", half, true},
		{"too many streams", "1 to 128", many, true},
	} {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) || errors.Is(tt.err, engine.ErrUnsupported) != tt.unsupported {
			t.Errorf("%s: %v, want an error with %q, unsupported %v", tt.name, tt.err, tt.want, tt.unsupported)
		}
	}
	l, err := e.Listen(t.Context(), engine.Config{Paths: []engine.Path{local}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(t.Context()); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("a second session: %v, want it unsupported", err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want net.ErrClosed", err)
	}
}

func TestArguments(t *testing.T) {
	at := netip.MustParseAddrPort("10.0.0.2:5201")
	server := &session{path: engine.Path{Local: at}}
	client := &session{dials: true, congestion: "reno", path: engine.Path{Local: netip.MustParseAddrPort("10.0.0.1:0"), Remote: at}}
	for _, tt := range []struct {
		name, want string
		s          *session
		t          engine.Transfer
	}{
		{"server", "--json --interval 0 --bind 10.0.0.2 --server --one-off --port 5201", server, engine.Transfer{Bytes: 7}},
		{"up by size", "--json --interval 0 --bind 10.0.0.1 --client 10.0.0.2 --port 5201 --parallel 3 --congestion reno --bytes 7", client, engine.Transfer{Sends: true, Bytes: 7, Streams: 3}},
		{"down by time", "--json --interval 0 --bind 10.0.0.1 --client 10.0.0.2 --port 5201 --parallel 1 --congestion reno --reverse --time 4", client, engine.Transfer{Duration: 4 * time.Second, Streams: 1}},
	} {
		if diff := cmp.Diff(tt.want, strings.Join(tt.s.arguments(tt.t), " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestParse(t *testing.T) {
	good := `{"start":{},"end":{"sum_sent":{"seconds":1.5,"bytes":300},"sum_received":{"seconds":1.4,"bytes":200},"sender_tcp_congestion":"cubic"}}`
	got, err := parse([]byte(good))
	if want := (output{sum{1.5, 300}, sum{1.4, 200}, "cubic"}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for text, want := range map[string]string{
		"":                                 "read its result",
		"iperf 3.12":                       "read its result",
		`{"error":"no route"}`:             "no sums",
		`{"end":{}}`:                       "no sums",
		`{"end":{"sum_sent":{"bytes":1}}}`: "no sums",
		`{"end":{"sum_sent":{"bytes":-1},"sum_received":{}}}`: "are none",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", text, err, want)
		}
	}
}

func TestFailure(t *testing.T) {
	exit := errors.New("exit status 1")
	for text, want := range map[string]string{
		`{"error":"error - unable to connect to server: Connection refused"}`: "iperf3: the server does not listen",
		`{"error":"bad cookie"}`:      "iperf3: bad cookie",
		"iperf3: unrecognized option": "iperf3: exit status 1: iperf3: unrecognized option",
		strings.Repeat("x", 1000):     "...",
	} {
		if err := failure([]byte(text), exit); !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q in it", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"end":{"sum_sent":{"seconds":1e400,"bytes":300},"sum_received":{"seconds":-1,"bytes":200}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if out, err := parse(text); err == nil && (out.sent.Bytes < 0 || !(out.received.Seconds >= 0)) {
			t.Errorf("taken: %+v", out)
		}
	})
}
