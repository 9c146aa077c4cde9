package sched

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	now   = start
	plent = wire.ByteCount(1 << 30) // as much as one likes
)

// bulk is a transfer whose end is far.
func bulk() Need { return Need{Ready: plent, Credit: plent} }

// ending is the last n bytes.
func ending(n wire.ByteCount) Need { return Need{Ready: n, Credit: plent, Ending: true} }

// path is a path whose window is one round trip of its rate, half of it used, with room
// for ten datagrams.
func path(id wire.PathID, rtt time.Duration, rate float64) View {
	w := wire.ByteCount(rate * rtt.Seconds())
	return View{
		ID: id, Room: 10 * dgram, Next: now, Window: w, InFlight: w / 2,
		SRTT: rtt, MinRTT: rtt, Datagram: dgram, Rate: int64(rate),
	}
}

func wifi(id wire.PathID) View { return path(id, 10*ms, 60*mbit) }
func lte(id wire.PathID) View  { return path(id, 70*ms, 40*mbit) }

// full has a path wait for an acknowledgment.
func full(v View) View {
	v.Room, v.Next, v.InFlight = 0, clock.Never, v.Window
	return v
}

// paced has a path wait for its pacer.
func paced(v View, d time.Duration) View {
	v.Room, v.Next = 0, now.Add(d)
	return v
}

func suspect(v View) View { v.Suspect = true; return v }
func standby(v View) View { v.Backup = true; return v }
func young(v View) View   { v.SlowStart = true; return v }

// unmeasured is a path just validated.
func unmeasured(id wire.PathID) View {
	return View{ID: id, Room: 10 * dgram, Next: now, Window: 10 * dgram, Datagram: dgram}
}

// describe writes paths in lines, for failures.
func describe(paths []View) string {
	var b strings.Builder
	for i, v := range paths {
		fmt.Fprintf(&b, "\n  [%d] %+v", i, v)
	}
	return b.String()
}

// choice is a named case of a scheduler's Pick.
type choice struct {
	name  string
	paths []View
	need  Need
	want  int
}

// check has a fresh scheduler decide each case, twice, since a decision that nothing
// followed binds nobody.
func check(t *testing.T, scheduler string, cases []choice) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := New(scheduler)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := s.Pick(now, c.paths, c.need); got != c.want {
					t.Fatalf("%s picks %d, want %d, for %+v of:%s", scheduler, got, c.want, c.need, describe(c.paths))
				}
			}
		})
	}
}

// share sends total bytes in trains of the given sizes, in turn, while all paths keep
// their views, and returns the bytes of each path.
func share(t *testing.T, s Scheduler, paths []View, total int, trains ...int) []int {
	t.Helper()
	sent := make([]int, len(paths))
	for i, n := 0, 0; n < total; i++ {
		p := s.Pick(now, paths, bulk())
		if p == Wait || paths[p].Room == 0 {
			t.Fatalf("picks %d after %d bytes, want a path with room, of:%s", p, n, describe(paths))
		}
		train := trains[i%len(trains)]
		s.OnSent(paths[p].ID, wire.ByteCount(train))
		sent[p] += train
		n += train
	}
	return sent
}

// wantParts holds bytes against parts of their sum, to within 1 %.
func wantParts(t *testing.T, sent []int, parts ...float64) {
	t.Helper()
	sum, whole := 0, 0.0
	for i := range sent {
		sum, whole = sum+sent[i], whole+parts[i]
	}
	for i := range sent {
		got, want := float64(sent[i])/float64(sum), parts[i]/whole
		if got < want-0.01 || got > want+0.01 {
			t.Errorf("path %d has %.4f of %d bytes %v, want %.4f", i, got, sum, sent, want)
		}
	}
}
