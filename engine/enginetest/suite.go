package enginetest

import (
	"context"
	"crypto/tls"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// Options says how to run an engine over loopback.
type Options struct {
	// Paths is how many loopback addresses a session of the suite spans: 1 or more
	// for an engine that makes its own paths. 0 means 1.
	Paths int
}

// caseTimeout ends a case that hangs.
const caseTimeout = 60 * time.Second

// Run holds the engine to its contract.
func Run(t *testing.T, e engine.Engine, o Options) {
	creds, err := newCredentials()
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"stream carries both ways", testEcho},
		{"stream half-closes", testHalfClose},
		{"stream is full duplex", testFullDuplex},
		{"many streams at once", testManyStreams},
		{"small writes", testSmallWrites},
		{"bulk up is intact", testBulkUp},
		{"bulk down is intact", testBulkDown},
		{"bulk by time is intact", testBulkByTime},
		{"slow reader is waited for", testSlowReader},
		{"stream close unblocks", testStreamCloseUnblocks},
		{"stream close is seen by the peer", testStreamCloseSeen},
		{"session close unblocks", testSessionCloseUnblocks},
		{"session close is seen by the peer", testSessionCloseSeen},
		{"listener close unblocks and keeps sessions", testListenerClose},
		{"waiting ends with the context", testContexts},
		{"several sessions keep apart", testSeveralSessions},
		{"statistics are plausible", testStats},
		{"dial with an ended context", testDialCancelled},
		{"dial nobody", testDialNobody},
		{"dial a stranger", testDialStranger},
		{"strangers do not disturb", testStrangers},
		{"configuration is checked", testConfig},
		{"IPv6", testIPv6},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			CheckLeaks(t)
			c.run(t, newBench(t, e, o, creds))
		})
	}
}

// bench is what a case works with.
type bench struct {
	engine engine.Engine
	ctx    context.Context // ends with the case or with caseTimeout
	paths  []engine.Path   // a listener's
	listen *tls.Config
	dial   *tls.Config
}

func newBench(t testing.TB, e engine.Engine, o Options, creds credentials) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	t.Cleanup(cancel)
	b := &bench{engine: e, ctx: ctx}
	for i := range max(1, o.Paths) {
		addr := netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)})
		b.paths = append(b.paths, engine.Path{Link: linkName(i), Local: netip.AddrPortFrom(addr, 0)})
	}
	var err error
	if b.listen, err = creds.listener(); err != nil {
		t.Fatal(err)
	}
	if b.dial, err = creds.dialler(); err != nil {
		t.Fatal(err)
	}
	return b
}

func linkName(i int) string { return "link" + string(rune('a'+i)) }

// listener listens on the case's paths until the case is over.
func (b *bench) listener(t testing.TB) engine.Listener {
	t.Helper()
	l, err := b.engine.Listen(b.ctx, engine.Config{Paths: b.paths, TLS: b.listen})
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close listener: %v", err)
		}
	})
	return l
}

// diallerPaths returns the paths to a listener, from the same addresses.
func diallerPaths(l engine.Listener) []engine.Path {
	var paths []engine.Path
	for _, p := range l.Paths() {
		paths = append(paths, engine.Path{Link: p.Link, Local: netip.AddrPortFrom(p.Local.Addr(), 0), Remote: p.Local})
	}
	return paths
}

// session dials the listener and returns both ends.
func (b *bench) session(t testing.TB, l engine.Listener) (dialler, listener engine.Session) {
	t.Helper()
	d, err := b.engine.Dial(b.ctx, engine.Config{Paths: diallerPaths(l), TLS: b.dial})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close the dialler's session: %v", err)
		}
	})
	a, err := l.Accept(b.ctx)
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("close the listener's session: %v", err)
		}
	})
	return d, a
}

// pair returns both ends of a new session.
func (b *bench) pair(t testing.TB) (dialler, listener engine.Session) {
	t.Helper()
	return b.session(t, b.listener(t))
}

// stream opens a stream, makes it known with one byte, and returns both ends.
func (b *bench) stream(t testing.TB, dialler, listener engine.Session) (d, a engine.Stream) {
	t.Helper()
	d, err := dialler.OpenStream(b.ctx)
	if err != nil {
		t.Fatalf("open stream: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	if _, err := d.Write([]byte{1}); err != nil {
		t.Fatalf("write the first byte: %v", err)
	}
	a, err = listener.AcceptStream(b.ctx)
	if err != nil {
		t.Fatalf("accept stream: %v", err)
	}
	t.Cleanup(func() { a.Close() })
	var first [1]byte
	if _, err := a.Read(first[:]); err != nil || first[0] != 1 {
		t.Fatalf("first byte: got %d, %v", first[0], err)
	}
	return d, a
}

// await returns what comes from the channel, or fails the case.
func await[T any](t testing.TB, b *bench, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-b.ctx.Done():
		t.Fatalf("%s: nothing happened in %v", what, caseTimeout)
	}
	panic("unreachable")
}

// async runs f in a goroutine and returns where its error will be.
func async(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}
