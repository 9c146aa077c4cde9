package proto

import (
	"bytes"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"pgregory.net/rapid"
)

// streamTestByte is the content of a stream, at each offset.
func streamTestByte(off uint64) byte { return byte(off*131 + off>>8*17 + off>>16*29) }

func streamTestFill(p []byte, off uint64) {
	for i := range p {
		p[i] = streamTestByte(off + uint64(i))
	}
}

// streamTestRig drives a reassembler and knows what it must give.
type streamTestRig struct {
	r      reassembler
	pool   *buf.Pool
	copied uint64
	buffer *buf.Buffer // being filled with frames
	used   int
	have   []bool // by offset
	views  []buf.View
	at     []uint64 // of each view
}

func newStreamTestRig(bufferSize, window int) *streamTestRig {
	g := &streamTestRig{pool: buf.NewPool(bufferSize, 8), have: make([]bool, window)}
	g.r.copied = &g.copied
	return g
}

// insert gives the reassembler the bytes from off on, in a buffer shared with the
// frames before, in a fresh one, or in none.
func (g *streamTestRig) insert(off, n int, fresh, none bool) {
	n = min(n, len(g.have)-off, g.pool.Size())
	for i := range n {
		g.have[off+i] = true
	}
	if none {
		data := make([]byte, n)
		streamTestFill(data, uint64(off))
		g.r.insert(uint64(off), data, nil)
		clear(data) // a borrow is over
		return
	}
	if g.buffer == nil || fresh || len(g.buffer.Data)-g.used < n {
		g.drop()
		g.buffer, g.used = g.pool.Get(), 0
		clear(g.buffer.Data) // what is not retained may be overwritten
	}
	data := g.buffer.Data[g.used : g.used+n]
	streamTestFill(data, uint64(off))
	g.used += n
	g.r.insert(uint64(off), data, g.buffer)
}

func (g *streamTestRig) drop() {
	if g.buffer != nil {
		g.buffer.Release()
		g.buffer = nil
	}
}

// ready returns the first offset that never came.
func (g *streamTestRig) ready() int {
	for i, have := range g.have {
		if !have {
			return i
		}
	}
	return len(g.have)
}

func (g *streamTestRig) fatalIfWrong(t interface{ Fatalf(string, ...any) }, off uint64, p []byte) {
	want := make([]byte, len(p))
	streamTestFill(want, off)
	if !bytes.Equal(p, want) {
		t.Fatalf("%d bytes at %d are not those that came", len(p), off)
	}
}

// read checks what Read gives.
func (g *streamTestRig) read(t interface{ Fatalf(string, ...any) }, n int) {
	off, want := g.r.next, min(n, g.ready()-int(g.r.next))
	p := make([]byte, n)
	if got := g.r.read(p); got != want {
		t.Fatalf("read(%d) at %d = %d, want %d", n, off, got, want)
	}
	g.fatalIfWrong(t, off, p[:want])
}

// pop takes a view, which stays.
func (g *streamTestRig) pop(t interface{ Fatalf(string, ...any) }) {
	off := g.r.next
	v, ok := g.r.pop()
	if ok != (g.ready() > int(off)) {
		t.Fatalf("pop at %d gave %v; %d bytes are in order", off, ok, g.ready())
	}
	if ok {
		g.views, g.at = append(g.views, v), append(g.at, off)
	}
}

// check compares with what came. Views lent earlier must not have changed.
func (g *streamTestRig) check(t interface{ Fatalf(string, ...any) }) {
	if got, want := g.r.readable(), g.ready()-int(g.r.next); got != want {
		t.Fatalf("%d readable, want %d", got, want)
	}
	for i, v := range g.views {
		g.fatalIfWrong(t, g.at[i], v.Bytes)
	}
}

// finish reads the rest and checks that no buffer stays in use.
func (g *streamTestRig) finish(t interface{ Fatalf(string, ...any) }) {
	g.read(t, g.r.readable()+1)
	g.check(t)
	for i := range g.views {
		g.views[i].Release()
	}
	g.r.discard()
	g.drop()
	if n := g.pool.InUse(); n != 0 {
		t.Fatalf("%d buffers in use at the end", n)
	}
}

