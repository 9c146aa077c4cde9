package enginetest

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// testStrangers sends what is not ours to the listener's port, over TCP and UDP, and
// wants the listener to go on and to accept none of it.
func testStrangers(t *testing.T, b *bench) {
	l := b.listener(t)
	to := l.Paths()[0].Local.String()
	garbage := make([]byte, 1200)
	rand.Read(garbage)
	for _, data := range [][]byte{nil, {0}, []byte("GET / HTTP/1.1\r\n\r\n"), make([]byte, 1200), garbage} {
		for _, network := range []string{"tcp", "udp"} {
			c, err := net.Dial(network, to)
			if err != nil {
				continue // the engine has no socket of that kind
			}
			defer c.Close()
			c.Write(data) // whether it takes it or not
		}
	}
	ctx, cancel := context.WithTimeout(b.ctx, 200*time.Millisecond)
	defer cancel()
	if s, err := l.Accept(ctx); err == nil {
		s.Close()
		t.Fatal("a stranger became a session")
	}
	d, a := b.session(t, l)
	transfer(t, b, []engine.Session{d}, []engine.Session{a}, workload.Bulk{Seed: 10, Bytes: 1 << 20, Streams: 2}, workload.Send)
}

// testDialStranger dials a port where somebody else answers.
func testDialStranger(t *testing.T, b *bench) {
	tcp, udp := listenBoth(t)
	defer tcp.Close()
	defer udp.Close()
	done := async(func() error {
		c, err := tcp.Accept()
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = io.WriteString(c, "220 mail.example ESMTP\r\n")
		return err
	})
	paths := []engine.Path{{
		Link:  "a",
		Local: netip.MustParseAddrPort("127.0.0.1:0"), Remote: tcp.Addr().(*net.TCPAddr).AddrPort(),
	}}
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	defer cancel()
	if s, err := b.engine.Dial(ctx, engine.Config{Paths: paths, TLS: b.dial}); err == nil {
		s.Close()
		t.Error("the dial succeeds")
	}
	tcp.Close()
	await(t, b, "the stranger", done)
}

// listenBoth takes a port for TCP and UDP. The kernel chooses it for one, so it
// may be taken for the other: then another.
func listenBoth(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 100 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp
		}
		tcp.Close()
	}
	t.Fatal("no port is free for both TCP and UDP")
	return nil, nil
}
