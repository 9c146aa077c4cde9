package proto

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestWindowTunes(t *testing.T) {
	const rtt = 100 * time.Millisecond
	tests := []struct {
		name  string
		size  uint64
		max   uint64
		rtt   time.Duration
		pace  time.Duration // between reads
		read  uint64        // each time
		times int
		want  uint64
	}{
		{"read at once", 1000, 8000, rtt, time.Millisecond, 100, 200, 8000},
		{"half a window in less than two round trips", 1000, 8000, rtt, 19 * time.Millisecond, 60, 9, 2000},
		{"half a window in more", 1000, 8000, rtt, 25 * time.Millisecond, 60, 1000, 1000},
		{"not above the most", 1000, 1500, rtt, time.Millisecond, 100, 200, 1500},
		{"round trip not known", 1000, 8000, 0, time.Millisecond, 100, 200, 1000},
		{"most below the size", 1000, 10, rtt, time.Millisecond, 100, 200, 1000},
		{"stops at four times the product", 1000, 1 << 20, rtt, 10 * time.Millisecond, 100, 1000, 4000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w window
			w.init(tt.size, tt.max)
			now := clock.Time(1)
			for range tt.times {
				now = now.Add(tt.pace)
				w.consume(now, tt.read, tt.rtt)
			}
			if w.size != tt.want {
				t.Errorf("window of %d bytes, want %d", w.size, tt.want)
			}
		})
	}
}

func TestWindowAnnouncesByTheQuarter(t *testing.T) {
	var w window
	w.init(1000, 1000)
	w.consume(1, 250, 0)
	if w.due() {
		t.Error("a quarter of the window read, and a new limit due: want it for more")
	}
	w.consume(1, 1, 0)
	if !w.due() || w.offer() != 1251 {
		t.Errorf("more than a quarter read: due %v, offers %d; want true, 1251", w.due(), w.offer())
	}
	w.told(w.offer())
	if w.due() {
		t.Error("a limit is due that was told just now")
	}
}

func TestWindowStaysOnTheWire(t *testing.T) {
	var w window
	w.init(1<<63, 1<<63)
	w.consume(1, wire.MaxVarint, 0)
	if w.limit > wire.MaxVarint || w.offer() > wire.MaxVarint {
		t.Errorf("limits %d and %d do not fit a frame", w.limit, w.offer())
	}
}

func TestCredit(t *testing.T) {
	c := credit{limit: 10, used: 10}
	if c.left() != 0 || !c.blocked() || c.tell() != 10 || c.blocked() {
		t.Error("the peer is not told once of the limit that blocks")
	}
	// RFC 9000, section 4.1: limits that do not increase MUST be ignored.
	for _, limit := range []uint64{0, 9, 10} {
		if c.raise(limit) || c.limit != 10 {
			t.Errorf("limit %d after %d was told, want 10", c.limit, limit)
		}
	}
	c.untold(9)
	if c.blocked() {
		t.Error("an old frame's loss had it sent again")
	}
	c.untold(10)
	if !c.blocked() {
		t.Error("the frame's loss did not have it sent again")
	}
	if !c.raise(12) || c.left() != 2 || c.blocked() {
		t.Errorf("%d left of 12, want 2", c.left())
	}
	c.used = 20 // refused 0-RTT
	if c.left() != 0 {
		t.Errorf("%d left above the limit, want 0", c.left())
	}
}
