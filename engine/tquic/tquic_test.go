package tquic_test

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

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

func aMomentFromNow() time.Time { return time.Now().Add(time.Millisecond) }

// connect returns both ends of a new connection.
func connect(t *testing.T, c *tquic.Config) (client, server *tquic.Conn) {
	t.Helper()
	enginetest.CheckLeaks(t)
	ctx := testContext(t)
	serverTLS, clientTLS := settings()
	l, err := tquic.Listen("127.0.0.1:0", serverTLS, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close listener: %v", err)
		}
	})
	if client, err = tquic.Dial(ctx, l.Addr().String(), clientTLS, c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// streams returns both ends of a new stream that has carried one byte.
func streams(t *testing.T, client, server *tquic.Conn) (c, s *tquic.Stream) {
	t.Helper()
	c, err := client.OpenStream(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte{1})
	if s, err = server.AcceptStream(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestCloseInOrderIsErrClosed(t *testing.T) {
	client, server := connect(t, nil)
	c, s := streams(t, client, server)
	client.Close()
	<-server.Done()
	_, open := client.OpenStream(t.Context())
	_, accept := server.AcceptUniStream(t.Context())
	_, read := s.Read(make([]byte, 1))
	_, write := c.Write([]byte{1})
	for what, err := range map[string]error{"open": open, "accept": accept, "read": read, "write": write, "client": client.Err(), "server": server.Err()} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v is not %v", what, err, net.ErrClosed)
		}
		if e, ok := errors.AsType[*tquic.ApplicationError](err); !ok || e.Remote != (what == "accept" || what == "read" || what == "server") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestCloseWithErrorIsNotInOrder(t *testing.T) {
	client, server := connect(t, nil)
	client.CloseWithError(42, "trouble")
	<-server.Done()
	e, ok := errors.AsType[*tquic.ApplicationError](server.Err())
	if !ok || e.Code != 42 || e.Reason != "trouble" || !e.Remote || errors.Is(e, net.ErrClosed) {
		t.Errorf("got %v", server.Err())
	}
	if !errors.Is(client.Err(), net.ErrClosed) {
		t.Errorf("the side that closed: %v is not %v", client.Err(), net.ErrClosed)
	}
}

func TestStreamErrors(t *testing.T) {
	client, server := connect(t, nil)
	c, s := streams(t, client, server)
	c.Reset(5)
	_, err := s.Read(make([]byte, 1))
	if e, ok := errors.AsType[*tquic.StreamError](err); !ok || *e != (tquic.StreamError{ID: c.ID(), Code: 5, Remote: true}) {
		t.Errorf("read: %v", err)
	}
	s.CloseWrite()
	if _, err := s.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after CloseWrite: %v is not %v", err, net.ErrClosed)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read to the end: %d, %v", n, err)
	}
	if err := c.CloseRead(); err != nil {
		t.Error(err)
	}
	u, err := client.OpenUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Read(make([]byte, 1)); !errors.Is(err, tquic.ErrDirection) {
		t.Errorf("read from our own unidirectional stream: %v", err)
	}
	if err := client.SendDatagram([]byte{1}); !errors.Is(err, tquic.ErrNoDatagrams) {
		t.Errorf("datagram: %v", err)
	}
}

func TestDatagramTooLarge(t *testing.T) {
	client, _ := connect(t, &tquic.Config{MaxDatagram: 500})
	if e, ok := errors.AsType[*tquic.DatagramSizeError](client.SendDatagram(make([]byte, 600))); !ok || e.Size != 600 || e.Max >= 500 {
		t.Errorf("got %v", e)
	}
}

func TestTimeouts(t *testing.T) {
	client, server := connect(t, &tquic.Config{IdleTimeout: 50 * time.Millisecond})
	for _, c := range []*tquic.Conn{client, server} {
		<-c.Done()
		e, ok := errors.AsType[*tquic.IdleTimeoutError](c.Err())
		if !ok || !net.Error(e).Timeout() || errors.Is(e, net.ErrClosed) {
			t.Errorf("got %v", c.Err())
		}
	}
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	_, clientTLS := settings()
	_, err = tquic.Dial(t.Context(), deaf.LocalAddr().String(), clientTLS, &tquic.Config{HandshakeTimeout: 50 * time.Millisecond})
	if e, ok := errors.AsType[*tquic.HandshakeTimeoutError](err); !ok || !e.Timeout() || !strings.Contains(err.Error(), deaf.LocalAddr().String()) {
		t.Errorf("got %v", err)
	}
}

// A certificate that the client does not trust ends the handshake on both sides.
func TestUntrustedCertificate(t *testing.T) {
	enginetest.CheckLeaks(t)
	serverTLS, _ := settings()
	_, other := settings()
	l, err := tquic.Listen("127.0.0.1:0", serverTLS, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = tquic.Dial(testContext(t), l.Addr().String(), other, nil)
	if e, ok := errors.AsType[*tquic.TransportError](err); !ok || e.Code < 0x100 || e.Remote {
		t.Errorf("got %v, want a CRYPTO_ERROR", err)
	}
}

func TestBadSettings(t *testing.T) {
	serverTLS, clientTLS := settings()
	noProtocol := &tls.Config{}
	tests := map[string]func() error{
		"no port":             func() error { _, err := tquic.Dial(t.Context(), "127.0.0.1", clientTLS, nil); return err },
		"no such port":        func() error { _, err := tquic.Dial(t.Context(), "127.0.0.1:nothing", clientTLS, nil); return err },
		"dial without TLS":    func() error { _, err := tquic.Dial(t.Context(), "127.0.0.1:9", nil, nil); return err },
		"listen without TLS":  func() error { _, err := tquic.Listen("127.0.0.1:0", nil, nil); return err },
		"dial, no protocol":   func() error { _, err := tquic.Dial(t.Context(), "127.0.0.1:9", noProtocol, nil); return err },
		"listen, no protocol": func() error { _, err := tquic.Listen("127.0.0.1:0", noProtocol, nil); return err },
		"unknown congestion": func() error {
			_, err := tquic.Listen("127.0.0.1:0", serverTLS, &tquic.Config{Congestion: "x"})
			return err
		},
		"tiny packets": func() error {
			_, err := tquic.Dial(t.Context(), "127.0.0.1:9", clientTLS, &tquic.Config{MaxUDPPayload: 900})
			return err
		},
		"somebody's address":  func() error { _, err := tquic.Listen("192.0.2.1:0", serverTLS, nil); return err },
		"an endpoint's, too":  func() error { _, err := tquic.ListenEndpoint(netip.MustParseAddrPort("192.0.2.1:0"), nil); return err },
		"an address, no port": func() error { _, err := tquic.Listen("127.0.0.1", serverTLS, nil); return err },
		"an ended dial":       func() error { _, err := tquic.Dial(ended(), "127.0.0.1:9", clientTLS, nil); return err },
		"an ended early dial": func() error { _, err := tquic.DialEarly(ended(), "127.0.0.1:9", clientTLS, nil); return err },
	}
	enginetest.CheckLeaks(t)
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			if err := f(); err == nil {
				t.Error("no error")
			}
		})
	}
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestMigrate(t *testing.T) {
	client, server := connect(t, nil)
	c, s := streams(t, client, server)
	before := client.LocalAddr().String()
	for err := client.Migrate(netip.MustParseAddrPort("127.0.0.1:0")); err != nil; err = client.Migrate(netip.MustParseAddrPort("127.0.0.1:0")) {
		if client.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // the handshake is not confirmed yet, or there is no spare ID
	}
	if client.LocalAddr().String() == before {
		t.Error("the address is the same")
	}
	if _, err := c.Write([]byte("moved")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got, err := io.ReadAll(s); string(got) != "moved" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := server.Migrate(netip.MustParseAddrPort("127.0.0.1:0")); err == nil {
		t.Error("a server migrates")
	}
	if err := client.Migrate(netip.MustParseAddrPort("192.0.2.1:0")); err == nil {
		t.Error("the client migrates to somebody else's address")
	}
}

func TestConnTells(t *testing.T) {
	client, server := connect(t, &tquic.Config{RequireRetry: true})
	c, s := streams(t, client, server)
	for what, pair := range map[string][2]net.Addr{
		"connections": {client.LocalAddr(), server.RemoteAddr()}, "the other way": {client.RemoteAddr(), server.LocalAddr()},
		"streams": {c.LocalAddr(), s.RemoteAddr()}, "streams, the other way": {c.RemoteAddr(), s.LocalAddr()},
	} {
		if pair[0].String() != pair[1].String() {
			t.Errorf("%s: %v and %v", what, pair[0], pair[1])
		}
	}
	if state := client.ConnectionState(); state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "echo" {
		t.Errorf("TLS: version %x, %q", state.Version, state.NegotiatedProtocol)
	}
	stats := client.Stats()
	if !stats.Retried || stats.Congestion != "bbr" || len(stats.Paths) != 1 || stats.Paths[0].SentPackets == 0 || stats.Paths[0].SRTT <= 0 || stats.Copies.Write != 1 {
		t.Errorf("statistics: %+v", stats)
	}
	if err := client.UpdateKeys(); err == nil {
		<-ticks(t, func() bool { return server.Stats().PeerKeyUpdates == 1 })
	} else if server.Stats().PeerKeyUpdates != 0 {
		t.Errorf("the update fails (%v) and happens", err)
	}
	if err := c.SetDeadline(aMomentFromNow()); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || !err.(net.Error).Timeout() {
		t.Errorf("read: %v", err)
	}
	if err := c.SetWriteDeadline(time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := c.Write([]byte{1}); err == nil || !err.(net.Error).Timeout() {
		t.Errorf("write: %v", err)
	}
}

// ticks returns a channel that is closed when the condition holds.
func ticks(t *testing.T, holds func() bool) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Error("it never happens")
				return
			}
		}
	}()
	return done
}
