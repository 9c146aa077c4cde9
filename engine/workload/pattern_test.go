package workload

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// wordAt is the pattern as doc and comment define it, a word at a time.
func wordAt(table []byte, seed, stream, i uint64) uint64 {
	p := pattern{table: table, seed: seed, stream: stream}
	return binary.LittleEndian.Uint64(table[i%tableWords*8:]) ^ p.mix(i/tableWords)
}

func TestPatternIsTheDefinition(t *testing.T) {
	table := newTable(7)
	p := pattern{table: table, seed: 7, stream: 3}
	got := make([]byte, 3*blockBytes)
	p.fill(got, 0)
	want := make([]byte, 0, len(got))
	for i := range uint64(len(got) / 8) {
		want = binary.LittleEndian.AppendUint64(want, wordAt(table, 7, 3, i))
	}
	if i := firstUnequal(got, want); i >= 0 {
		t.Fatalf("byte %d: got %#x, want %#x", i, got[i], want[i])
	}
}

func firstUnequal(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

func TestFillAndCheckAtAnyOffset(t *testing.T) {
	table := newTable(1)
	rapid.Check(t, func(t *rapid.T) {
		p := pattern{table: table, seed: 1, stream: rapid.Uint64().Draw(t, "stream")}
		off := rapid.Int64Range(0, 4*blockBytes).Draw(t, "offset")
		size := rapid.IntRange(0, 2*blockBytes).Draw(t, "size")
		whole := make([]byte, size+int(off%8))
		p.fill(whole, off-off%8)
		part := make([]byte, size)
		p.fill(part, off)
		if !bytes.Equal(part, whole[off%8:]) {
			t.Fatal("an unaligned fill differs from the aligned one")
		}
		if got := p.check(part, off); got != -1 {
			t.Fatalf("byte %d of a right buffer is called wrong", got)
		}
		if size == 0 {
			return
		}
		at := rapid.IntRange(0, size-1).Draw(t, "broken byte")
		part[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if got := p.check(part, off); got != at {
			t.Fatalf("first wrong byte: got %d, want %d", got, at)
		}
	})
}

func TestPatternDependsOnPosition(t *testing.T) {
	table := newTable(1)
	p := pattern{table: table, seed: 1, stream: 0}
	here := make([]byte, blockBytes)
	p.fill(here, 0)
	tests := map[string]struct {
		p   pattern
		off int64
	}{
		"eight bytes on":       {p, 8},
		"one byte on":          {p, 1},
		"one block on":         {p, blockBytes},
		"many blocks on":       {p, 1 << 20 * blockBytes},
		"the next stream":      {pattern{table: table, seed: 1, stream: 1}, 0},
		"another seed's words": {pattern{table: table, seed: 2, stream: 0}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if i := test.p.check(here, test.off); i < 0 || i > 16 {
				t.Errorf("first wrong byte is %d, want one of the first 16", i)
			}
		})
	}
}

func BenchmarkFill(b *testing.B) {
	p := pattern{table: newTable(1), seed: 1}
	buf := make([]byte, segmentMax)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	var off int64
	for b.Loop() {
		p.fill(buf, off)
		off += int64(len(buf))
	}
}

func BenchmarkCheck(b *testing.B) {
	p := pattern{table: newTable(1), seed: 1}
	buf := make([]byte, segmentMax)
	p.fill(buf, 0)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if p.check(buf, 0) >= 0 {
			b.Fatal("a right buffer is called wrong")
		}
	}
}
