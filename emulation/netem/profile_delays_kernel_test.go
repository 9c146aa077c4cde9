package netem

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/emulationtest"
)

// testProfileDelays measures the delays of all directions at once, by packets that do
// not wait. The mean may be off by 1 % or 0.2 ms, whichever is more, and chance has no
// more: each direction has as many packets, on as many wires, as keep three standard
// errors within that. The jitter of wifi-busy, 15 ms, is what takes the most of both.
func testProfileDelays(t *testing.T, directions []profileDirection) {
	var all []*pulses
	for _, d := range directions {
		all = append(all, newPulses(t, d))
	}
	again(t, func() error {
		pulse(all)
		late := lateness(all)
		t.Logf("the machine's timers are %.3f ms later than their median", 1e3*emulationtest.Mean(late))
		var errs []error
		for _, p := range all {
			got := p.delays()
			mean, want := emulationtest.Mean(middle(got)), p.want(late)
			off := mean - want
			t.Logf("%s: mean delay %.3f ms, off by %+.3f, may %.3f; %d packets, standard error %.3f",
				p.name, 1e3*mean, 1e3*off, 1e3*p.may, len(got), 1e3*p.chance/math.Sqrt(float64(len(got))))
			if math.Abs(off) > p.may {
				errs = append(errs, fmt.Errorf("%s: mean delay %.3f ms, want %.3f within %.3f", p.name, 1e3*mean, 1e3*want, 1e3*p.may))
			}
		}
		return errors.Join(errs...)
	})
}

// lateness returns how much later than their median the packets of steady delays were:
// that is the machine's timers. What shifts the median, too, shows in every mean.
func lateness(all []*pulses) (late []float64) {
	for _, p := range all {
		if !p.steady() {
			continue
		}
		delays := p.delays()
		usual := median(delays)
		for _, d := range delays {
			late = append(late, d-usual)
		}
	}
	return late
}

// pulses are packets of one direction that come one by one.
type pulses struct {
	profileDirection
	model  []float64 // delays of packets that do not wait, in seconds
	may    float64   // the mean be off
	chance float64   // the mean's standard error, times √n

	apart   time.Duration
	each    int // packets on each wire
	flows   []*flow
	watches []*watch
	next    []time.Time
}

// spread is how much the distances between packets vary: those of two wires must not
// keep step, lest one's are late by the other's.
const spread = 5 * time.Millisecond

// newPulses makes the wires.
func newPulses(t *testing.T, d profileDirection) *pulses {
	t.Helper()
	const (
		takes = 24 * time.Second
		least = 400    // packets
		errs  = 3      // standard errors of the mean
		late  = 0.1e-3 // left to the machine's timers
	)
	model := idleDelays(t, d.imp)
	p := &pulses{profileDirection: d, model: model, chance: trimmedError(model)}
	p.may = max(0.01*emulationtest.Mean(middle(model)), 0.2e-3)
	n := max(least, int(math.Pow(errs*p.chance/(p.may-late), 2)))

	_, longest := delays(d.imp)
	p.apart = max(10*time.Millisecond, 2*(longest-d.imp.Delay)+5*time.Millisecond)
	if d.imp.Slot != (emulation.Slot{}) {
		// An arrival would plan the slot of one that waits anew, see Limitations.
		p.apart = longest + d.imp.Slot.Max + 5*time.Millisecond
	}
	most := int(takes / (p.apart + spread/2))
	wires := (n + most - 1) / most
	p.each = (n + wires - 1) / wires
	for range wires {
		r := joined(t, 1500)
		r.must(Apply(r.ports[1], d.imp, 1))
		p.flows, p.watches = append(p.flows, r.flow(0, 60)), append(p.watches, r.watch(fewFrames))
	}
	p.next = make([]time.Time, wires)
	return p
}

// pulse sends all that there is to send.
func pulse(all []*pulses) {
	start := time.Now()
	for _, p := range all {
		for i, w := range p.watches {
			w.arrivals, w.departures, p.flows[i].sent = nil, nil, 0
			p.next[i] = start.Add(p.apart * time.Duration(i) / time.Duration(len(p.next)))
		}
	}
	for now, more := start, true; more; now = time.Now() {
		more = false
		for _, p := range all {
			more = p.pulse(now) || more
		}
		time.Sleep(200 * time.Microsecond)
	}
	for _, p := range all {
		for _, w := range p.watches {
			w.finish(p.each)
		}
	}
}

// pulse sends what is due, and returns whether there is more.
func (p *pulses) pulse(now time.Time) bool {
	more := false
	for i, f := range p.flows {
		if f.sent == uint64(p.each) {
			continue
		}
		more = true
		if now.Before(p.next[i]) {
			continue
		}
		w := p.watches[i]
		w.arrivals, w.departures = append(w.arrivals, w.in.take()...), append(w.departures, w.out.take()...)
		f.send(1)
		p.next[i] = now.Add(p.apart + rand.N(spread))
	}
	return more
}

// delays returns how long the packets were held, in seconds.
func (p *pulses) delays() (held []float64) {
	for _, w := range p.watches {
		held = append(held, w.delays()...)
	}
	return held
}

// steady reports whether nothing is random but how late the machine is.
func (p *pulses) steady() bool { return p.imp.Jitter == 0 && p.imp.Slot == (emulation.Slot{}) }

// want returns the mean delay of the model on a machine whose timers are late. Of
// steady delays the latest are cut off; of others they are among the rest, and there
// the lateness of the steady ones is taken off. netem waits for a delay and then for a
// slot: that is late twice.
func (p *pulses) want(late []float64) float64 {
	waits := 1
	switch {
	case p.steady() || len(late) == 0:
		waits = 0
	case p.imp.Slot != (emulation.Slot{}):
		waits = 2
	}
	random := rand.New(rand.NewPCG(1, uint64(len(late))))
	held := slices.Clone(p.model)
	for i := range held {
		for range waits {
			held[i] += late[random.IntN(len(late))]
		}
	}
	return emulationtest.Mean(middle(held))
}

// idleDelays returns the model's delays for packets that do not wait.
func idleDelays(t *testing.T, imp emulation.Impairments) []float64 {
	t.Helper()
	arrivals := emulationtest.Every(time.Second, 100_000, 60+ethernetHeader)
	out, _, err := emulationtest.Play(imp, emulation.NewSeed(1, "idle", "up"), arrivals)
	if err != nil {
		t.Fatal(err)
	}
	return emulationtest.Delays(arrivals, out)
}

// trimmedError returns the standard error of the mean of the middle of a sample's
// distribution, times √n: the deviation with both ends pulled in to where they are cut
// off, over the share of the middle (Tukey and McLaughlin 1963).
func trimmedError(sample []float64) float64 {
	inner := middle(sample)
	cut := (len(sample) - len(inner)) / 2
	pulled := slices.Concat(slices.Repeat(inner[:1], cut), inner, slices.Repeat(inner[len(inner)-1:], cut))
	return deviation(pulled) * float64(len(sample)) / float64(len(inner))
}
