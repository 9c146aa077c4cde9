package congest

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// couple returns paths of a Group, past slow start: windows in datagrams, RTTs in ms.
// 0 ms is not known.
func couple(t *testing.T, name string, paths ...[2]float64) []*newReno {
	t.Helper()
	g, err := NewGroup(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		r := g.New(Config{Datagram: dgram, Now: 1}).(*newReno)
		r.window, r.srtt = wire.ByteCount(p[0]*float64(dgram)), time.Duration(p[1]*float64(ms))
		r.ssthresh = 2 * dgram
	}
	return slices.Clone(g.paths)
}

func nearly(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > 1e-9*math.Abs(want)+1e-12 {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// RFC 6356, section 3: alpha, by hand. Windows are in datagrams there: what alpha is
// does not depend on the unit.
func TestLIAAlpha(t *testing.T) {
	tests := []struct {
		name  string
		paths [][2]float64
		want  float64
	}{
		// 20 * (10/0.01) / (10/0.1 + 10/0.1)^2 = 20000/40000
		{"two equal", [][2]float64{{10, 100}, {10, 100}}, 0.5},
		// 30 * max(10/0.0001, 20/0.01) / (10/0.01 + 20/0.1)^2 = 30*100000/1440000
		{"10 ms and 100 ms", [][2]float64{{10, 10}, {20, 100}}, 30 * 100000.0 / 1440000},
		// 60 * max(10/.01, 20/.04, 30/.09) / (10/.1 + 20/.2 + 30/.3)^2 = 60*1000/90000
		{"three", [][2]float64{{10, 100}, {20, 200}, {30, 300}}, 60 * 1000.0 / 90000},
		{"one", [][2]float64{{17, 33}}, 1},
		{"one RTT is not known", [][2]float64{{10, 100}, {500, 0}}, 1},
		{"a window of 0", [][2]float64{{10, 100}, {0, 50}}, 1},
		{"none is known", [][2]float64{{10, 0}, {10, 0}}, 1},
		{"no path", nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			alpha, _ := liaAlpha(couple(t, "lia", tt.paths...))
			nearly(t, "alpha", alpha, tt.want)
		})
	}
}

// RFC 6356, section 3: the increase is the lesser of the coupled one and NewReno's.
// Shares are over NewReno's.
func TestLIAShare(t *testing.T) {
	tests := []struct {
		name  string
		paths [][2]float64
		want  []float64
	}{
		// alpha 0.5, window 10 of 20
		{"two equal", [][2]float64{{10, 100}, {10, 100}}, []float64{0.25, 0.25}},
		// alpha 25/12: 25/12 * 10/30 and 25/12 * 20/30, which is more than NewReno's
		{"10 ms and 100 ms", [][2]float64{{10, 10}, {20, 100}}, []float64{25.0 / 36, 1}},
		{"one", [][2]float64{{17, 33}}, []float64{1}},
		{"the other is not known", [][2]float64{{10, 100}, {500, 0}}, []float64{1, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, r := range couple(t, "lia", tt.paths...) {
				nearly(t, "share", r.share(), tt.want[i])
			}
		})
	}
}

// draft-khalili-mptcp-congestion-control-05, section 3, by hand.
func TestOLIAShare(t *testing.T) {
	tests := []struct {
		name  string
		paths [][2]float64
		acked []wire.ByteCount // since the last loss
		want  []float64
	}{
		// Equal windows are all the largest: nothing to move. (100/200)^2
		{"two equal", [][2]float64{{10, 100}, {10, 100}}, []wire.ByteCount{5, 5}, []float64{0.25, 0.25}},
		// The first is best and has the smaller window: 1/(2*1); the second pays.
		// (100/300)^2 + 0.5, (200/300)^2 - 0.5
		{"the smaller is best", [][2]float64{{10, 100}, {20, 100}}, []wire.ByteCount{9, 5}, []float64{1.0/9 + 0.5, 4.0/9 - 0.5}},
		{"the larger is best", [][2]float64{{10, 100}, {20, 100}}, []wire.ByteCount{5, 9}, []float64{1.0 / 9, 4.0 / 9}},
		// Half the RTT is worth four times the bytes.
		{"the faster is best", [][2]float64{{10, 50}, {20, 100}}, []wire.ByteCount{3, 9}, []float64{0.25 + 0.5, 0.25 - 0.5}},
		// Two largest pay a sixth each, one best gets a third, one is neither.
		{
			"four",
			[][2]float64{{20, 100}, {20, 100}, {10, 100}, {10, 100}},
			[]wire.ByteCount{1, 1, 5, 2},
			[]float64{1.0/9 - 0.125, 1.0/9 - 0.125, 1.0/36 + 0.25, 1.0 / 36},
		},
		{"one", [][2]float64{{10, 100}}, []wire.ByteCount{5}, []float64{1}},
		{"the other is not known", [][2]float64{{10, 100}, {20, 0}}, []wire.ByteCount{5, 90}, []float64{1, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			paths := couple(t, "olia", tt.paths...)
			for i, r := range paths {
				r.sinceLoss = tt.acked[i]
			}
			for i, r := range paths {
				nearly(t, "share", r.share(), tt.want[i])
			}
		})
	}
}

// The larger of the bytes since the last loss and between the last two counts.
func TestOLIALossIntervals(t *testing.T) {
	r := couple(t, "olia", [2]float64{10, 1000})[0]
	ack := func(n wire.ByteCount) { r.linked.ack(Ack{Bytes: n, MinRTT: 1, SmoothedRTT: time.Second}) }
	for i, step := range []struct {
		do   func()
		want float64
	}{
		{func() { ack(70) }, 70},
		{r.lose, 70},
		{func() { ack(30) }, 70},
		{r.lose, 30},
		{func() { ack(40) }, 40},
	} {
		step.do()
		if got := r.oliaQuality(); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

// draft-walid-mptcp-congestion-control-04, by hand: the increase, and the window after
// a loss.
func TestBALIA(t *testing.T) {
	tests := []struct {
		name    string
		paths   [][2]float64
		want    []float64
		reduced []float64 // datagrams
	}{
		// alpha 1: (1/2)^2 * 1 * 1, half
		{"two equal", [][2]float64{{10, 100}, {10, 100}}, []float64{0.25, 0.25}, []float64{5, 5}},
		// x = 100 and 300: alpha 3 and 1. (1/4)^2 * 4/2 * 7/5, (3/4)^2.
		// 10 - 5*1.5, 30 - 15*1.
		{"a third", [][2]float64{{10, 100}, {30, 100}}, []float64{1.0 / 16 * 2 * 1.4, 9.0 / 16}, []float64{2.5, 15}},
		// x = 100 and 120: alpha 1.2. 10 - 5*1.2.
		{"nearly equal", [][2]float64{{10, 100}, {24, 200}}, []float64{math.Pow(100.0/220, 2) * 1.1 * 1.04, math.Pow(120.0/220, 2)}, []float64{4, 12}},
		{"one", [][2]float64{{10, 100}}, []float64{1}, []float64{5}},
		{"the other is not known", [][2]float64{{10, 100}, {24, 0}}, []float64{1, 1}, []float64{5, 12}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, r := range couple(t, "balia", tt.paths...) {
				nearly(t, "share", r.share(), tt.want[i])
				near(t, "reduced", r.reduced(), wire.ByteCount(tt.reduced[i]*float64(dgram)))
			}
		})
	}
}

// RFC 9002, section 7.3.3: MUST limit the increase to one datagram for each window
// that is acknowledged, also of the path that OLIA favours.
func TestCoupledIncreaseIsLimited(t *testing.T) {
	paths := couple(t, "olia", [2]float64{10, 10}, [2]float64{11, 100})
	paths[0].sinceLoss = 100
	if got := oliaShare(paths[0], paths); got <= 1 {
		t.Fatalf("OLIA would have %v of NewReno's increase: not the case to test", got)
	}
	if got := paths[0].share(); got != 1 {
		t.Errorf("share = %v, want 1", got)
	}
}

// acknowledge has a path's whole window acknowledged, packet by packet, n times.
func acknowledge(r *newReno, rtt time.Duration, n int) {
	now := clock.Time(time.Hour)
	for range n {
		window := r.window
		r.OnSent(now, Sent{Bytes: window, InFlight: window})
		for left := window; left > 0; left -= dgram {
			r.OnAck(now, Ack{
				Bytes: min(dgram, left), LargestSent: now, PriorInFlight: left, MinRTT: rtt, SmoothedRTT: rtt, RoundStart: left == window,
			})
		}
	}
}

// Two equal paths grow a quarter as fast as NewReno, each: by a datagram in four
// windows.
func TestLIAGrowth(t *testing.T) {
	paths := couple(t, "lia", [2]float64{20, 100}, [2]float64{20, 100})
	for range 12 {
		acknowledge(paths[0], 100*ms, 1)
		acknowledge(paths[1], 100*ms, 1)
	}
	for _, r := range paths {
		if got := r.window / dgram; got != 22 && got != 23 {
			t.Errorf("window after 12 round trips = %d datagrams, want 23 or a little less", got)
		}
	}
	// A path that is closed does not count.
	g := paths[0].group
	g.Remove(paths[0])
	g.Remove(paths[0]) // no more of it
	alone := paths[1]
	if len(g.paths) != 1 || g.paths[0] != alone {
		t.Fatalf("%d paths left, want the second", len(g.paths))
	}
	before := alone.window
	acknowledge(alone, 100*ms, 3)
	if got := (alone.window - before) / dgram; got != 2 && got != 3 {
		t.Errorf("the last path grew by %d datagrams in three windows, want NewReno's 3", got)
	}
}

// OLIA takes from the largest window, down to the minimum, while a better path has a
// smaller one.
func TestOLIATakesBack(t *testing.T) {
	paths := couple(t, "olia", [2]float64{10, 100}, [2]float64{20, 100})
	paths[0].sinceLoss, paths[1].sinceLoss = 1<<40, 0
	before := paths[1].window
	acknowledge(paths[1], 100*ms, 40)
	if paths[1].window >= before {
		t.Errorf("window = %d, want less than %d", paths[1].window, before)
	}
	small := couple(t, "olia", [2]float64{1, 100}, [2]float64{2, 1000})
	small[0].sinceLoss, small[1].ssthresh = 1<<40, 1
	acknowledge(small[1], 1000*ms, 100)
	if got := small[1].window; got < 2*dgram {
		t.Errorf("window = %d, want two datagrams at least", got)
	}
}

// A coupled controller alone does what NewReno does, to the byte.
func TestCoupledAloneIsNewReno(t *testing.T) {
	for _, name := range []string{"lia", "olia", "balia"} {
		g, err := NewGroup(name)
		if err != nil {
			t.Fatal(err)
		}
		reno, coupled := newFlow(t, "newreno"), newFlow(t, name)
		coupled.c = g.New(Config{Datagram: dgram, Now: coupled.now})
		for i := range 300 {
			for _, f := range []*flow{reno, coupled} {
				f.fill()
				f.advance(10 * ms)
				if i%60 == 40 {
					f.lose(1)
				}
				f.ack(3, f.srtt)
			}
			if reno.window() != coupled.window() {
				t.Fatalf("%s: window = %d after %d steps, NewReno has %d", name, coupled.window(), i, reno.window())
			}
		}
	}
}

// Groups of names that are not coupled make what New makes.
func TestGroupOfUncoupled(t *testing.T) {
	for _, name := range []string{"newreno", "cubic", "bbr"} {
		g, err := NewGroup(name)
		if err != nil {
			t.Fatal(err)
		}
		c := g.New(Config{Datagram: dgram, Now: 1})
		alone, err := New(name, Config{Datagram: dgram, Now: 1})
		if err != nil {
			t.Fatal(err)
		}
		if c.State() != alone.State() {
			t.Errorf("%s: %+v in a group, %+v alone", name, c.State(), alone.State())
		}
		g.Remove(c)
		if len(g.paths) != 0 {
			t.Errorf("%s: %d coupled paths", name, len(g.paths))
		}
	}
	if _, err := NewGroup("vegas"); err == nil {
		t.Error("NewGroup(vegas) made one")
	}
}

func TestCoupledAllocations(t *testing.T) {
	for _, name := range []string{"lia", "olia", "balia"} {
		paths := couple(t, name, [2]float64{20, 100}, [2]float64{30, 50}, [2]float64{10, 10})
		if n := testing.AllocsPerRun(50, func() {
			for _, r := range paths {
				acknowledge(r, r.srtt, 1)
			}
			paths[0].OnLoss(clock.Time(2*time.Hour), Loss{LargestSent: clock.Time(time.Hour)})
		}); n != 0 {
			t.Errorf("%s: %v allocations per round, want 0", name, n)
		}
	}
}