func TestReassemblerModel(t *testing.T) {
	const window = 5 * pageSize / 2
	rapid.Check(t, func(t *rapid.T) {
		g := newStreamTestRig(2000, window)
		near := func(t *rapid.T) int { // mostly close to what is missing
			if rapid.IntRange(0, 3).Draw(t, "anywhere") == 0 {
				return rapid.IntRange(0, window-1).Draw(t, "off")
			}
			return max(0, min(window-1, int(g.r.ready)+rapid.IntRange(-300, 3000).Draw(t, "ahead")))
		}
		t.Repeat(map[string]func(*rapid.T){
			"in order": func(t *rapid.T) {
				n := rapid.IntRange(0, 2000).Draw(t, "n")
				g.insert(min(int(g.r.ready), window-1), n, rapid.Bool().Draw(t, "fresh"), rapid.IntRange(0, 9).Draw(t, "none") == 0)
			},
			"any": func(t *rapid.T) {
				off, n := near(t), rapid.IntRange(0, 2000).Draw(t, "n")
				g.insert(off, n, rapid.Bool().Draw(t, "fresh"), rapid.IntRange(0, 9).Draw(t, "none") == 0)
			},
			"tiny ones": func(t *rapid.T) {
				off, step := near(t), rapid.IntRange(1, 3).Draw(t, "step")
				for i := range rapid.IntRange(1, 60).Draw(t, "n") {
					g.insert(min(off+i*step, window-1), 1, false, false)
				}
			},
			"read": func(t *rapid.T) { g.read(t, rapid.IntRange(0, 5000).Draw(t, "n")) },
			"pop":  func(t *rapid.T) { g.pop(t) },
			"":     func(t *rapid.T) { g.check(t) },
		})
		g.finish(t)
	})
}

// FuzzReassembly takes operations from bytes: what to do, where, how much.
func FuzzReassembly(f *testing.F) {
	f.Add([]byte{0, 0, 0, 10, 0, 20, 0, 10, 0, 10, 0, 10, 4, 0, 0, 255})
	f.Add([]byte{1, 1, 0, 1, 1, 3, 0, 1, 1, 5, 0, 1, 3, 0, 0, 50, 5, 0, 0, 0})
	f.Add([]byte{2, 255, 255, 255, 2, 0, 0, 255, 0, 0, 0, 255, 5, 0, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		const window = 2 * pageSize
		g := newStreamTestRig(512, window)
		for len(ops) >= 4 && len(ops) < 4<<10 {
			off, n := (int(ops[1])|int(ops[2])<<8)%window, int(ops[3])
			switch ops[0] % 6 {
			case 0:
				g.insert(off, n, false, false)
			case 1:
				g.insert(off, n, true, false)
			case 2:
				g.insert(off, n, false, true)
			case 3: // many small ones with gaps
				for i := range n {
					g.insert(min(off+2*i, window-1), 1, false, false)
				}
			case 4:
				g.read(t, n)
			case 5:
				g.pop(t)
			}
			if ops = ops[4:]; len(ops)%64 < 4 {
				g.check(t)
			}
		}
		g.finish(t)
	})
}

func TestReassemblerDoesNotCopy(t *testing.T) {
	tests := []struct {
		name   string
		frames [][2]int // offset, length
		copied uint64
		buffer bool // the frames have one
	}{
		{"in order", [][2]int{{0, 1000}, {1000, 1000}, {2000, 500}}, 0, true},
		{"out of order", [][2]int{{1000, 1000}, {2000, 1000}, {0, 1000}}, 0, true},
		{"twice", [][2]int{{0, 1000}, {0, 1000}, {2000, 500}, {2000, 500}, {1000, 1000}}, 0, true},
		{"overlapping", [][2]int{{0, 1000}, {500, 1000}, {3000, 1000}, {2500, 1000}, {1400, 1200}}, 0, true},
		{"without a buffer", [][2]int{{0, 1000}, {1500, 500}, {1000, 500}}, 2500, false}, // early ones twice
		{"some small ones", [][2]int{{0, 1000}, {1000, 10}, {1010, 10}}, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newStreamTestRig(8<<10, 10000)
			for _, f := range tt.frames {
				g.insert(f[0], f[1], false, !tt.buffer)
			}
			if g.copied != tt.copied {
				t.Errorf("%d bytes copied, want %d", g.copied, tt.copied)
			}
			g.finish(t)
		})
	}
}

func TestReassemblerCopiesManySmallOnes(t *testing.T) {
	g := newStreamTestRig(8<<10, 10000)
	for i := range 1000 {
		g.insert(i, 1, false, false)
	}
	if n := len(g.r.queue) - g.r.head; n > 40 || g.copied < 900 {
		t.Errorf("%d pieces and %d bytes copied of 1000 bytes by one, want some dozens and most", n, g.copied)
	}
	g.finish(t)
}

