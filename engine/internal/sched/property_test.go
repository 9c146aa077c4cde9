package sched

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// drawView draws a path that proto might show, and some that it should not.
func drawView(t *rapid.T, id wire.PathID) View {
	bytes := rapid.OneOf(rapid.Int64Range(0, 4<<20), rapid.SampledFrom([]int64{0, 1, 1 << 50}))
	rtt := rapid.OneOf(rapid.Int64Range(0, int64(time.Second)), rapid.SampledFrom([]int64{0, 1, int64(time.Hour)}))
	v := View{
		ID:       id,
		Next:     now,
		Window:   wire.ByteCount(bytes.Draw(t, "window")),
		InFlight: wire.ByteCount(bytes.Draw(t, "in flight")),
		SRTT:     time.Duration(rtt.Draw(t, "srtt")),
		MinRTT:   time.Duration(rtt.Draw(t, "min rtt")),
		RTTVar:   time.Duration(rtt.Draw(t, "rttvar")),
		Datagram: dgram, Rate: bytes.Draw(t, "rate"),
		SlowStart: rapid.Bool().Draw(t, "slow start"),
		Backup:    rapid.IntRange(0, 4).Draw(t, "backup") == 0,
		Suspect:   rapid.IntRange(0, 4).Draw(t, "suspect") == 0,
		Weight:    rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 1000)).Draw(t, "weight"),
	}
	if rapid.Bool().Draw(t, "room") {
		v.Room = wire.ByteCount(rapid.Int64Range(1, 64<<10).Draw(t, "how much"))
	} else {
		v.Next = rapid.SampledFrom([]clock.Time{clock.Never, now.Add(ms), now.Add(time.Second)}).Draw(t, "next")
	}
	return v
}

func drawPaths(t *rapid.T) (paths []View) {
	ids := rapid.SliceOfNDistinct(rapid.Uint32Range(0, 40), 0, maxPaths, rapid.ID).Draw(t, "ids")
	slices.Sort(ids)
	for _, id := range ids {
		paths = append(paths, drawView(t, wire.PathID(id)))
	}
	return paths
}

func drawNeed(t *rapid.T) Need {
	bytes := rapid.OneOf(rapid.Int64Range(0, 4<<20), rapid.SampledFrom([]int64{0, 1, 1 << 50}))
	return Need{
		Ready: wire.ByteCount(bytes.Draw(t, "ready")), Credit: wire.ByteCount(bytes.Draw(t, "credit")),
		Ending: rapid.Bool().Draw(t, "ending"),
	}
}

// Whatever it is shown, a scheduler returns a path with room, of the group that may be
// used; or Wait when some path is open. Two that were told the same answer the same.
func TestPickIsAllowed(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				a, _ := New(name)
				b, _ := New(name)
				at := now
				for range rapid.IntRange(1, 20).Draw(t, "picks") {
					at = at.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "later")))
					paths, need := drawPaths(t), drawNeed(t)
					before := slices.Clone(paths)
					i := a.Pick(at, paths, need)
					if j := b.Pick(at, paths, need); i != j {
						t.Fatalf("picks %d, and another one that was told the same %d, of:%s", i, j, describe(paths))
					}
					if !slices.EqualFunc(before, paths, sameView) {
						t.Fatalf("Pick changed the paths from:%s\nto:%s", describe(before), describe(paths))
					}
					if i == Wait {
						continue
					}
					if i < 0 || i >= len(paths) || paths[i].Room <= 0 {
						t.Fatalf("picks %d, want one with room, of:%s", i, describe(paths))
					}
					if !choose(paths).has(&paths[i]) {
						t.Fatalf("picks %d while %+v is to be used, of:%s", i, choose(paths), describe(paths))
					}
					n := wire.ByteCount(rapid.Int64Range(0, 64<<10).Draw(t, "sent"))
					a.OnSent(paths[i].ID, n)
					b.OnSent(paths[i].ID, n)
				}
			})
		})
	}
}

// sameView compares bit by bit: NaN is a weight that may be drawn.
func sameView(a, b View) bool {
	if a.Weight != a.Weight && b.Weight != b.Weight {
		a.Weight, b.Weight = 0, 0
	}
	return a == b
}

