package tquic_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

// twoAddresses listens on two and returns what dials both.
func twoAddresses(t *testing.T) (engine.Listener, engine.Config) {
	t.Helper()
	enginetest.CheckLeaks(t)
	serverTLS, clientTLS := settings()
	l, err := tquic.NewEngine().Listen(t.Context(), engine.Config{TLS: serverTLS, Paths: []engine.Path{
		{Link: "lte", Local: netip.MustParseAddrPort("127.0.0.1:0")}, {Link: "wifi", Local: netip.MustParseAddrPort("127.0.0.2:0")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	paths := l.Paths()
	for i := range paths {
		paths[i].Remote, paths[i].Local = paths[i].Local, netip.AddrPortFrom(paths[i].Local.Addr(), 0)
	}
	return l, engine.Config{TLS: clientTLS, Paths: paths}
}

// silence returns an address where nobody answers.
func silence(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// A dialler whose first path is dead gets its session over the next one; the dead one
// carries nothing, and its figures stand where it was configured.
func TestDialWithADeadFirstPath(t *testing.T) {
	for name, kill := range map[string]func(*testing.T, *engine.Path){
		"nobody answers": func(t *testing.T, p *engine.Path) { p.Remote = silence(t) },
		"no such address": func(_ *testing.T, p *engine.Path) {
			p.Local = netip.MustParseAddrPort("192.0.2.1:0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, c := twoAddresses(t)
			kill(t, &c.Paths[0])
			d, err := tquic.NewEngine().Dial(testContext(t), c)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			a, err := l.Accept(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			exchange(t, d, a)
			for side, s := range map[string]engine.Session{"dialler": d, "listener": a} {
				got := s.Stats().Paths
				if len(got) != 2 || got[0].Link != "lte" || got[1].Link != "wifi" || got[0].ReceivedPackets != 0 || got[1].ReceivedPackets == 0 {
					t.Errorf("the %s's paths: %+v", side, got)
				}
			}
		})
	}
}

// exchange carries a byte from the dialler to the listener.
func exchange(t *testing.T, d, a engine.Session) {
	t.Helper()
	s, err := d.OpenStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	r, err := a.AcceptStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := r.Read(b[:]); err != nil || b[0] != 1 {
		t.Fatalf("read %d, %v", b[0], err)
	}
}

// When all paths are dead, the error names each of them.
func TestDialWithDeadPaths(t *testing.T) {
	enginetest.CheckLeaks(t)
	_, clientTLS := settings()
	paths := []engine.Path{
		{Link: "lte", Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: silence(t)},
		{Link: "wifi", Local: netip.MustParseAddrPort("192.0.2.1:0"), Remote: silence(t)},
		{Link: "dsl", Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: silence(t)},
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := tquic.NewEngine().Dial(ctx, engine.Config{TLS: clientTLS, Paths: paths})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want %v", err, context.DeadlineExceeded)
	}
	for _, want := range []string{paths[0].Remote.String(), "192.0.2.1", paths[2].Remote.String()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say what is wrong with %s", err, want)
		}
	}
}

// A connection that lost its dialler's race is no session.
func TestLosersAreNotAccepted(t *testing.T) {
	l, c := twoAddresses(t)
	alpn := c.TLS.Clone()
	alpn.NextProtos = []string{"tquiclab"}
	loser, err := tquic.Dial(testContext(t), c.Paths[0].Remote.String(), alpn, nil)
	if err != nil {
		t.Fatal(err)
	}
	loser.CloseWithError(0x6c6f7374, "another path was faster")
	time.Sleep(50 * time.Millisecond) // too short a time: the loser is accepted, as it may be
	d, err := tquic.NewEngine().Dial(testContext(t), c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	a, err := l.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	exchange(t, d, a)
}

func TestEngineChecksNames(t *testing.T) {
	e := tquic.NewEngine()
	_, clientTLS := settings()
	path := engine.Path{Link: "lte", Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: silence(t)}
	for name, c := range map[string]engine.Config{
		"congestion control": {Congestion: "telepathy"},
		"scheduler":          {Scheduler: "telepathy"},
		"9 paths":            {Paths: make([]engine.Path, 9)},
	} {
		c.TLS = clientTLS
		if c.Paths == nil {
			c.Paths = []engine.Path{path}
		}
		if _, err := e.Dial(t.Context(), c); !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := e.Listen(t.Context(), c); !errors.Is(err, engine.ErrUnsupported) {
			t.Errorf("%s: listen: got %v", name, err)
		}
	}
	if c := e.Capabilities(); !c.Multipath || len(c.Schedulers) < 8 || len(c.Congestions) < 2 {
		t.Errorf("capabilities: %+v", c)
	}
}
