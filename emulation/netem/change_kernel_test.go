package netem

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/emulationtest"
)

// testChangeUnderTraffic changes everything that can be changed, again and again,
// while packets come and go: none is lost, none overtakes, counters go on.
func testChangeUnderTraffic(t *testing.T) {
	const changes, burst = 60, 100
	const ms = time.Millisecond
	table := emulation.Table{-4096, 0, 4096}
	imps := []emulation.Impairments{
		{Delay: 20 * ms},
		{Rate: 300e6, Delay: 30 * ms, Jitter: 5 * ms, Queue: emulation.Queue{Packets: 20_000}},
		{Rate: 200e6, Delay: 10 * ms, Jitter: 5 * ms, Distribution: emulation.Normal, Queue: emulation.Queue{Packets: 20_000}},
		{Delay: 25 * ms, Jitter: 5 * ms},
		{Delay: 5 * ms, Jitter: 5 * ms, Distribution: emulation.Empirical, JitterTable: &table},
		{Slot: emulation.Slot{Min: ms, Max: 2 * ms, Packets: 500}},
		{Delay: 15 * ms},
	}
	r := joined(t, 1500)
	r.must(Apply(r.ports[1], imps[0], 1))
	w := r.watch(manyFrames)
	f := r.flow(0, 60)
	for i := range changes {
		f.send(burst)
		imp := imps[i%len(imps)]
		if err := Change(r.ports[1], imp); err != nil {
			t.Fatalf("change to %+v: %v", imp, err)
		}
		w.reach((i + 1) * burst)
	}
	w.finish(changes * burst)
	last := -1
	for _, d := range w.kernel() {
		if d.Number != last+1 {
			t.Fatalf("packet %d left behind %d", d.Number, last)
		}
		last = d.Number
	}
	if c := r.state(1).Counters; last != changes*burst-1 || c.Drops != 0 || c.SentPackets != changes*burst {
		t.Errorf("packet %d was the last, counted %+v", last, c)
	}
}

// testChangeKeeps says that a change of one thing leaves the others: what is read
// back, the slots in mid-course, and the seed moves on.
func testChangeKeeps(t *testing.T) {
	const ms = time.Millisecond
	imp := emulation.Impairments{
		Delay: 10 * ms, Duplicate: 0.1, Corrupt: 0.2, Reorder: emulation.Reorder{Probability: 0.1, Gap: 3},
		Slot: emulation.Slot{Min: 400 * ms, Max: 400 * ms, Packets: 1},
	}
	r := joined(t, 1500)
	r.must(Apply(r.ports[1], imp, 7))
	seed := r.state(1).Seed
	seeds := map[uint64]bool{}
	if r.state(1).Seeded {
		seeds[seed] = true
	}
	for i := range 3 {
		imp.Delay += ms
		r.must(Change(r.ports[1], imp))
		state := r.state(1)
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
		got := state.Impairments
		if got.Delay != imp.Delay || got.Slot != imp.Slot || !near(got.Duplicate, 0.1) || !near(got.Corrupt, 0.2) ||
			!near(got.Reorder.Probability, 0.1) || got.Reorder.Gap != 3 {
			t.Errorf("after a change of the delay: %+v", got)
		}
		if state.Seeded && len(seeds) != i+1 {
			t.Errorf("after %d changes the seed %d is one of before", i+1, state.Seed)
		}
		seeds[state.Seed] = true
	}
	// Each packet needs a slot of its own, 200 ms apart. A change meanwhile must not open
	// one, which the next arrival would find.
	slots := emulation.Impairments{Slot: emulation.Slot{Min: 200 * ms, Max: 200 * ms, Packets: 1}}
	r.must(Apply(r.ports[1], slots, 7))
	w := r.watch(fewFrames)
	f := r.flow(0, 60)
	const packets = 8
	for range packets {
		r.must(Change(r.ports[1], slots))
		f.send(1)
		time.Sleep(20 * ms)
	}
	w.finish(packets)
	out := w.kernel()
	for i := 1; i < len(out); i++ {
		if apart := out[i].At.Sub(out[i-1].At); apart < 190*ms {
			t.Errorf("packet %d came %v after the one before it: a change has opened a slot", i, apart)
		}
	}
}

