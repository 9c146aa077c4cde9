package driver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// wantApplication wants a connection's end by a close with that code.
func wantApplication(t *testing.T, err error, code uint64, remote bool) {
	t.Helper()
	e, ok := errors.AsType[*proto.ApplicationError](err)
	if !ok || e.Code != code || e.Remote != remote {
		t.Errorf("got %v, want a close with code %d, by the peer: %t", err, code, remote)
	}
}

func TestAcceptEndsWithItsContext(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	ctx, cancel := context.WithCancelCause(r.ctx)
	why := errors.New("enough")
	cancel(why)
	if _, err := r.server.Accept(ctx); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
	if _, err := r.client.Accept(r.ctx); !errors.Is(err, net.ErrClosed) {
		t.Errorf("an endpoint that does not listen: got %v, want %v", err, net.ErrClosed)
	}
}

// StopListening wakes all who wait, and closes what nobody accepted.
func TestStopListening(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	orphan, err := r.client.Dial(r.config, r.remote())
	if err != nil {
		t.Fatal(err)
	}
	r.await(orphan.Confirmed())
	errs := make(chan error)
	r.server.mu.Lock()
	waiting := r.server.queue // the orphan: it must not be accepted now
	r.server.queue = nil
	r.server.mu.Unlock()
	for range 3 {
		go func() {
			_, err := r.server.Accept(r.ctx)
			errs <- err
		}()
	}
	settle()
	r.server.mu.Lock()
	r.server.queue = waiting
	r.server.mu.Unlock()
	r.server.StopListening()
	for range 3 {
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: got %v, want %v", err, net.ErrClosed)
		}
	}
	r.await(orphan.Done())
	wantApplication(t, orphan.Err(), 0, true)
	r.stream(client, server) // as before
	if err := r.server.Listen(proto.Config{}, 1); err == nil {
		t.Error("Listen takes a configuration without TLS")
	}
	serverTLS, _ := testTLS(t)
	if err := r.server.Listen(proto.Config{TLS: serverTLS}, 1); err != nil {
		t.Errorf("listen again: %v", err)
	}
	if err := r.server.Listen(proto.Config{TLS: serverTLS}, 1); err == nil {
		t.Error("it listens twice")
	}
}

func TestBacklogIsBounded(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	r.server.backlog = 1
	waiting, err := r.client.Dial(r.config, r.remote())
	if err != nil {
		t.Fatal(err)
	}
	r.await(waiting.Confirmed())
	refused, err := r.client.Dial(r.config, r.remote())
	if err != nil {
		t.Fatal(err)
	}
	r.await(refused.Done())
	wantApplication(t, refused.Err(), 0, true)
	if _, err := r.server.Accept(r.ctx); err != nil {
		t.Error(err)
	}
	if waiting.Err() != nil {
		t.Errorf("the one that waited: %v", waiting.Err())
	}
}

func TestEndpointOutlivesItsConnections(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	for range 2 {
		client, server := r.connect()
		r.stream(client, server)
		client.Close(0, "")
		r.await(client.Gone())
		r.await(server.Gone())
	}
}

