package driver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// fill writes until the stream refuses.
func fill(s *Stream) error {
	for block := make([]byte, 1<<20); ; {
		if _, err := s.Write(block); err != nil {
			return err
		}
	}
}

func wantStreamError(t *testing.T, err error, code uint64, remote, stopped bool) {
	t.Helper()
	e, ok := errors.AsType[*proto.StreamError](err)
	if !ok || e.Code != code || e.Remote != remote || e.Stopped != stopped {
		t.Errorf("got %v, want code %d, by the peer: %t, stopped: %t", err, code, remote, stopped)
	}
}

func TestDeadlines(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, s := r.stream(client, server)
	read, write := make(chan error), make(chan error)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	go func() { write <- fill(c) }()
	settle()
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	c.SetWriteDeadline(time.Now().Add(time.Millisecond))
	for what, err := range map[string]error{"read": <-read, "write": <-write} {
		if e, ok := errors.AsType[net.Error](err); !errors.Is(err, os.ErrDeadlineExceeded) || !ok || !e.Timeout() {
			t.Errorf("%s: got %v, want %v", what, err, os.ErrDeadlineExceeded)
		}
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read again: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	if _, err := s.Write([]byte{9}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("read without a deadline: %d, %v", n, err)
	}
	// Nothing was in the middle of a Write: the stream ends in order.
	c.Close()
	if _, err := io.Copy(io.Discard, s); err != nil {
		t.Errorf("the peer's read: %v", err)
	}
}

func TestCloseCutsAWriteOff(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, s := r.stream(client, server)
	write, read := make(chan error), make(chan error)
	go func() { write <- fill(c) }()
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	settle()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	for what, err := range map[string]error{"write": <-write, "read": <-read, "end": c.CloseWrite()} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: got %v, want %v", what, err, net.ErrClosed)
		}
	}
	_, err := io.Copy(io.Discard, s)
	wantStreamError(t, err, 0, true, false)
	_, err = s.Write([]byte{1})
	for err == nil { // STOP_SENDING is on its way
		_, err = s.Write([]byte{1})
	}
	wantStreamError(t, err, 0, true, true)
}

func TestResetAndStop(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, s := r.stream(client, server)
	write, read := make(chan error), make(chan error)
	go func() { write <- fill(c) }()
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	settle()
	s.StopSending(5)
	s.Reset(6)
	wantStreamError(t, <-write, 5, true, true)
	wantStreamError(t, <-read, 6, true, false)
	_, err := s.Write([]byte{1})
	wantStreamError(t, err, 6, false, false)
	_, err = s.Read(make([]byte, 1))
	wantStreamError(t, err, 5, false, true)
}

func TestResetUnblocksOwnWrite(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, _ := r.stream(client, server)
	write, read := make(chan error), make(chan error)
	go func() { write <- fill(c) }()
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	settle()
	c.Reset(3)
	c.StopSending(4)
	wantStreamError(t, <-write, 3, false, false)
	wantStreamError(t, <-read, 4, false, true)
}

func TestConnectionEndUnblocksStreams(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, _ := r.stream(client, server)
	write, read := make(chan error), make(chan error)
	go func() { write <- fill(c) }()
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	settle()
	server.Close(8, "")
	wantApplication(t, <-write, 8, true)
	wantApplication(t, <-read, 8, true)
}

func TestUnidirectional(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, err := client.OpenStream(r.ctx, wire.Uni)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, proto.ErrNoHalf) {
		t.Errorf("read from it: %v", err)
	}
	c.Write([]byte("one way"))
	c.Close()
	s, err := server.AcceptStream(r.ctx, wire.Uni)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(s); string(got) != "one way" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.Write([]byte{1}); !errors.Is(err, proto.ErrNoHalf) {
		t.Errorf("write to it: %v", err)
	}
}

// ReadFrom and WriteTo carry a file through; the second copies nothing.
func TestCopy(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, s := r.stream(client, server)
	data := testPattern(3<<20 + 1)
	go func() {
		if n, err := c.ReadFrom(bytes.NewReader(data)); n != int64(len(data)) || err != nil {
			t.Errorf("ReadFrom: %d, %v", n, err)
		}
		c.CloseWrite()
	}()
	var got bytes.Buffer
	if n, err := s.WriteTo(&got); n != int64(len(data)) || err != nil {
		t.Errorf("WriteTo: %d, %v", n, err)
	}
	if !bytes.Equal(got.Bytes(), data) {
		t.Error("the bytes differ")
	}
	if n := server.Stats().Copies.Read; n != 1 { // by the first byte's Read
		t.Errorf("%d bytes copied to the application", n)
	}
	broken := errors.New("broken")
	if _, err := c.ReadFrom(io.MultiReader(errReader{broken})); !errors.Is(err, broken) {
		t.Errorf("ReadFrom: %v, want the reader's error", err)
	}
	go s.Write([]byte("x"))
	if _, err := c.WriteTo(errWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("WriteTo: %v, want the writer's error", err)
	}
}

type errReader struct{ error }

func (e errReader) Read([]byte) (int, error) { return 0, e.error }

type errWriter struct{ error }

func (e errWriter) Write([]byte) (int, error) { return 0, e.error }

// Many streams both ways, each with several readers and writers at once.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	const streams, writers, writes, size = 8, 3, 40, 1000
	var wg sync.WaitGroup
	for range streams {
		c, s := r.stream(client, server)
		for _, from := range []*Stream{c, s} {
			var writing sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					for range writes {
						if _, err := from.Write(bytes.Repeat([]byte{byte(w)}, size)); err != nil {
							t.Errorf("write: %v", err)
						}
					}
				})
			}
			wg.Go(func() {
				writing.Wait()
				from.CloseWrite()
			})
		}
		for _, to := range []*Stream{c, s} {
			var mu sync.Mutex
			total := 0
			for range 2 {
				wg.Go(func() {
					n, err := io.Copy(io.Discard, to)
					mu.Lock()
					defer mu.Unlock()
					if total += int(n); err != nil || total > writers*writes*size {
						t.Errorf("read %d, %v", total, err)
					}
				})
			}
		}
	}
	wg.Wait()
}

// What a large transfer allocates is what connections and streams need, not packets.
func TestTransferDoesNotAllocate(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{MaxUDPPayload: 1452})
	client, server := r.connect()
	c, s := r.stream(client, server)
	const size = 8 << 20 // 6000 packets
	data, into := make([]byte, 64<<10), make([]byte, 64<<10)
	move := func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range size / len(data) {
				c.Write(data)
			}
		}()
		for got := 0; got < size; {
			n, err := s.Read(into)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		<-done
	}
	move()
	if allocs := testing.AllocsPerRun(3, move); allocs > 300 {
		t.Errorf("%v allocations for %d bytes", allocs, size)
	} else {
		t.Logf("%v allocations for %d bytes", allocs, size)
	}
}
