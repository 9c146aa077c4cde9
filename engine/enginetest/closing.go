package enginetest

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// settle is how long a call gets to block before the test unblocks it. Too short a
// time makes a test weaker, never wrong.
const settle = 50 * time.Millisecond

// writeUntilError writes until the stream refuses.
func writeUntilError(s engine.Stream) error {
	block := make([]byte, 1<<20)
	for {
		if _, err := s.Write(block); err != nil {
			return err
		}
	}
}

func testStreamCloseUnblocks(t *testing.T, b *bench) {
	d, _ := b.stream2(t)
	read := async(func() error { _, err := d.Read(make([]byte, 1)); return err })
	write := async(func() error { return writeUntilError(d) })
	time.Sleep(settle)
	if err := d.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	for what, c := range map[string]<-chan error{"read": read, "write": write} {
		if err := await(t, b, what, c); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s under Close: got %v, want %v", what, err, net.ErrClosed)
		}
	}
	if err := d.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

func testStreamCloseSeen(t *testing.T, b *bench) {
	d, a := b.stream2(t)
	read := async(func() error { _, err := io.Copy(io.Discard, a); return err })
	write := async(func() error { return writeUntilError(a) })
	time.Sleep(settle)
	d.Close()
	await(t, b, "the peer's read", read) // an end or an error, as the transport has it
	if err := await(t, b, "the peer's write", write); err == nil {
		t.Error("the peer goes on writing to a closed stream")
	}
}

func testSessionCloseUnblocks(t *testing.T, b *bench) {
	ds, as := b.pair(t)
	d, _ := b.stream(t, ds, as)
	read := async(func() error { _, err := d.Read(make([]byte, 1)); return err })
	write := async(func() error { return writeUntilError(d) })
	accept := async(func() error { _, err := ds.AcceptStream(b.ctx); return err })
	time.Sleep(settle)
	if err := ds.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	for what, c := range map[string]<-chan error{"read": read, "write": write, "accept": accept} {
		if err := await(t, b, what, c); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s under Close: got %v, want %v", what, err, net.ErrClosed)
		}
	}
	if _, err := ds.OpenStream(b.ctx); !errors.Is(err, net.ErrClosed) {
		t.Errorf("open after Close: got %v, want %v", err, net.ErrClosed)
	}
	if err := ds.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

func testSessionCloseSeen(t *testing.T, b *bench) {
	ds, as := b.pair(t)
	_, a := b.stream(t, ds, as)
	accept := async(func() error { _, err := as.AcceptStream(b.ctx); return err })
	read := async(func() error { _, err := io.Copy(io.Discard, a); return err })
	write := async(func() error { return writeUntilError(a) })
	time.Sleep(settle)
	ds.Close()
	if err := await(t, b, "the peer's accept", accept); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: got %v, want %v", err, net.ErrClosed)
	}
	await(t, b, "the peer's read", read)
	if err := await(t, b, "the peer's write", write); err == nil {
		t.Error("the peer goes on writing to a closed session")
	}
}

func testListenerClose(t *testing.T, b *bench) {
	l := b.listener(t)
	ds, as := b.session(t, l)
	accept := async(func() error { _, err := l.Accept(b.ctx); return err })
	time.Sleep(settle)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := await(t, b, "accept", accept); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept under Close: got %v, want %v", err, net.ErrClosed)
	}
	// One stream: over TCP a second one would need the listener.
	transfer(t, b, []engine.Session{ds}, []engine.Session{as}, workload.Bulk{Seed: 5, Bytes: 1 << 20, Streams: 1}, workload.Send)
}

func testContexts(t *testing.T, b *bench) {
	l := b.listener(t)
	_, as := b.session(t, l)
	ctx, cancel := context.WithCancelCause(b.ctx)
	why := errors.New("no longer wanted")
	accept := async(func() error { _, err := l.Accept(ctx); return err })
	stream := async(func() error { _, err := as.AcceptStream(ctx); return err })
	time.Sleep(settle)
	cancel(why)
	for what, c := range map[string]<-chan error{"accept": accept, "accept stream": stream} {
		if err := await(t, b, what, c); !errors.Is(err, context.Canceled) && !errors.Is(err, why) {
			t.Errorf("%s: got %v, want the context's error", what, err)
		}
	}
}
