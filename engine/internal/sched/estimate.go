package sched

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// rate returns what a path can carry, byte/s; 0: not known. It is the delivery rate
// that the path has shown, else a window per round trip. A path that is far from
// filled has shown what it was given, not what it can carry: the larger one counts
// then. Otherwise shares made from rates would only confirm themselves.
func (v *View) rate() float64 {
	shown := float64(v.Rate)
	if v.SRTT <= 0 || shown > 0 && v.InFlight >= v.Window/3 {
		return shown
	}
	return max(shown, float64(v.Window)/v.SRTT.Seconds())
}

// sending returns how long a path takes at least to send n bytes. Its window counts where
// that promises more than what was shown: a rate that still grows is always shown late.
func (v *View) sending(n wire.ByteCount) time.Duration {
	if !v.SlowStart {
		return seconds(float64(n) / max(float64(v.Rate), float64(v.Window)/v.SRTT.Seconds()))
	}
	// The window doubles with each round trip, and its pacer sends as much in advance
	// (RFC 9002, section 7.7, as package recovery does it).
	var t time.Duration
	if v.Room == 0 && v.Next == clock.Never {
		// A young window leaves in one burst: its acknowledgments are half a round trip
		// away on average.
		t = v.SRTT / 2
	}
	left, round := float64(n), 2*float64(max(v.Window, v.Datagram, 1))
	for left > round {
		left, round, t = left-round, 2*round, t+v.SRTT
	}
	return t + time.Duration(left/round*float64(v.SRTT))
}

// arrival returns how long it takes until n bytes have arrived over a path; ok is false
// for a path that is not measured.
func (v *View) arrival(now clock.Time, n wire.ByteCount) (d time.Duration, ok bool) {
	if v.SRTT <= 0 || v.Window <= 0 {
		return 0, false
	}
	d = v.sending(n) + v.SRTT/2
	if v.Room == 0 && v.Next != clock.Never {
		d += max(0, v.Next.Sub(now))
	}
	return d, true
}

// seconds converts; what is longer than a duration can say is the longest.
func seconds(s float64) time.Duration {
	if s > math.MaxInt64/4/float64(time.Second) || math.IsNaN(s) {
		return math.MaxInt64 / 4
	}
	return time.Duration(s * float64(time.Second))
}

// finish takes back the choice of path i where it would make the end of the data late.
//
// Once all there is has been written, a path is worth using only if its train arrives
// before another path could have brought everything that is left:
//
//	SRTT_i/2 + train/rate_i <= left/rate_j + SRTT_j/2 for all j
//
// This is the completion time of ECF (Lim and others, CoNEXT 2017, section 3), asked of
// the last byte, with rates in the place of windows. It also keeps transfers that are
// small from the start on the best path until a second one helps. It returns the better
// path, or Wait when that has no room yet.
func finish(now clock.Time, paths []View, g group, i int, need Need) int {
	if i == Wait || !need.Ending {
		return i
	}
	best := i
	first, known := paths[i].arrival(now, min(need.Ready, paths[i].Room))
	for j := range paths {
		v := &paths[j]
		if j == i || !g.has(v) || !v.open() {
			continue
		}
		if d, ok := v.arrival(now, need.Ready); ok && (!known || d < first) {
			best, first, known = j, d, true
		}
	}
	if paths[best].Room == 0 {
		return Wait
	}
	return best
}
