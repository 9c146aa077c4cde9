package driver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestCloseIsSeen(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	accept := make(chan error, 3)
	for range cap(accept) {
		go func() {
			_, err := server.AcceptStream(r.ctx, wire.Bidi)
			accept <- err
		}()
	}
	client.Close(77, "because")
	client.Close(1, "too late")
	for range cap(accept) {
		wantApplication(t, <-accept, 77, true)
	}
	wantApplication(t, client.Err(), 77, false)
	if e := server.Err().(*proto.ApplicationError); e.Reason != "because" {
		t.Errorf("reason %q", e.Reason)
	}
	_, err := client.OpenStream(r.ctx, wire.Uni)
	wantApplication(t, err, 77, false)
	wantApplication(t, client.SendDatagram(r.ctx, nil), 77, false)
	_, err = client.ReceiveDatagram(r.ctx)
	wantApplication(t, err, 77, false)
	wantApplication(t, client.UpdateKeys(), 77, false)
	wantApplication(t, client.Rebind(0, r.client.LocalAddr()), 77, false)
	r.await(client.Gone())
	r.await(server.Gone())
}

// When Close returns the peer was told, though somebody else was sending and left the rest to
// the connection's goroutine.
func TestCloseHasToldThePeer(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	r.stream(client, server)
	settle() // until all is acknowledged
	client.mu.Lock()
	for client.sending {
		client.sent.Wait()
	}
	client.sending = true
	client.mu.Unlock()
	closed := make(chan struct{})
	go func() {
		client.Close(5, "enough")
		close(closed)
	}()
	settle()
	select {
	case <-closed:
		t.Error("Close returned before the peer could be told")
	default:
	}
	client.mu.Lock()
	client.sending = false
	client.sent.Broadcast()
	client.mu.Unlock()
	r.await(closed)
	client.mu.Lock()
	if client.core.AppendTransmit(client.now(), &proto.Transmit{Buf: make([]byte, 0, 1500)}) {
		t.Error("Close returned and the peer is still to be told")
	}
	client.mu.Unlock()
	r.await(server.Done())
	wantApplication(t, server.Err(), 5, true)
}

// With room for two streams, others wait until one is over.
func TestOpenStreamWaits(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{MaxBidiStreams: 2, MaxUniStreams: -1})
	client, server := r.connect()
	const streams = 12
	var wg sync.WaitGroup
	for i := range streams {
		wg.Go(func() {
			s, err := client.OpenStream(r.ctx, wire.Bidi)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			s.Write([]byte{byte(i)})
			s.CloseWrite()
			if got, err := io.ReadAll(s); err != nil || len(got) != 1 || got[0] != byte(i) {
				t.Errorf("stream %d: %x, %v", i, got, err)
			}
		})
	}
	for range streams {
		wg.Go(func() {
			s, err := server.AcceptStream(r.ctx, wire.Bidi)
			if err != nil {
				t.Errorf("accept: %v", err)
				return
			}
			io.Copy(s, s)
			s.CloseWrite()
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(r.ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := client.OpenStream(ctx, wire.Uni); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stream that the peer never allows: %v", err)
	}
	if _, err := client.AcceptStream(ctx, wire.Uni); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stream that never comes: %v", err)
	}
}

// Everybody who waits is woken when one packet brings something for all of them.
func TestOnePacketWakesAll(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{MaxDatagram: 100})
	client, server := r.connect()
	const waiting = 5
	done := make(chan error)
	for range waiting {
		go func() {
			_, err := server.AcceptStream(r.ctx, wire.Uni)
			done <- err
		}()
		go func() {
			v, err := server.ReceiveDatagram(r.ctx)
			v.Release()
			done <- err
		}()
	}
	settle()
	client.mu.Lock()
	for range waiting {
		s, err := client.core.OpenStream(wire.Uni)
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte{1})
		if err := client.core.SendDatagram([]byte{2}); err != nil {
			t.Fatal(err)
		}
	}
	client.requestSend()
	client.mu.Unlock()
	for range 2 * waiting {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// The last streams end at once: all who wait to open one can.
func TestStreamCreditWakesAll(t *testing.T) {
	const streams = 8
	r := newRig(t, "127.0.0.1:0", proto.Config{MaxUniStreams: streams})
	client, server := r.connect()
	open := func() *Stream {
		s, err := client.OpenStream(r.ctx, wire.Uni)
		if err != nil {
			t.Error(err)
			return nil
		}
		s.Write([]byte{1})
		s.CloseWrite()
		return s
	}
	for range streams {
		open()
	}
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() { open() })
	}
	settle()
	var all []*Stream
	for range streams {
		s, err := server.AcceptStream(r.ctx, wire.Uni)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	server.mu.Lock()
	for _, s := range all {
		var b [2]byte
		s.core.Read(b[:])
		s.core.Read(b[:]) // io.EOF: the stream is over
	}
	server.requestSend()
	server.mu.Unlock()
	wg.Wait()
}

