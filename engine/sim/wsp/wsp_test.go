package wsp

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestDesignKeepsItsDistance(t *testing.T) {
	for _, tt := range []struct {
		name          string
		n, dimensions int
		// random is how close the closest two of as many random points come, about: the
		// design must be far above.
		atLeast float64
	}{
		{"a line", 10, 1, 0.05},
		{"a plane", 50, 2, 0.08},
		{"the experiment's without loss", Points, 6, 0.3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			points, err := Design(tt.n, tt.dimensions, 1)
			if err != nil || len(points) != tt.n {
				t.Fatalf("%d points, %v; want %d", len(points), err, tt.n)
			}
			closest := math.Inf(1)
			for i, p := range points {
				for _, q := range points[:i] {
					closest = min(closest, math.Sqrt(squared(p, q)))
				}
			}
			if closest < tt.atLeast {
				t.Errorf("the closest two points are %v apart, want %v or more", closest, tt.atLeast)
			}
		})
	}
}

func TestDesignFillsTheCube(t *testing.T) {
	points, err := Design(Points, 6, 1)
	if err != nil {
		t.Fatal(err)
	}
	for d := range 6 {
		var quarters [4]int
		for _, p := range points {
			quarters[int(p[d]*4)]++
		}
		if slices.Min(quarters[:]) < Points/8 {
			t.Errorf("dimension %d: %v points in its quarters, want them even", d, quarters)
		}
	}
}

func TestDesignRepeats(t *testing.T) {
	same := func(a, b []float64) bool { return slices.Equal(a, b) }
	a, errA := Design(60, 4, 7)
	b, errB := Design(60, 4, 7)
	other, errC := Design(60, 4, 8)
	if errA != nil || errB != nil || errC != nil {
		t.Fatal(errA, errB, errC)
	}
	if !slices.EqualFunc(a, b, same) {
		t.Error("one seed gave two designs")
	}
	if slices.EqualFunc(a, other, same) {
		t.Error("two seeds gave one design")
	}
}

func TestNoDesignIsAnError(t *testing.T) {
	for _, size := range [][2]int{{0, 2}, {3, 0}, {-1, -1}} {
		if _, err := Design(size[0], size[1], 1); err == nil {
			t.Errorf("Design(%d, %d): no error", size[0], size[1])
		}
	}
}

func TestScenariosStayInTheirRanges(t *testing.T) {
	for _, c := range Classes() {
		t.Run(c.Name, func(t *testing.T) {
			all, err := c.Scenarios()
			if err != nil || len(all) != Points {
				t.Fatalf("%d scenarios, %v; want %d", len(all), err, Points)
			}
			lossy := 0
			for i, s := range all {
				for _, p := range s.Paths {
					if p.Capacity < minCapacity || p.Capacity > maxCapacity || p.RTT < 0 || p.RTT > c.MaxRTT ||
						p.Queueing < 0 || p.Queueing > c.MaxQueueing || p.Loss < 0 || p.Loss > c.MaxLoss {
						t.Errorf("scenario %d: path %+v is out of range", i, p)
					}
					if p.Loss > 0 {
						lossy++
					}
				}
				if s.Point != i || s.Class != c.Name {
					t.Errorf("scenario %d is called %s %d", i, s.Class, s.Point)
				}
			}
			if (lossy > 0) != (c.MaxLoss > 0) {
				t.Errorf("%d paths lose packets, want some: %v", lossy, c.MaxLoss > 0)
			}
		})
	}
}

func TestLinkOfAPath(t *testing.T) {
	for _, tt := range []struct {
		name    string
		path    Path
		packets int
	}{
		{"a queue in time", Path{Capacity: 12e6, RTT: 40 * time.Millisecond, Queueing: 100 * time.Millisecond}, 100},
		{"a part of a packet", Path{Capacity: 12e6, Queueing: 100500 * time.Microsecond}, 101},
		{"hardly a queue", Path{Capacity: 100e3, Queueing: 10 * time.Millisecond}, minQueue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := tt.path.Link("l", 3)
			if l.Up != l.Down || l.Up.Rate != tt.path.Capacity || 2*l.Up.Delay != tt.path.RTT || l.Up.Queue.Packets != tt.packets {
				t.Errorf("link %+v, want the path each way and a queue of %d packets", l.Up, tt.packets)
			}
		})
	}
}
