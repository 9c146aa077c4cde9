package enginetest

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

func testSeveralSessions(t *testing.T, b *bench) {
	l := b.listener(t)
	var diallers, listeners []engine.Session
	for range 4 {
		d, a := b.session(t, l)
		diallers, listeners = append(diallers, d), append(listeners, a)
	}
	request, _ := transfer(t, b, diallers, listeners, workload.Bulk{Seed: 6, Bytes: 16<<20 + 5, Streams: 2}, workload.Send)
	if len(request.Streams) != 8 {
		t.Errorf("streams: got %d, want 8", len(request.Streams))
	}
	// One session's end is none of the others' business.
	diallers[0].Close()
	transfer(t, b, diallers[1:], listeners[1:], workload.Bulk{Seed: 7, Bytes: 1 << 20, Streams: 1}, workload.Receive)
}

func testStats(t *testing.T, b *bench) {
	const size = 16 << 20
	d, a := b.pair(t)
	transfer(t, b, []engine.Session{d}, []engine.Session{a}, workload.Bulk{Seed: 8, Bytes: size, Streams: 2}, workload.Send)
	for side, s := range map[string]engine.Session{"dialler": d, "listener": a} {
		stats := s.Stats()
		if stats.Congestion == "" {
			t.Errorf("%s: no congestion control is named", side)
		}
		if len(stats.Paths) != len(b.paths) {
			t.Fatalf("%s: got %d paths, want %d", side, len(stats.Paths), len(b.paths))
		}
		var sent uint64
		for i, p := range stats.Paths {
			if p.Link != b.paths[i].Link || p.Dead {
				t.Errorf("%s: path %d is %+v, want a living %s", side, i, p, b.paths[i].Link)
			}
			if p.SRTT <= 0 || p.SRTT > 10*time.Second {
				t.Errorf("%s: path %d has a round-trip time of %v", side, i, p.SRTT)
			}
			if p.LostPackets > p.SentPackets {
				t.Errorf("%s: path %d lost %d packets of %d", side, i, p.LostPackets, p.SentPackets)
			}
			sent += p.SentPackets
		}
		// Loopback's MTU is 64 KiB: no engine sends fewer packets than that makes.
		if side == "dialler" && (sent < size/65536 || sent > size/100) {
			t.Errorf("the sender counts %d packets for %d bytes", sent, size)
		}
	}
}

func testDialCancelled(t *testing.T, b *bench) {
	l := b.listener(t)
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	s, err := b.engine.Dial(ctx, engine.Config{Paths: diallerPaths(l), TLS: b.dial})
	if err == nil {
		s.Close()
		t.Fatal("a dial with an ended context succeeds")
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func testDialNobody(t *testing.T, b *bench) {
	l := b.listener(t)
	paths := diallerPaths(l)
	l.Close()
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	defer cancel()
	s, err := b.engine.Dial(ctx, engine.Config{Paths: paths, TLS: b.dial})
	if err == nil {
		s.Close()
		t.Fatal("a dial succeeds although nobody listens")
	}
	if where := paths[0].Remote.String(); !strings.Contains(err.Error(), where) {
		t.Errorf("%q does not say where nobody listens (%s)", err, where)
	}
	if !strings.HasPrefix(err.Error(), b.engine.Name()+":") {
		t.Errorf("%q does not begin with the engine's name", err)
	}
}

func testConfig(t *testing.T, b *bench) {
	one := engine.Path{Link: "a", Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: netip.MustParseAddrPort("127.0.0.1:9")}
	noRemote := one
	noRemote.Remote = netip.AddrPort{}
	tests := map[string]struct {
		config engine.Config
		listen bool // the listener refuses it too
		want   error
	}{
		"no path":                  {engine.Config{TLS: b.dial}, true, nil},
		"no remote address":        {engine.Config{TLS: b.dial, Paths: []engine.Path{noRemote}}, false, nil},
		"unknown congestion":       {engine.Config{TLS: b.dial, Paths: []engine.Path{one}, Congestion: "telepathy"}, true, nil},
		"address of somebody else": {engine.Config{TLS: b.dial, Paths: []engine.Path{{Local: netip.MustParseAddrPort("192.0.2.1:0"), Remote: one.Remote}}}, true, nil},
	}
	if !b.engine.Capabilities().Multipath {
		tests["two paths"] = struct {
			config engine.Config
			listen bool
			want   error
		}{engine.Config{TLS: b.dial, Paths: []engine.Path{one, one}}, true, engine.ErrUnsupported}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := b.engine.Dial(b.ctx, test.config)
			if err == nil {
				s.Close()
				t.Error("Dial takes it")
			} else if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Dial: got %v, want %v", err, test.want)
			}
			if !test.listen {
				return
			}
			l, err := b.engine.Listen(b.ctx, test.config)
			if err == nil {
				l.Close()
				t.Error("Listen takes it")
			} else if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Listen: got %v, want %v", err, test.want)
			}
		})
	}
}

func testIPv6(t *testing.T, b *bench) {
	b.paths = []engine.Path{{Link: linkName(0), Local: netip.MustParseAddrPort("[::1]:0")}}
	d, a := b.pair(t)
	transfer(t, b, []engine.Session{d}, []engine.Session{a}, workload.Bulk{Seed: 9, Bytes: 1 << 20, Streams: 2}, workload.Receive)
}