// TestReassemblerForgetsPages: what was early once leaves nothing behind in a long
// stream.
func TestReassemblerForgetsPages(t *testing.T) {
	var r reassembler
	data, p := make([]byte, pageSize), make([]byte, 2*pageSize)
	for range 100 {
		r.insert(r.ready+10, data[:10], nil)
		if len(r.pages) > 2 {
			t.Fatalf("%d pages for ten bytes, want 2 at most", len(r.pages))
		}
		r.insert(r.ready, data[:30], nil)
		for range 5 {
			r.insert(r.ready, data, nil)
			r.read(p)
		}
		if r.early != 0 {
			t.Fatalf("%d bytes early, want 0", r.early)
		}
	}
}

// TestReassemblerMemory sends what costs the receiver most: single bytes, most in a
// buffer of their own.
func TestReassemblerMemory(t *testing.T) {
	const (
		window = 256 << 10
		size   = 64 << 10
	)
	tests := []struct {
		name   string
		offset func(i int) int // of the i-th byte
		n      int
		share  int // frames to a buffer
	}{
		{"in order", func(i int) int { return i }, window, 1},
		{"every other", func(i int) int { return 2*i + 1 }, window / 2, 1},
		{"every other, sharing buffers", func(i int) int { return 2*i + 1 }, window / 2, size},
		{"in order, sharing buffers", func(i int) int { return i }, window, size},
		{"backwards", func(i int) int { return window - 1 - i }, window - 1, 1},
		{"one for each page", func(i int) int { return (i + 1) * pageSize }, window/pageSize - 1, 1},
		{"stride of 200", func(i int) int { return 200*i + 1 }, window / 200, 1},
		{"stride of 600", func(i int) int { return 600*i + 1 }, window / 600, 1},
		{"all over", func(i int) int { return (i*40503 + 1) % window }, window, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r reassembler
			buffers := map[*buf.Buffer]bool{}
			pool := buf.NewPool(size, 64)
			worst := 0
			b := pool.Get()
			for i := range tt.n {
				if i%tt.share == 0 {
					b.Release()
					b = pool.Get()
				}
				r.insert(uint64(tt.offset(i)), b.Data[i%size:i%size+1], b)
				worst = max(worst, pool.InUse()*size)
				if i%4096 == 0 || i == tt.n-1 {
					worst = max(worst, pool.InUse()*size+streamTestOwnMemory(&r, buffers))
				}
			}
			if limit := 3*window + pinSlack + size; worst > limit {
				t.Errorf("%d bytes of memory for a window of %d, want at most %d", worst, window, limit)
			}
			b.Release()
			r.discard()
			if n := pool.InUse(); n != 0 {
				t.Errorf("%d buffers in use at the end", n)
			}
		})
	}
}

// streamTestOwnMemory returns the memory of copies and of book-keeping.
func streamTestOwnMemory(r *reassembler, seen map[*buf.Buffer]bool) int {
	clear(seen)
	sum := cap(r.queue)*48 + cap(r.pages)*8
	for _, p := range r.queue[r.head:] {
		if p.own && !seen[p.view.Buffer] {
			seen[p.view.Buffer] = true
			sum += len(p.view.Buffer.Data)
		}
	}
	for _, p := range r.pages {
		if p == nil {
			continue
		}
		sum += cap(p.pieces) * 48
		if p.flat != nil {
			sum += len(p.flat.buffer.Data) + pageSize/8
		}
	}
	return sum
}

func TestReassemblerInOrderDoesNotAllocate(t *testing.T) {
	pool := buf.NewPool(1500, 4)
	var r reassembler
	p := make([]byte, 1500)
	if n := testing.AllocsPerRun(1000, func() {
		b := pool.Get()
		r.insert(r.ready, b.Data[40:1400], b)
		b.Release()
		r.read(p)
	}); n > 0 {
		t.Errorf("%v allocations for a frame in order, want 0", n)
	}
	// Two frames the wrong way round, over many pages.
	if n := testing.AllocsPerRun(1000, func() {
		b := pool.Get()
		r.insert(r.ready+700, b.Data[700:1400], b)
		r.insert(r.ready, b.Data[:700], b)
		b.Release()
		r.read(p)
	}); n > 0 {
		t.Errorf("%v allocations for two frames out of order, want 0", n)
	}
}
