package quicgo

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// pooled returns a piece as a lane makes it: in a buffer of the pool.
func pooled(pool *chunkPool, stream []byte, lo, hi int) piece {
	buf := pool.get()
	n := copy(buf[frameHeader:], stream[lo:hi])
	return piece{offset: int64(lo), data: buf[frameHeader : frameHeader+n], buf: buf}
}

// numbered returns n bytes that say where they are.
func numbered(n int) []byte {
	b := make([]byte, 0, n+4)
	for i := 0; i < n; i += 4 {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	return b[:n]
}

func TestReassemblerPutsInOrder(t *testing.T) {
	stream := numbered(40_000)
	tests := map[string][][2]int{
		"in order":                {{0, 100}, {100, 200}, {200, 300}},
		"backwards":               {{200, 300}, {100, 200}, {0, 100}},
		"twice":                   {{100, 200}, {100, 200}, {0, 100}, {0, 100}, {200, 300}},
		"overlap at the front":    {{0, 150}, {100, 300}},
		"overlap with early":      {{100, 200}, {50, 250}, {0, 60}, {240, 300}},
		"around two early ones":   {{50, 100}, {150, 200}, {0, 300}},
		"inside an early one":     {{100, 300}, {150, 200}, {0, 100}},
		"large pieces, backwards": {{10_000, 40_000}, {0, 10_000}},
	}
	for name, ranges := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReassembler(1<<20, &chunkPool{})
			end := 0
			for _, lh := range ranges {
				end = max(end, lh[1])
			}
			for _, lh := range ranges {
				if _, err := r.insert(pooled(r.pool, stream, lh[0], lh[1]), lh[1] == end); err != nil {
					t.Fatal(err)
				}
			}
			if !r.complete() {
				t.Fatalf("not complete: next %d of %d", r.next, r.final)
			}
			got := make([]byte, end+1)
			if n := r.copyOut(got); n != end || !bytes.Equal(got[:n], stream[:end]) {
				t.Fatalf("got %d bytes, want the first %d of the stream", n, end)
			}
			if !r.drained() {
				t.Error("not drained")
			}
		})
	}
}

func TestReassemblerRefuses(t *testing.T) {
	stream := numbered(1000)
	tests := map[string]func(*reassembler) error{
		"past the window": func(r *reassembler) error {
			_, err := r.insert(pooled(r.pool, stream, 50, 101), false)
			return err
		},
		"past the end": func(r *reassembler) error {
			r.insert(pooled(r.pool, stream, 0, 10), true)
			_, err := r.insert(pooled(r.pool, stream, 5, 11), false)
			return err
		},
		"a second end": func(r *reassembler) error {
			r.insert(pooled(r.pool, stream, 0, 10), true)
			_, err := r.insert(pooled(r.pool, stream, 0, 9), true)
			return err
		},
		"an end before what came in order": func(r *reassembler) error {
			r.insert(pooled(r.pool, stream, 0, 10), false)
			_, err := r.insert(pooled(r.pool, stream, 0, 9), true)
			return err
		},
		"an end before what came early": func(r *reassembler) error {
			r.insert(pooled(r.pool, stream, 20, 30), false)
			_, err := r.insert(pooled(r.pool, stream, 0, 25), true)
			return err
		},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			if err := f(newReassembler(100, &chunkPool{})); err == nil {
				t.Error("took it")
			}
		})
	}
}

func TestReassemblerWindowFollowsTheReader(t *testing.T) {
	stream := numbered(300)
	r := newReassembler(100, &chunkPool{})
	r.insert(pooled(r.pool, stream, 0, 100), false)
	if _, err := r.insert(pooled(r.pool, stream, 100, 110), false); err == nil {
		t.Error("took bytes past the window")
	}
	if n := r.copyOut(make([]byte, 40)); n != 40 || r.limit() != 140 {
		t.Fatalf("read %d, limit %d, want 40 and 140", n, r.limit())
	}
	if _, err := r.insert(pooled(r.pool, stream, 100, 140), false); err != nil {
		t.Error(err)
	}
}

// TestReassemblerIsTheStream inserts random runs and reads at random times: what
// comes out is the stream, no more than has arrived, and the counts agree.
func TestReassemblerIsTheStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20_000).Draw(t, "size")
		window := rapid.IntRange(1, 20_000).Draw(t, "window")
		stream := numbered(size)
		r := newReassembler(int64(window), &chunkPool{})
		var out []byte
		have := make([]bool, size)
		inserted := 0
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "read") {
				buf := make([]byte, rapid.IntRange(0, 9000).Draw(t, "buffer"))
				out = append(out, buf[:r.copyOut(buf)]...)
				continue
			}
			lo := rapid.IntRange(0, size-1).Draw(t, "from")
			hi := rapid.IntRange(lo, min(size, lo+chunkSize)).Draw(t, "to")
			inside := hi <= len(out)+window
			_, err := r.insert(pooled(r.pool, stream, lo, hi), hi == size)
			if (err == nil) != inside {
				t.Fatalf("insert %d to %d with %d read and a window of %d: %v", lo, hi, len(out), window, err)
			}
			if err == nil {
				inserted += hi - lo
				for i := lo; i < hi; i++ {
					have[i] = true
				}
			}
		}
		next := 0
		distinct := 0
		for i, h := range have {
			if h {
				distinct++
				if i == next {
					next++
				}
			}
		}
		if r.next != int64(next) || r.duplicates != int64(inserted-distinct) {
			t.Fatalf("next %d, duplicates %d, want %d and %d", r.next, r.duplicates, next, inserted-distinct)
		}
		rest := make([]byte, size)
		out = append(out, rest[:r.copyOut(rest)]...)
		if !bytes.Equal(out, stream[:next]) {
			t.Fatalf("read %d bytes, want the first %d of the stream", len(out), next)
		}
	})
}

// FuzzReassembler takes pairs of 16-bit numbers as runs of a stream.
func FuzzReassembler(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 2, 0, 1, 0})
	f.Add([]byte{1, 0, 255, 255, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, runs []byte) {
		const size = 1 << 16
		stream := numbered(2 * size)
		r := newReassembler(size, &chunkPool{})
		buf := make([]byte, 777)
		var read int64
		for ; len(runs) >= 4; runs = runs[4:] {
			lo := int(binary.BigEndian.Uint16(runs))
			n := int(binary.BigEndian.Uint16(runs[2:])) % (chunkSize + 1)
			_, _ = r.insert(pooled(r.pool, stream, lo, lo+n), runs[0]&0x80 != 0)
			m := r.copyOut(buf)
			if !bytes.Equal(buf[:m], stream[read:read+int64(m)]) {
				t.Fatalf("at %d: the bytes are not the stream's", read)
			}
			read += int64(m)
		}
		if r.next > r.limit() || r.read != read || r.final >= 0 && r.next > r.final {
			t.Fatalf("read %d of %d, next %d, limit %d, final %d", r.read, read, r.next, r.limit(), r.final)
		}
	})
}