// testChangeNeedsOurs: there is nothing to go on with where Apply has not been.
func testChangeNeedsOurs(t *testing.T) {
	r := newRig(t, 1500)
	if err := Change(r.ports[1], emulation.Impairments{}); err == nil {
		t.Error("a change of nothing: no error")
	}
}

// testBlackhole swallows everything, whatever else is asked, and gives it up again.
func testBlackhole(t *testing.T) {
	imp := emulation.Impairments{Delay: time.Millisecond, Duplicate: 1}
	hole := imp
	hole.Blackhole = true
	r := joined(t, 1500)
	r.must(Apply(r.ports[1], imp, 1))
	r.must(Change(r.ports[1], hole))
	w := r.watch(fewFrames)
	f := r.flow(0, 60)
	f.send(50)
	w.finish(50)
	if len(w.departures) != 0 {
		t.Errorf("%d packets left a black hole", len(w.departures))
	}
	r.must(Change(r.ports[1], imp))
	f.send(50)
	w.finish(100)
	if len(w.departures) != 100 {
		t.Errorf("after it %d packets left, want 100 with copies", len(w.departures))
	}
}

// testDepartures holds each packet to the model: the same arrivals leave at the same
// times where nothing is random, and the same are dropped by a queue that is full, but
// for those that the line takes in at the beginning.
func testDepartures(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
	}{
		{"delay", emulation.Impairments{Delay: 30 * ms}},
		{"rate", emulation.Impairments{Rate: 12e6, Delay: 30 * ms}},
		{"queue", emulation.Impairments{Rate: 12e6, Delay: 10 * ms, Queue: emulation.Queue{Packets: 40}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const bursts, burst, size = 100, 15, 1500
			line, err := lineFrames(c.imp.Rate, c.imp.Delay, 1500)
			if err != nil {
				t.Fatal(err)
			}
			r := joined(t, 1500)
			again(t, func() error {
				r.must(Apply(r.ports[1], c.imp, 1))
				w := r.watch(manyFrames)
				f := r.flow(0, size)
				for range bursts {
					f.send(burst) // 18 Mbit/s
					time.Sleep(10 * ms)
				}
				w.finish(bursts * burst)
				model := w.play(c.imp, 1)
				at := make([]emulation.Time, bursts*burst)
				for _, d := range model {
					at[d.Number] = d.At
				}
				more := len(w.departures) - len(model)
				if more < 0 || more > int(line) {
					return fmt.Errorf("%d of %d packets left, want the model's %d and up to %d more", len(w.departures), bursts*burst, len(model), line)
				}
				var off []float64
				for _, d := range w.kernel() {
					if at[d.Number] != 0 {
						off = append(off, d.At.Sub(at[d.Number]).Seconds())
					}
				}
				// What the line took in at the beginning waits ahead of all others.
				slack := 0.2e-3 + float64(more*(size+ethernetHeader)*8)/12e6
				if m := median(off); m < -0.2e-3 || m > slack {
					return fmt.Errorf("the median packet left %.3f ms after the model's, want 0 to %.3f", 1e3*m, 1e3*slack)
				}
				return nil
			})
		})
	}
}

// testRateExact measures rates over a second. The machine makes few packets a second:
// for a high rate they are large, and the kernel counts bytes.
func testRateExact(t *testing.T) {
	for _, c := range []struct {
		rate emulation.Rate
		size int
	}{{1e6, 1500}, {33_333_333, 9000}, {1e9, 65_000}} {
		t.Run(fmt.Sprint(c.rate), func(t *testing.T) {
			r := joined(t, c.size)
			again(t, func() error {
				n := int(c.rate) / 8 / c.size
				r.must(Apply(r.ports[1], emulation.Impairments{Rate: c.rate}, 1))
				w := r.watch(manyFrames)
				w.sendAll(r.flow(0, c.size), n)
				got := throughput(w.kernel(), c.size+ethernetHeader)
				if math.Abs(got/float64(c.rate)-1) > 0.01 {
					return fmt.Errorf("%.0f bit/s, want %d within 1 %%", got, c.rate)
				}
				return nil
			})
		})
	}
}

// throughput returns the bits per second of back-to-back packets of one size.
func throughput(departures []emulationtest.Departure, size int) float64 {
	n := len(departures)
	return float64((n-1)*size*8) / departures[n-1].At.Sub(departures[0].At).Seconds()
}
