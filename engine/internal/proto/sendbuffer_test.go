package proto

import (
	"bytes"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"pgregory.net/rapid"
)

// TestSendBufferModel runs a buffer against all bytes ever written and what became
// of each.
func TestSendBufferModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := buf.NewPool(64, 4)
		var copied, wrote uint64
		var b sendBuffer
		b.init(pool, &copied)
		lent := 0 // not given back

		var all []byte
		type frame struct {
			off uint64
			n   int
		}
		var flight []frame // those acknowledged included: they may be so again
		acked := map[uint64]bool{}
		inFlight := map[uint64]int{}

		fill := func(p []byte) {
			for i := range p {
				p[i] = byte((len(all) + i) * 7)
			}
		}
		pick := func(t *rapid.T) frame {
			if len(flight) == 0 {
				t.Skip("nothing sent")
			}
			return rapid.SampledFrom(flight).Draw(t, "frame")
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				p := make([]byte, rapid.IntRange(0, 200).Draw(t, "n"))
				fill(p)
				b.write(p)
				all, wrote = append(all, p...), wrote+uint64(len(p))
				fill(p) // the buffer must not look at it any more
			},
			"reserve": func(t *rapid.T) {
				p := b.reserve()
				fill(p)
				n := rapid.IntRange(0, len(p)).Draw(t, "n")
				b.commit(n)
				all = append(all, p[:n]...)
			},
			"lend": func(t *rapid.T) {
				p := make([]byte, rapid.IntRange(0, 100).Draw(t, "n"))
				fill(p)
				lent++
				b.lend(p, func() { lent-- })
				all = append(all, p...)
			},
			"send": func(t *rapid.T) {
				most := rapid.IntRange(1, 150).Draw(t, "most")
				f := frame{b.sent, min(most, int(b.unsent(b.sent+uint64(most))))}
				if lost, ok := b.lost.first(); ok {
					f = frame{lost.start, min(most, int(lost.len()))}
				}
				if f.n == 0 {
					t.Skip("nothing to send")
				}
				if got, want := b.appendTo(nil, f.off, f.n), all[f.off:f.off+uint64(f.n)]; !bytes.Equal(got, want) {
					t.Fatalf("bytes at %d: %x, want %x", f.off, got, want)
				}
				b.markSent(f.off, f.n)
				flight = append(flight, f)
				for i := range f.n {
					inFlight[f.off+uint64(i)]++
				}
			},
			"ack": func(t *rapid.T) {
				f := pick(t)
				b.ack(f.off, uint32(f.n))
				for i := range f.n {
					acked[f.off+uint64(i)] = true
				}
			},
			"lose": func(t *rapid.T) {
				f := pick(t)
				b.lose(f.off, uint32(f.n))
				for i := range f.n {
					inFlight[f.off+uint64(i)] = 0
				}
			},
			"": func(t *rapid.T) {
				if b.end != uint64(len(all)) {
					t.Fatalf("end %d, want %d", b.end, len(all))
				}
				base := uint64(0)
				for acked[base] {
					base++
				}
				if b.base != base || b.buffered() != b.end-base {
					t.Fatalf("base %d and %d buffered, want %d and %d", b.base, b.buffered(), base, b.end-base)
				}
				for off := b.base; off < b.sent; off++ {
					// What is lost and not acknowledged is to be sent; what is acknowledged never.
					if got := b.lost.contains(off); (got && acked[off]) || (!got && !acked[off] && inFlight[off] == 0) {
						t.Fatalf("byte %d to be sent again: %v; acknowledged: %v, %d in flight", off, got, acked[off], inFlight[off])
					}
				}
				// Chunks are full, or the last before something else, so memory is bounded.
				if got := pool.InUse(); got > len(b.segs) || (len(b.segs) > 0 && b.segs[0].end() <= b.base && b.base < b.end) {
					t.Fatalf("%d chunks in use, %d segments from %d on, base %d", got, len(b.segs), b.segs[0].off, b.base)
				}
				if copied != wrote {
					t.Fatalf("counted %d bytes copied, want %d", copied, wrote)
				}
			},
		})
		b.discard()
		if pool.InUse() != 0 || lent != 0 || b.buffered() != 0 {
			t.Fatalf("after discard: %d chunks in use, %d lent, %d bytes", pool.InUse(), lent, b.buffered())
		}
	})
}

func TestSendBufferFreesChunks(t *testing.T) {
	pool := buf.NewPool(100, 4)
	var copied uint64
	var b sendBuffer
	b.init(pool, &copied)
	b.write(make([]byte, 250))
	b.markSent(0, 250)
	steps := []struct {
		off, n, want int // chunks in use afterwards
	}{
		{100, 100, 3}, // behind a gap
		{0, 99, 3},
		{99, 1, 1}, // two chunks at once
		{200, 50, 0},
	}
	for _, s := range steps {
		b.ack(uint64(s.off), uint32(s.n))
		if got := pool.InUse(); got != s.want {
			t.Fatalf("%d chunks in use after %d+%d, want %d", got, s.off, s.n, s.want)
		}
	}
}

// TestSendBufferKeepsReserved: memory that somebody fills must not go.
func TestSendBufferKeepsReserved(t *testing.T) {
	pool := buf.NewPool(10, 4)
	var copied uint64
	var b sendBuffer
	b.init(pool, &copied)
	b.write([]byte("hello"))
	b.markSent(0, 5)
	p := b.reserve()
	b.ack(0, 5)
	copy(p, "you")
	b.commit(3)
	if got := string(b.slice(5, 10)); got != "you" {
		t.Errorf("%q was committed, want %q", got, "you")
	}
}

func TestSendBufferRewinds(t *testing.T) {
	var copied uint64
	var b sendBuffer
	b.init(buf.NewPool(10, 4), &copied)
	b.write(make([]byte, 30))
	b.markSent(0, 20)
	b.lose(5, 5)
	b.rewind()
	if b.sent != 0 || b.unsent(100) != 30 || b.lost.len() != 0 {
		t.Errorf("rewound: sent %d, %d unsent, %d ranges lost; want 0, 30, 0", b.sent, b.unsent(100), b.lost.len())
	}
}
