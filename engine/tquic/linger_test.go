package tquic_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

// slow is a way to a server that takes a while, and that can swallow what the client sends.
type slow struct {
	addr  netip.AddrPort // where the client sends to
	deaf  atomic.Bool
	heard atomic.Int64 // datagrams swallowed
}

func newSlow(t *testing.T, server netip.AddrPort, oneWay time.Duration) *slow {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		t.Fatal(err)
	}
	s := &slow{addr: front.LocalAddr().(*net.UDPAddr).AddrPort()}
	var client atomic.Pointer[netip.AddrPort]
	carry := func(from *net.UDPConn, toServer bool) {
		for {
			b := make([]byte, 2048)
			n, at, err := from.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // ICMP
			}
			if toServer {
				client.Store(&at)
				if s.deaf.Load() {
					s.heard.Add(1)
					continue
				}
			}
			time.AfterFunc(oneWay, func() { // an error is a loss
				if toServer {
					_, _ = back.Write(b[:n])
				} else {
					_, _ = front.WriteToUDPAddrPort(b[:n], *client.Load())
				}
			})
		}
	}
	done := make(chan struct{}, 2)
	for from, toServer := range map[*net.UDPConn]bool{front: true, back: false} {
		go func() { carry(from, toServer); done <- struct{}{} }()
	}
	t.Cleanup(func() {
		front.Close()
		back.Close()
		<-done
		<-done
	})
	return s
}

// lingerer is an engine with a session of its own to a listener of another.
func lingerer(t *testing.T, local string, oneWay time.Duration) (e engine.Lingerer, d, a engine.Session, way *slow) {
	t.Helper()
	serverTLS, clientTLS := settings()
	l, err := tquic.NewEngine().Listen(t.Context(), engine.Config{TLS: serverTLS, Paths: []engine.Path{{Link: "a", Local: netip.MustParseAddrPort("127.0.0.1:0")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	way = newSlow(t, l.Paths()[0].Local, oneWay)
	e = tquic.NewEngine().(engine.Lingerer)
	if d, err = e.Dial(testContext(t), engine.Config{TLS: clientTLS, Paths: []engine.Path{{Link: "a", Local: netip.MustParseAddrPort(local), Remote: way.addr}}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if a, err = l.Accept(testContext(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return e, d, a, way
}

// RFC 9000, section 10.2.1: who closed answers packets with the close, for three probe
// timeouts; nobody waits for that, but who wants to.
func TestClosedSessionLingers(t *testing.T) {
	enginetest.CheckLeaks(t)
	e, d, a, way := lingerer(t, "127.0.0.1:0", 100*time.Millisecond)
	exchange(t, d, a)
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
	way.deaf.Store(true)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no time")
	cancel(why)
	if err := e.Linger(over); !errors.Is(err, why) {
		t.Errorf("nothing is left of the session: %v", err)
	}
	for end := time.Now().Add(10 * time.Second); way.heard.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the close was not sent")
		}
	}
	way.deaf.Store(false)
	// The close is lost. The peer does not know, sends, and hears of it.
	if _, err := r.Write([]byte{2}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the peer's stream ended with %v, want %v", err, net.ErrClosed)
	}
	if err := e.Linger(testContext(t)); err != nil {
		t.Error(err)
	}
	if err := e.Linger(over); err != nil {
		t.Errorf("something is left: %v", err)
	}
}

// A session that was given a port gives it back when it is closed.
func TestClosedSessionGivesItsPortBack(t *testing.T) {
	enginetest.CheckLeaks(t)
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	local := pc.LocalAddr().String()
	pc.Close()
	for range 2 {
		_, d, a, _ := lingerer(t, local, time.Millisecond)
		exchange(t, d, a)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The qlog file of a session has its end once that is closed, though it lingers.
func TestClosedSessionHasItsQLOG(t *testing.T) {
	enginetest.CheckLeaks(t)
	serverTLS, clientTLS := settings()
	l, err := tquic.NewEngine().Listen(t.Context(), engine.Config{TLS: serverTLS, Paths: []engine.Path{{Link: "a", Local: netip.MustParseAddrPort("127.0.0.1:0")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	dir := t.TempDir()
	e := tquic.NewEngine().(engine.Lingerer)
	path := engine.Path{Link: "a", Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: l.Paths()[0].Local}
	d, err := e.Dial(testContext(t), engine.Config{TLS: clientTLS, QLOG: dir, Paths: []engine.Path{path}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	text, err := os.ReadFile(dir + "/" + entries[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"connection_closed", `"frame_type":"connection_close"`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the file does not have %s", want)
		}
	}
	if err := e.Linger(testContext(t)); err != nil { // the file is closed, too
		t.Error(err)
	}
}
