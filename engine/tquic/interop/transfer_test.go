package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
)

// patternSize is prime: no boundary of packets, buffers or windows falls on the
// pattern's again and again.
const patternSize = 65521

// pattern returns what transfers carry, repeated; streams start at different places in
// it. It is not to be changed.
var pattern = sync.OnceValue(func() []byte {
	b := make([]byte, patternSize)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
})

// send writes n bytes of the pattern from a place on, and ends the stream.
func send(w io.WriteCloser, start, n int) error {
	p := pattern()
	for sent := 0; sent < n; {
		at := (start + sent) % len(p)
		m, err := w.Write(p[at:min(len(p), at+n-sent)])
		if sent += m; err != nil {
			return fmt.Errorf("write after %d bytes: %w", sent, err)
		}
	}
	return w.Close()
}

// receive reads to the end and wants what send wrote.
func receive(r io.Reader, start, n int) error {
	p := pattern()
	b := make([]byte, 32<<10)
	for got := 0; ; {
		m, err := r.Read(b)
		for rest := b[:m]; len(rest) > 0; {
			at := (start + got) % len(p)
			k := min(len(rest), len(p)-at)
			if !bytes.Equal(rest[:k], p[at:at+k]) {
				return fmt.Errorf("bytes %d to %d are not what was sent", got, got+k)
			}
			got += k
			rest = rest[k:]
		}
		switch {
		case err == io.EOF && got != n:
			return fmt.Errorf("got %d bytes, want %d", got, n)
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("read after %d bytes: %w", got, err)
		}
	}
}

// exchange transfers n bytes each way over the stream, at the same time.
func exchange(client, server stream, n int) error {
	results := make(chan error)
	for _, f := range []func() error{
		func() error { return send(client, 1, n) },
		func() error { return receive(client, 2, n) },
		func() error { return send(server, 2, n) },
		func() error { return receive(server, 1, n) },
	} {
		go func() { results <- f() }()
	}
	var errs []error
	for range 4 {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

// bulkSize is what the large transfer carries, bytes.
const bulkSize = 100_000_000

// TestBulk: 100 MB in one stream, from the client.
func TestBulk(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		r.events = nil
		p := r.connect()
		from, err := p.client.open(r.ctx)
		r.must(err)
		sent := make(chan error, 1)
		go func() { sent <- send(from, 0, bulkSize) }()
		to, err := p.server.accept(r.ctx)
		r.must(err)
		if err := receive(to, 0, bulkSize); err != nil {
			t.Error(err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// TestLoss: both handshakes and transfers over a path that loses one datagram in 20
// each way.
func TestLoss(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		l := r.listen()
		y := newRelay(r, l.addr())
		y.setLoss(0.05)
		p := r.connectTo(l, y.addr())
		client, server := p.stream()
		if err := exchange(client, server, 2_000_000); err != nil {
			t.Error(err)
		}
		if y.losses() == 0 {
			t.Error("nothing was lost")
		}
	})
}
