package workload

import "encoding/binary"

const (
	tableWords = 8192 // 64 KiB: stays in the second-level cache
	blockBytes = tableWords * 8
)

// pattern gives the bytes of one stream: the little-endian word i of the stream is
// table[i%8192] XOR mix(seed, stream, i/8192). Every word depends on its position,
// so a byte that moved, came twice or belongs to another stream shows up.
type pattern struct {
	table  []byte // tableWords words, shared by the streams of one transfer
	seed   uint64
	stream uint64
}

// newTable returns the table of a seed. It is read only from then on.
func newTable(seed uint64) []byte {
	table := make([]byte, 0, blockBytes)
	for i := range uint64(tableWords) {
		table = binary.LittleEndian.AppendUint64(table, scramble(seed+i*0x9e3779b97f4a7c15))
	}
	return table
}

// mix returns the word that block number b of the stream is XORed with.
func (p pattern) mix(b uint64) uint64 {
	return scramble(scramble(p.seed^scramble(p.stream+1)) + b)
}

// scramble is the finaliser of splitmix64: a bijection whose output bits each
// depend on every input bit.
func scramble(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// span returns the table bytes and the XOR word for stream offset off, where the
// word is turned so that its lowest byte belongs to off. It holds up to the end of
// the block.
func (p pattern) span(off int64) (table []byte, word uint64) {
	in := uint64(off) % blockBytes
	word = p.mix(uint64(off) / blockBytes)
	turn := in % 8 * 8
	return p.table[in:], word>>turn | word<<(64-turn)
}

// fill writes the stream's bytes from offset off on into dst.
func (p pattern) fill(dst []byte, off int64) {
	for len(dst) > 0 {
		src, word := p.span(off)
		n := min(len(dst), len(src))
		xorWord(dst[:n], src[:n], word)
		dst, off = dst[n:], off+int64(n)
	}
}

// xorWord sets dst to src XOR the repeated word. Both have one length.
func xorWord(dst, src []byte, word uint64) {
	for len(dst) >= 32 && len(src) >= 32 {
		d, s := dst[:32], src[:32]
		binary.LittleEndian.PutUint64(d[0:8], binary.LittleEndian.Uint64(s[0:8])^word)
		binary.LittleEndian.PutUint64(d[8:16], binary.LittleEndian.Uint64(s[8:16])^word)
		binary.LittleEndian.PutUint64(d[16:24], binary.LittleEndian.Uint64(s[16:24])^word)
		binary.LittleEndian.PutUint64(d[24:32], binary.LittleEndian.Uint64(s[24:32])^word)
		dst, src = dst[32:], src[32:]
	}
	for i := range dst {
		dst[i] = src[i] ^ byte(word>>(i%8*8))
	}
}

// check returns the index of the first byte of got that is not the stream's byte
// at off plus that index, or -1.
func (p pattern) check(got []byte, off int64) int {
	done := 0
	for done < len(got) {
		want, word := p.span(off + int64(done))
		n := min(len(got)-done, len(want))
		if i := firstDifference(got[done:done+n], want[:n], word); i >= 0 {
			return done + i
		}
		done += n
	}
	return -1
}

// firstDifference returns the first index where got is not want XOR the repeated
// word, or -1. Both have one length.
func firstDifference(got, want []byte, word uint64) int {
	base := 0
	for len(got)-base >= 32 {
		g, w := got[base:base+32], want[base:base+32]
		d := binary.LittleEndian.Uint64(g[0:8]) ^ binary.LittleEndian.Uint64(w[0:8]) ^ word
		d |= binary.LittleEndian.Uint64(g[8:16]) ^ binary.LittleEndian.Uint64(w[8:16]) ^ word
		d |= binary.LittleEndian.Uint64(g[16:24]) ^ binary.LittleEndian.Uint64(w[16:24]) ^ word
		d |= binary.LittleEndian.Uint64(g[24:32]) ^ binary.LittleEndian.Uint64(w[24:32]) ^ word
		if d != 0 {
			break
		}
		base += 32
	}
	for i := base; i < len(got); i++ {
		if got[i] != want[i]^byte(word>>((i-base)%8*8)) {
			return i
		}
	}
	return -1
}