// With plenty to send and to be taken, no measured path that may be used idles; backup's
// own rule aside, which is to use a single one.
func TestPickConservesWork(t *testing.T) {
	for _, name := range slices.DeleteFunc(Names(), func(n string) bool { return n == "backup" }) {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s, _ := New(name)
				for range rapid.IntRange(1, 10).Draw(t, "picks") {
					paths := drawPaths(t)
					for i := range paths {
						v := &paths[i]
						v.SRTT = max(v.SRTT, ms)
						// What blest holds against the credit: 1000 times a window at most.
						v.SRTT, v.Window = min(v.SRTT, time.Second), min(v.Window, 1<<30)
					}
					g := choose(paths)
					can := slices.ContainsFunc(paths, func(v View) bool { return g.takes(&v) })
					i := s.Pick(now, paths, Need{Ready: 1 << 50, Credit: 1 << 60})
					if can == (i == Wait) {
						t.Fatalf("picks %d, and usable with room is some: %v, of:%s", i, can, describe(paths))
					}
					if i != Wait {
						s.OnSent(paths[i].ID, dgram)
					}
				}
			})
		})
	}
}

// Whatever a scheduler waits for comes: once acknowledgments are in and pacers ready, or
// the paths that owe them suspect, it picks.
func TestWaitEnds(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s, _ := New(name)
				paths, need := drawPaths(t), drawNeed(t)
				if !slices.ContainsFunc(paths, func(v View) bool { return v.Room > 0 }) {
					return
				}
				if s.Pick(now, paths, need) != Wait {
					return
				}
				for i := range paths {
					v := &paths[i]
					switch {
					case v.Room > 0:
					case v.Next != clock.Never:
						v.Room = dgram
					case rapid.Bool().Draw(t, "acknowledged") && v.InFlight > 0:
						v.Room, v.InFlight = min(v.InFlight, dgram), 0
						v.SRTT, v.Suspect = max(v.SRTT, ms), false
					default:
						v.Suspect = true
					}
				}
				if s.Pick(now.Add(time.Second), paths, need) == Wait {
					t.Fatalf("still waits with all in that may come, for %+v of:%s", need, describe(paths))
				}
			})
		})
	}
}

// The bytes converge to the weights within 1 %, whatever the trains are, and although
// paths have no room from time to time.
func TestWeightedConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := rapid.SliceOfN(rapid.Float64Range(0.5, 300), 1, 4).Draw(t, "weights")
		trains := rapid.SliceOfN(rapid.IntRange(1, 64<<10), 1, 8).Draw(t, "trains")
		blocked := rapid.SliceOfN(rapid.IntRange(-1, len(given)-1), 1, 8).Draw(t, "blocked")
		paths, s := weights(given...), newWeighted()
		sent := make([]int, len(paths))
		sum, total := 0.0, 0
		for i := range paths {
			paths[i].Window = 4 << 20
			sum += given[i]
		}
		for i := 0; total < 100<<20; i++ {
			// Each block is for a train of the longest, every now and then.
			view := slices.Clone(paths)
			if b := blocked[i%len(blocked)]; b >= 0 && i%97 == 0 {
				view[b] = full(view[b])
			}
			p := s.Pick(now, view, bulk())
			if p == Wait {
				continue
			}
			n := trains[i%len(trains)] + dgram
			s.OnSent(paths[p].ID, wire.ByteCount(n))
			sent[p], total = sent[p]+n, total+n
		}
		for i := range sent {
			got, want := float64(sent[i])/float64(total), given[i]/sum
			if got < want-0.01 || got > want+0.01 {
				t.Fatalf("path %d has %.4f of %d bytes %v, want %.4f", i, got, total, sent, want)
			}
		}
	})
}

// Neither decides nor counts with an allocation, even as paths come and go.
func TestNoAllocations(t *testing.T) {
	many := make([]View, maxPaths)
	for i := range many {
		many[i] = path(wire.PathID(i), time.Duration(10+i)*ms, 1e6)
	}
	for _, name := range Names() {
		s, _ := New(name)
		i := 0
		got := testing.AllocsPerRun(100, func() {
			i++
			paths := many[i%3 : len(many)-i%5]
			for _, need := range []Need{bulk(), ending(30_000), {Ready: 1 << 20, Credit: 1 << 20}} {
				if p := s.Pick(now, paths, need); p != Wait {
					s.OnSent(paths[p].ID, 12_000)
				}
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations in three picks, want none", name, got)
		}
	}
}