// Both ends of a socket pair listen and dial at the same time.
func TestEndpointsDialEachOther(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	serverTLS, clientTLS := testTLS(t)
	if err := r.client.Listen(proto.Config{TLS: serverTLS}, 1); err != nil {
		t.Fatal(err)
	}
	there, here := r.connect()
	back, err := r.server.Dial(proto.Config{TLS: clientTLS}, r.client.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := r.client.Accept(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.stream(there, here)
	r.stream(back, accepted)
}

func TestEndpointClosesWhenIdle(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	if err := r.server.CloseWhenIdle(); err != nil {
		t.Fatal(err)
	}
	r.stream(client, server)
	server.Close(5, "enough")
	r.server.Wait()
	r.await(client.Done())
	wantApplication(t, client.Err(), 5, true)
	if err := r.client.CloseWhenIdle(); err != nil {
		t.Fatal(err)
	}
	r.client.Wait() // the client's connection drains
	if _, err := r.client.Dial(r.config, r.remote()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dial: got %v, want %v", err, net.ErrClosed)
	}
	unused := testEndpoint(t, "127.0.0.1:0", Config{})
	if err := unused.CloseWhenIdle(); err != nil {
		t.Error(err)
	}
	unused.Wait()
}

func TestCloseEndpoint(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, _ := r.stream(client, server)
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	for range 2 {
		if err := r.client.Close(); err != nil {
			t.Error(err)
		}
	}
	wantApplication(t, <-read, 0, false)
	r.await(client.Gone())
	r.await(server.Done())
	wantApplication(t, server.Err(), 0, true)
	if _, err := client.OpenStream(r.ctx, wire.Bidi); err == nil {
		t.Error("a stream opens on a closed endpoint")
	}
	if err := r.client.Listen(proto.Config{}, 1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listen: got %v, want %v", err, net.ErrClosed)
	}
	if _, err := r.client.Accept(r.ctx); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: got %v, want %v", err, net.ErrClosed)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.AddSocket(pc.(*net.UDPConn)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("add a socket: got %v, want %v", err, net.ErrClosed)
	}
}

func TestDialFindsItsSocket(t *testing.T) {
	e := testEndpoint(t, "127.0.0.1:0", Config{})
	if _, err := e.localFor(netip.MustParseAddrPort("[::1]:9")); err == nil {
		t.Error("an IPv4 socket is to send to IPv6")
	}
	any := testEndpoint(t, "[::]:0", Config{})
	for remote, want := range map[string]string{"[::1]:9": "::1", "127.0.0.7:9": "127.0.0.1"} {
		got, err := any.localFor(netip.MustParseAddrPort(remote))
		if err != nil || got.Addr().String() != want || got.Port() != any.LocalAddr().Port() {
			t.Errorf("to %s: from %v (%v), want %s", remote, got, err, want)
		}
	}
}

// A server that has forgotten the connection says so.
func TestStatelessReset(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, _ := r.stream(client, server)
	r.server.mu.Lock()
	r.server.core.HandleEvent(server.core, proto.Event{Kind: proto.Drained}) // forgets it
	r.server.lastCore, r.server.lastConn = nil, nil
	r.server.mu.Unlock()
	// An acknowledgement may have been answered already.
	if _, err := c.Write(make([]byte, 100)); err != nil && !errors.Is(err, proto.ErrStatelessReset) {
		t.Fatal(err)
	}
	r.await(client.Done())
	if err := client.Err(); !errors.Is(err, proto.ErrStatelessReset) {
		t.Errorf("got %v, want %v", err, proto.ErrStatelessReset)
	}
	r.await(client.Gone())
}

func TestRetry(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	picky := testEndpoint(t, "127.0.0.1:0", Config{RetryAbove: -1})
	serverTLS, clientTLS := testTLS(t)
	if err := picky.Listen(proto.Config{TLS: serverTLS}, 4); err != nil {
		t.Fatal(err)
	}
	r.server, r.config.TLS = picky, clientTLS
	client, server := r.connect()
	if !client.Stats().Retried {
		t.Error("the client was not asked for a proof")
	}
	r.stream(client, server)
	// The token of NEW_TOKEN spares the second connection that.
	client.Close(0, "")
	again, _ := r.connect()
	if again.Stats().Retried {
		t.Error("the client was asked again")
	}
}

// Garbage, other versions and packets of nobody disturb nothing.
func TestStrangers(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	stranger, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.remote()))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	version := append([]byte{0xc0, 0xfa, 0xfa, 0xfa, 0xfa, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0}, make([]byte, 1200)...)
	for _, b := range [][]byte{{0}, {0x40}, {0xff}, make([]byte, 1300), testPattern(1300)} {
		stranger.Write(b)
	}
	stranger.Write(version)
	stranger.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 2000)
	for {
		n, err := stranger.Read(answer) // what had a short header was answered by stateless resets
		if err != nil {
			t.Fatalf("another version got no answer: %v", err)
		}
		if n > 5 && answer[0]&0x80 != 0 {
			if !bytes.Equal(answer[1:5], make([]byte, 4)) {
				t.Errorf("answer to another version: %x, want a Version Negotiation packet", answer[:n])
			}
			break
		}
	}
	r.stream(client, server)
}

// Many connections come and go at once on two sockets, through a Retry where the
// server feels crowded.
func TestManyConnections(t *testing.T) {
	const conns = 60
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	crowded := testEndpoint(t, "127.0.0.1:0", Config{RetryAbove: 10})
	serverTLS, clientTLS := testTLS(t)
	if err := crowded.Listen(proto.Config{TLS: serverTLS}, conns); err != nil {
		t.Fatal(err)
	}
	r.server, r.config.TLS = crowded, clientTLS
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() {
			c, err := r.client.Dial(r.config, r.remote())
			if err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			defer c.Close(0, "")
			s, err := c.OpenStream(r.ctx, wire.Bidi)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			data := bytes.Repeat([]byte{byte(i)}, 20_000)
			go func() {
				s.Write(data)
				s.CloseWrite()
			}()
			if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, data) {
				t.Errorf("connection %d: %d bytes, %v", i, len(got), err)
			}
		})
		wg.Go(func() {
			c, err := r.server.Accept(r.ctx)
			if err != nil {
				t.Errorf("accept: %v", err)
				return
			}
			s, err := c.AcceptStream(r.ctx, wire.Bidi)
			if err != nil {
				t.Errorf("accept a stream: %v", err)
				return
			}
			io.Copy(s, s)
			s.CloseWrite()
			<-c.Done()
		})
	}
	wg.Wait()
}