func TestDatagrams(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{MaxDatagram: 1500})
	client, server := r.connect()
	const sent = 300 // more than the queues hold
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for j := range sent / 3 {
				if err := client.SendDatagram(r.ctx, bytes.Repeat([]byte{byte(i + j)}, 100)); err != nil {
					t.Errorf("send: %v", err)
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(r.ctx)
	got := make(chan int)
	for range 2 {
		go func() {
			n := 0
			for {
				v, err := server.ReceiveDatagram(ctx)
				if err != nil {
					got <- n
					return
				}
				if len(v.Bytes) != 100 || v.Bytes[0] != v.Bytes[99] {
					t.Errorf("a datagram of %d bytes", len(v.Bytes))
				}
				v.Release()
				n++
			}
		}()
	}
	wg.Wait()
	c, s := r.stream(client, server) // what was sent before has been handled
	_, _ = c, s
	time.Sleep(10 * time.Millisecond) // the readers take what is left; if not, the test is weaker
	cancel()
	if n := <-got + <-got; n == 0 || n > sent {
		t.Errorf("%d datagrams of %d arrived", n, sent)
	}
	if _, ok := errors.AsType[*proto.DatagramSizeError](client.SendDatagram(r.ctx, make([]byte, 1600))); !ok {
		t.Error("a datagram of 1600 bytes is taken")
	}
}

// UpdateKeys again and again while data flows.
func TestUpdateKeys(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, s := r.stream(client, server)
	for range 3 {
		for client.UpdateKeys() != nil { // until the last one is acknowledged
			if client.Err() != nil || r.ctx.Err() != nil {
				t.Fatalf("update keys: %v", client.Err())
			}
			time.Sleep(time.Millisecond)
		}
		if _, err := c.Write(testPattern(5000)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s, make([]byte, 5000)); err != nil {
			t.Fatal(err)
		}
	}
	if n := client.Stats().KeyUpdates; n != 3 {
		t.Errorf("%d key updates, want 3", n)
	}
}

// The client moves to another socket in the middle of a transfer.
func TestRebind(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, s := r.stream(client, server)
	data := testPattern(4 << 20)
	go func() {
		c.Write(data)
		c.CloseWrite()
	}()
	if _, err := io.ReadFull(s, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at, err := r.client.AddSocket(pc.(*net.UDPConn))
	if err != nil {
		t.Fatal(err)
	}
	for err := client.Rebind(0, at); err != nil; err = client.Rebind(0, at) {
		if client.Err() != nil || r.ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // no spare connection ID yet
	}
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, data[1<<20:]) {
		t.Errorf("%d bytes (%v), equal: %t", len(got), err, bytes.Equal(got, data[1<<20:]))
	}
	if local, _ := client.Addresses(); local != at {
		t.Errorf("the client is at %v, want %v", local, at)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, remote := server.Addresses(); remote == at {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the server believes the client at %v, want %v", remote, at)
		}
		s.conn.Ping()
	}
	if got := r.client.Sockets(); len(got) != 2 || got[1].Counters.SentTrains == 0 {
		t.Errorf("sockets: %+v", got)
	}
	if err := r.client.RemoveSocket(r.client.LocalAddr()); err != nil || r.client.LocalAddr() != at {
		t.Errorf("the first socket was not removed: %v", err)
	}
	r.stream(client, server) // the other one goes on
	if r.client.RemoveSocket(at) == nil {
		t.Error("the last socket was removed")
	}
}

// A client that moves says so, though it has nothing else to say.
func TestRebindWithoutData(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	r.stream(client, server)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at, err := r.client.AddSocket(pc.(*net.UDPConn))
	if err != nil {
		t.Fatal(err)
	}
	for r.ctx.Err() == nil && client.Rebind(0, at) != nil {
		time.Sleep(time.Millisecond) // no spare connection ID yet
	}
	for end := time.Now().Add(10 * time.Second); r.client.Sockets()[1].Counters.ReceivedTrains == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server never answers to the new address")
		}
	}
}

