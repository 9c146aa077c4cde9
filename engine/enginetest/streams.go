package enginetest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

func testEcho(t *testing.T, b *bench) {
	d, a := b.stream2(t)
	for _, end := range [][2]engine.Stream{{d, a}, {a, d}} {
		want := []byte("thirteen bytes")
		if _, err := end[0].Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(end[1], got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
}

// stream2 returns both ends of a stream of a new session.
func (b *bench) stream2(t testing.TB) (d, a engine.Stream) {
	t.Helper()
	ds, as := b.pair(t)
	return b.stream(t, ds, as)
}

func testHalfClose(t *testing.T, b *bench) {
	d, a := b.stream2(t)
	if _, err := d.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	if err := d.CloseWrite(); err != nil {
		t.Fatalf("close for writing: %v", err)
	}
	if got, err := io.ReadAll(a); err != nil || string(got) != "request" {
		t.Fatalf("the listener's side read %q, %v", got, err)
	}
	if _, err := d.Write([]byte("more")); err == nil {
		t.Error("a write after CloseWrite succeeds")
	}
	if _, err := a.Write([]byte("answer")); err != nil {
		t.Fatalf("write into the open half: %v", err)
	}
	if err := a.CloseWrite(); err != nil {
		t.Fatalf("close the other half: %v", err)
	}
	if got, err := io.ReadAll(d); err != nil || string(got) != "answer" {
		t.Fatalf("the dialler's side read %q, %v", got, err)
	}
}

func testFullDuplex(t *testing.T, b *bench) {
	const size = 8 << 20
	d, a := b.stream2(t)
	var done []<-chan error
	for i, s := range []engine.Stream{d, a} {
		other := []engine.Stream{a, d}[i]
		data := make([]byte, size)
		rand.Read(data)
		want := sha256.Sum256(data)
		done = append(done, async(func() error {
			if _, err := s.Write(data); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			return s.CloseWrite()
		}), async(func() error {
			h := sha256.New()
			if n, err := io.Copy(h, other); err != nil || n != size {
				return fmt.Errorf("read %d of %d bytes: %w", n, size, err)
			}
			if [32]byte(h.Sum(nil)) != want {
				return fmt.Errorf("what arrived is not what was sent")
			}
			return nil
		}))
	}
	for _, c := range done {
		if err := await(t, b, "full duplex", c); err != nil {
			t.Error(err)
		}
	}
}

func testManyStreams(t *testing.T, b *bench) {
	const streams = 48
	d, a := b.pair(t)
	transfer(t, b, []engine.Session{d}, []engine.Session{a}, workload.Bulk{Seed: 3, Bytes: 6_000_001, Streams: streams}, workload.Receive)
}

func testSmallWrites(t *testing.T, b *bench) {
	const writes = 3000
	d, a := b.stream2(t)
	done := async(func() error {
		for i := range writes {
			if _, err := d.Write([]byte{byte(i), byte(i >> 8), 7}); err != nil {
				return err
			}
		}
		return d.CloseWrite()
	})
	got, err := io.ReadAll(a)
	if err != nil || len(got) != 3*writes {
		t.Fatalf("read %d bytes, %v, want %d", len(got), err, 3*writes)
	}
	for i := range writes {
		if want := []byte{byte(i), byte(i >> 8), 7}; !bytes.Equal(got[3*i:3*i+3], want) {
			t.Fatalf("write %d: got %v, want %v", i, got[3*i:3*i+3], want)
		}
	}
	if err := await(t, b, "small writes", done); err != nil {
		t.Fatal(err)
	}
}

func testBulkUp(t *testing.T, b *bench) {
	d, a := b.pair(t)
	transfer(t, b, []engine.Session{d}, []engine.Session{a}, workload.Bulk{Seed: 1, Bytes: 64 << 20, Streams: 1}, workload.Send)
}

func testBulkDown(t *testing.T, b *bench) {
	d, a := b.pair(t)
	transfer(t, b, []engine.Session{d}, []engine.Session{a}, workload.Bulk{Seed: 2, Bytes: 64<<20 + 13, Streams: 3}, workload.Receive)
}

func testBulkByTime(t *testing.T, b *bench) {
	d, a := b.pair(t)
	bulk := workload.Bulk{Seed: 4, Duration: 200 * time.Millisecond, Streams: 2}
	transfer(t, b, []engine.Session{d}, []engine.Session{a}, bulk, workload.Receive)
}

// transfer runs the bulk between both ends and wants it intact and agreed upon.
func transfer(t testing.TB, b *bench, diallers, listeners []engine.Session, bulk workload.Bulk, role workload.Role) (request, serve workload.Report) {
	t.Helper()
	type result struct {
		report workload.Report
		err    error
	}
	served := make(chan result, 1)
	go func() {
		r, err := workload.Serve(b.ctx, listeners, nil)
		served <- result{r, err}
	}()
	request, err := bulk.Request(b.ctx, diallers, role, nil)
	if err != nil {
		t.Fatalf("dialler's side: %v", err)
	}
	other := await(t, b, "the listener's side", served)
	if other.err != nil {
		t.Fatalf("listener's side: %v", other.err)
	}
	serve = other.report
	if !request.Intact || !serve.Intact {
		t.Fatalf("not intact: dialler %q, listener %q", request.Reason, serve.Reason)
	}
	if request.Bytes != serve.Bytes || request.Bytes == 0 || bulk.Bytes > 0 && request.Bytes != bulk.Bytes {
		t.Fatalf("bytes: dialler %d, listener %d, asked for %d", request.Bytes, serve.Bytes, bulk.Bytes)
	}
	return request, serve
}

// testSlowReader lets the sender fill every buffer before anybody reads.
func testSlowReader(t *testing.T, b *bench) {
	const size = 96 << 20 // more than the windows of any engine here
	d, a := b.stream2(t)
	done := async(func() error {
		block := make([]byte, 1<<20)
		for i := range size / len(block) {
			block[0] = byte(i)
			if _, err := d.Write(block); err != nil {
				return fmt.Errorf("write block %d: %w", i, err)
			}
		}
		return d.CloseWrite()
	})
	select {
	case err := <-done:
		t.Fatalf("%d bytes went out although nobody reads (%v)", size, err)
	case <-time.After(300 * time.Millisecond):
	}
	block := make([]byte, 1<<20)
	for i := range size / len(block) {
		if _, err := io.ReadFull(a, block); err != nil || block[0] != byte(i) {
			t.Fatalf("block %d: begins with %d, %v", i, block[0], err)
		}
	}
	if err := await(t, b, "the writer", done); err != nil {
		t.Fatal(err)
	}
}
