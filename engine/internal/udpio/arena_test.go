package udpio

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
)

func TestArenaSharesBuffers(t *testing.T) {
	pool := buf.NewPool(1024, 4)
	var a arena
	first := a.reserve(pool, 512)
	b := a.retain()
	a.advance(100)
	second := a.reserve(pool, 512)
	if len(first)-len(second) != 128 {
		t.Errorf("after 100 bytes the next begin at %d, want 128", len(first)-len(second))
	}
	if pool.InUse() != 1 {
		t.Errorf("%d buffers for two small pieces, want 1", pool.InUse())
	}
	a.advance(400)
	if third := a.reserve(pool, 512); len(third) != 1024 {
		t.Errorf("room of %d bytes where 512 were left of 1024, but asked for more", len(third))
	}
	if pool.InUse() != 2 || b.Users() != 1 {
		t.Errorf("%d buffers in use, %d users of the first; want 2 and 1: its reader", pool.InUse(), b.Users())
	}
	b.Release()
	a.release()
	a.release()
	if pool.InUse() != 0 {
		t.Errorf("%d buffers left", pool.InUse())
	}
}

func TestArenaStartsAgain(t *testing.T) {
	pool := buf.NewPool(1024, 4)
	var a arena
	a.reserve(pool, 512)
	b := a.retain()
	a.advance(100)
	b.Release()
	if again := a.reserve(pool, 512); len(again) != 1024 {
		t.Errorf("%d bytes of a buffer that nobody uses, want all 1024", len(again))
	}
}