func TestTimeDoesNotGoBack(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, _ := r.connect()
	client.mu.Lock()
	defer client.mu.Unlock()
	now := client.now()
	if got := client.notBack(now - 5); got != now {
		t.Errorf("%d after %d", got, now)
	}
}

func TestSilenceEndsTheConnection(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{IdleTimeout: 50 * time.Millisecond})
	client, server := r.connect()
	for _, c := range []*Conn{client, server} {
		r.await(c.Gone())
		if e, ok := errors.AsType[*proto.TimeoutError](c.Err()); !ok || e.Handshake {
			t.Errorf("got %v, want an idle time-out", c.Err())
		}
	}
}

func TestKeepAliveKeepsTheConnection(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{IdleTimeout: 400 * time.Millisecond, KeepAlive: 20 * time.Millisecond})
	client, server := r.connect()
	time.Sleep(time.Second)
	if client.Err() != nil || server.Err() != nil {
		t.Errorf("client: %v, server: %v", client.Err(), server.Err())
	}
}

// A connection that is gone does not sleep on until a timer that no longer matters:
// Close would wait for it.
func TestGoneConnectionIsWoken(t *testing.T) {
	server, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	c, err := r.client.Dial(r.config, server.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	n, from, err := server.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	h, ok := wire.ParseInvariant(b[:n], 0)
	if !ok {
		t.Fatal("the first packet has no header")
	}
	sleeps := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.sleeping
	}
	for !sleeps() {
		runtime.Gosched()
	}
	answer := wire.AppendVersionNegotiation(nil, h.SrcID, h.DstID, []wire.Version{0x1a2a3a4a}, 0)
	if _, err := server.WriteToUDPAddrPort(answer, from); err != nil {
		t.Fatal(err)
	}
	r.await(c.Gone())
	if sleeps() {
		t.Error("the connection is gone and its goroutine sleeps")
	}
}

func TestHandshakeTimeout(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{HandshakeTimeout: 50 * time.Millisecond})
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	c, err := r.client.Dial(r.config, deaf.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	r.await(c.Gone())
	if e, ok := errors.AsType[*proto.TimeoutError](c.Err()); !ok || !e.Handshake {
		t.Errorf("got %v, want a handshake time-out", c.Err())
	}
}

// Data of a resumed connection goes in the first flight.
func TestEarlyData(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{EarlyData: true})
	client, server := r.connect()
	r.stream(client, server) // the ticket came with the handshake's end
	client.Close(0, "")
	early, err := r.client.Dial(r.config, r.remote())
	if err != nil {
		t.Fatal(err)
	}
	s, err := early.OpenStream(r.ctx, wire.Bidi)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("early")); err != nil {
		t.Fatal(err)
	}
	s.CloseWrite()
	accepted, err := r.server.Accept(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	in, err := accepted.AcceptStream(r.ctx, wire.Bidi)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(in); string(got) != "early" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	r.await(early.Confirmed())
	if !early.Stats().EarlyData || !early.ConnectionState().DidResume {
		t.Errorf("early data %t, resumed %t", early.Stats().EarlyData, early.ConnectionState().DidResume)
	}
}

// A timer that is late says that the process did not run: whoever reads gets a turn before
// what is due is done.
func TestLateTimerLetsOthersReadFirst(t *testing.T) {
	e := newRig(t, "127.0.0.1:0", proto.Config{}).client
	c := &Conn{e: e, wake: newSignal(), armed: e.now().Add(-2 * lateTimer)}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	before := e.now()
	c.sleep(timer)
	if got := e.now().Sub(before); got < readFirst {
		t.Errorf("%v after a late timer it goes on, want %v at least", got, readFirst)
	}
}
