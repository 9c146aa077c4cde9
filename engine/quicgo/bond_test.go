package quicgo

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/enginetest"
)

// bondPair returns both ends of a bonded session over two loopback addresses.
func bondPair(t *testing.T) (dialler, listener *bondSession) {
	t.Helper()
	l, clientTLS := bondListen(t)
	d, err := NewBond().Dial(t.Context(), engine.Config{Paths: toListener(l), TLS: clientTLS})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	a, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return d.(*bondSession), a.(*bondSession)
}

func bondListen(t *testing.T) (engine.Listener, *tls.Config) {
	t.Helper()
	serverTLS, clientTLS, err := enginetest.NewTLS()
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewBond().Listen(t.Context(), engine.Config{TLS: serverTLS, Paths: []engine.Path{
		{Link: "a", Local: netip.MustParseAddrPort("127.0.0.1:0")},
		{Link: "b", Local: netip.MustParseAddrPort("127.0.0.2:0")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, clientTLS
}

func toListener(l engine.Listener) []engine.Path {
	var paths []engine.Path
	for _, p := range l.Paths() {
		paths = append(paths, engine.Path{Link: p.Link, Local: netip.AddrPortFrom(p.Local.Addr(), 0), Remote: p.Local})
	}
	return paths
}

// cut ends a path's connection as a timeout would: by anything but a close.
func cut(s *bondSession, i int) {
	s.mu.Lock()
	conn := s.paths[i].conn
	s.mu.Unlock()
	_ = conn.CloseWithError(codeProtocol, "cut by a test")
}

func TestBondWithOnePathLess(t *testing.T) {
	enginetest.CheckLeaks(t)
	d, a := bondPair(t)
	st, err := d.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st.Write([]byte("over two, "))
	cut(d, 0)
	if _, err := st.Write([]byte("over one")); err != nil {
		t.Fatalf("write with one path left: %v", err)
	}
	st.CloseWrite()
	in, err := a.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); err != nil || string(got) != "over two, over one" {
		t.Fatalf("got %q, %v", got, err)
	}
	dead := 0
	for _, p := range d.Stats().Paths {
		if p.Dead {
			dead++
		}
	}
	if dead != 1 {
		t.Errorf("%d paths are dead, want 1", dead)
	}
}

func TestBondWithoutAPathFails(t *testing.T) {
	enginetest.CheckLeaks(t)
	d, _ := bondPair(t)
	st, err := d.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := st.Read(make([]byte, 1))
		failed <- err
	}()
	cut(d, 0)
	cut(d, 1)
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "every path is dead") {
		t.Errorf("read: got %v", err)
	}
	if _, err := st.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), "every path is dead") {
		t.Errorf("write: got %v", err)
	}
	if _, err := d.OpenStream(t.Context()); err == nil {
		t.Error("a stream opens on a dead session")
	}
}

func TestBondStartsWithTheOtherPath(t *testing.T) {
	enginetest.CheckLeaks(t)
	l, clientTLS := bondListen(t)
	nobody, err := net.ListenPacket("udp", "127.0.0.3:0") // open, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	paths := toListener(l)
	paths[0].Remote = nobody.LocalAddr().(*net.UDPAddr).AddrPort()
	d, err := NewBond().Dial(t.Context(), engine.Config{Paths: paths, TLS: clientTLS})
	if err != nil {
		t.Fatalf("dial with one path that answers: %v", err)
	}
	defer d.Close()
	st, err := d.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st.Write([]byte("hello"))
	st.CloseWrite()
	a, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	in, err := a.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	if p := d.Stats().Paths; !p[0].Dead || p[1].Dead {
		t.Errorf("dead paths: %t and %t, want the first", p[0].Dead, p[1].Dead)
	}
}

// TestBondTakesALatePath joins a connection while a stream is running and then takes
// the first one away: the stream goes on over the late one.
func TestBondTakesALatePath(t *testing.T) {
	enginetest.CheckLeaks(t)
	l, clientTLS := bondListen(t)
	c := engine.Config{Paths: toListener(l), TLS: clientTLS}
	only := c
	only.Paths = c.Paths[:1]
	session, err := NewBond().Dial(t.Context(), only)
	if err != nil {
		t.Fatal(err)
	}
	d := session.(*bondSession)
	defer d.Close()
	st, err := d.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st.Write([]byte("before, "))
	d.config = c.Paths
	if err := (bond{}).join(t.Context(), d, 1, c); err != nil {
		t.Fatalf("join: %v", err)
	}
	cut(d, 0)
	st.Write([]byte("after"))
	st.CloseWrite()
	a, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	in, err := a.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); err != nil || string(got) != "before, after" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// TestBondListenerRefusesWrongHellos makes real connections that speak something else.
func TestBondListenerRefusesWrongHellos(t *testing.T) {
	wrong := helloFrame(token{1})
	wrong[frameHeader] ^= 1
	tests := map[string][]byte{
		"no frame":        []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"another frame":   openFrame(0, 0),
		"another magic":   wrong,
		"half a hello":    helloFrame(token{1})[:20],
		"a huge length":   {byte(frameHello), 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0},
		"zeros, for long": make([]byte, 1<<16),
	}
	for name, hello := range tests {
		t.Run(name, func(t *testing.T) {
			enginetest.CheckLeaks(t)
			l, clientTLS := bondListen(t)
			paths := toListener(l)
			conn, sock, err := dialPath(t.Context(), paths[0], engine.Config{TLS: clientTLS}, bondConfig(""))
			if err != nil {
				t.Fatal(err)
			}
			defer sock.release()
			control, err := conn.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			control.Write(hello)
			control.Close()
			<-conn.Context().Done()
			if app, ok := errors.AsType[*quic.ApplicationError](context.Cause(conn.Context())); !ok || app.ErrorCode != codeRefused {
				t.Errorf("the connection ended with %v, want a refusal", context.Cause(conn.Context()))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := l.Accept(ctx); err == nil {
				t.Error("it became a session")
			}
		})
	}
}

// TestBondEndsALaneThatBreaksTheProtocol sends what no lane may carry on one of two
// paths: that path ends, the session does not.
func TestBondEndsALaneThatBreaksTheProtocol(t *testing.T) {
	data := func(offset int64) []byte {
		b := make([]byte, frameHeader+1)
		header{kind: frameData, length: 1, offset: offset}.put(b)
		return b
	}
	tests := map[string][]byte{
		"data past the window":  append(openFrame(0, 5), data(2*bondWindow)...),
		"a hello on a lane":     append(openFrame(0, 5), helloFrame(token{})...),
		"acks of nothing":       append(openFrame(0, 5), ack{next: 1, limit: 2}.appendFrame(nil)...),
		"a lane that exists":    openFrame(0, 0),
		"no open frame":         data(0),
		"garbage after opening": append(openFrame(0, 5), []byte("what is this, then?")...),
	}
	for name, frames := range tests {
		t.Run(name, func(t *testing.T) {
			enginetest.CheckLeaks(t)
			d, a := bondPair(t)
			st, err := d.OpenStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			st.Write([]byte("still "))
			in, err := a.AcceptStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			first := make([]byte, 6)
			if _, err := io.ReadFull(in, first); err != nil {
				t.Fatal(err)
			}
			d.mu.Lock()
			conn := d.paths[0].conn
			d.mu.Unlock()
			rogue, err := conn.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			rogue.Write(frames)
			<-conn.Context().Done()
			st.Write([]byte("alive"))
			st.CloseWrite()
			if got, err := io.ReadAll(in); err != nil || string(got) != "alive" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
