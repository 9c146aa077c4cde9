package calibrate

import (
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	ms   = time.Millisecond
	mbit = emulation.Rate(1e6)
)

func lte() emulation.Impairments {
	return emulation.Impairments{Rate: 12 * mbit, Delay: 35 * ms, Jitter: 5 * ms, Loss: 0.01, Queue: emulation.Queue{Time: 100 * ms}}
}

func with(f func(*emulation.Impairments)) emulation.Impairments {
	i := lte()
	f(&i)
	return i
}

func request(imp emulation.Impairments) Request {
	return Request{Impairments: imp, MTU: 1500, Headers: 28}
}

// through returns what a probe would see that was planned for asked and went through a
// wire that does real.
func through(t *testing.T, asked, real Request, f Form, seed uint64) observation {
	t.Helper()
	var packets []sent
	for _, it := range plan(asked, f) {
		packets = append(packets, sent{1e18 + int64(it.at), it.size, it.phase})
	}
	o, err := expect(real, packets, 0, seed)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// missed returns the names of the checks that failed.
func missed(v Verdict) []string {
	var names []string
	for _, c := range v.Checks {
		if !c.OK {
			names = append(names, c.Name)
		}
	}
	return names
}

// cases are impairments of every kind.
func cases() map[string]emulation.Impairments {
	return map[string]emulation.Impairments{
		"lte":      lte(),
		"nothing":  {},
		"only mtu": {MTU: 1300},
		"bursts": with(func(i *emulation.Impairments) {
			i.Loss, i.GilbertElliott = 0, emulation.GilbertElliott{P: 0.02, R: 0.25, H: 0, K: 1}
		}),
		"four-state": with(func(i *emulation.Impairments) {
			i.FourState = emulation.FourState{P13: 0.01, P31: 0.3, P32: 0.2, P23: 0.1}
		}),
		"every 50th": with(func(i *emulation.Impairments) { i.Loss, i.LoseEvery = 0, 50 }),
		"copies":     with(func(i *emulation.Impairments) { i.Duplicate, i.Corrupt = 0.02, 0.02 }),
		"reorder":    with(func(i *emulation.Impairments) { i.Reorder.Probability = 0.05 }),
		"normal":     with(func(i *emulation.Impairments) { i.Distribution = emulation.Normal }),
		"pareto":     with(func(i *emulation.Impairments) { i.Distribution = emulation.Pareto }),
		"slots":      with(func(i *emulation.Impairments) { i.Slot = emulation.Slot{Min: ms, Max: 10 * ms, Packets: 42} }),
		"codel":      with(func(i *emulation.Impairments) { i.Queue.Discipline = emulation.CoDel }),
		"drop-head":  with(func(i *emulation.Impairments) { i.Queue.Discipline = emulation.DropHead }),
		"packets":    with(func(i *emulation.Impairments) { i.Queue = emulation.Queue{Packets: 50} }),
		"trace":      with(func(i *emulation.Impairments) { i.Rate, i.Capacity = 0, &emulation.Trace{1, 2, 2, 5, 9, 9, 10} }),
		"steps": with(func(i *emulation.Impairments) {
			i.Rate, i.Steps = 0, &emulation.Schedule{Columns: emulation.StepRate, Period: 100 * ms, Steps: []emulation.Step{{Rate: 5 * mbit}, {At: 50 * ms, Rate: 20 * mbit}}}
		}),
		"hole": with(func(i *emulation.Impairments) { i.MTU = 1400 }),
	}
}

// What does as asked passes, for many seeds, in both forms.
func TestVerdictOnWhatWasAsked(t *testing.T) {
	for name, imp := range cases() {
		for form, f := range map[string]Form{"short": Short(), "full": Full()} {
			t.Run(name+"/"+form, func(t *testing.T) {
				seeds := uint64(12)
				if form == "full" {
					f.Stream, f.Train, seeds = time.Second, time.Second, 3 // as long as the statistics need, not the machine
				}
				for seed := range seeds {
					v, err := judge(request(imp), f, through(t, request(imp), request(imp), f, 1000+seed), 0)
					if err != nil {
						t.Fatal(err)
					}
					if !v.OK() {
						t.Errorf("seed %d: misses %v: %+v", seed, missed(v), v.Checks)
					}
					if v.Sent == 0 || len(v.Checks) < 5 {
						t.Errorf("seed %d: %d packets, %d checks", seed, v.Sent, len(v.Checks))
					}
				}
			})
		}
	}
}

// What does something else is told by the check that is for it.
func TestVerdictOnWhatWasNotAsked(t *testing.T) {
	bursty := with(func(i *emulation.Impairments) {
		i.Loss, i.GilbertElliott = 0, emulation.GilbertElliott{P: 0.02, R: 0.2, H: 0, K: 1}
	})
	for _, tt := range []struct {
		name, check string
		asked, real emulation.Impairments
	}{
		{"longer delay", "delay", lte(), with(func(i *emulation.Impairments) { i.Delay += 2 * ms })},
		{"shorter delay", "delay", lte(), with(func(i *emulation.Impairments) { i.Delay -= 2 * ms })},
		{"no jitter", "spread", lte(), with(func(i *emulation.Impairments) { i.Jitter = 0 })},
		{"more jitter", "spread", lte(), with(func(i *emulation.Impairments) { i.Jitter *= 2 })},
		{"lower rate", "rate", lte(), with(func(i *emulation.Impairments) { i.Rate = i.Rate * 95 / 100 })},
		{"higher rate", "rate", lte(), with(func(i *emulation.Impairments) { i.Rate = i.Rate * 105 / 100 })},
		{"no rate", "rate", lte(), with(func(i *emulation.Impairments) { i.Rate, i.Queue = 0, emulation.Queue{} })},
		{"shorter queue", "queue", lte(), with(func(i *emulation.Impairments) { i.Queue.Time = 60 * ms })},
		{"longer queue", "queue", lte(), with(func(i *emulation.Impairments) { i.Queue.Time = 150 * ms })},
		{"loss", "loss", with(func(i *emulation.Impairments) { i.Loss = 0 }), lte()},
		{"more loss", "loss", lte(), with(func(i *emulation.Impairments) { i.Loss = 0.1 })},
		{"single losses", "burst", bursty, with(func(i *emulation.Impairments) { i.Loss = 0.09 })},
		{"copies", "duplicated", lte(), with(func(i *emulation.Impairments) { i.Duplicate = 0.05 })},
		{"other order", "reordered", lte(), with(func(i *emulation.Impairments) { i.Reorder.Probability = 0.05 })},
		{"hole", "mtu", lte(), with(func(i *emulation.Impairments) { i.MTU = 1499 })},
		{"no hole", "mtu", with(func(i *emulation.Impairments) { i.MTU = 1400 }), lte()},
		{"black hole", "loss", lte(), with(func(i *emulation.Impairments) { i.Blackhole = true })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Full()
			f.Stream, f.Train = 4*time.Second, time.Second
			v, err := judge(request(tt.asked), f, through(t, request(tt.asked), request(tt.real), f, 7), 0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(missed(v), tt.check) {
				t.Errorf("misses %v, want %s among them: %+v", missed(v), tt.check, v.Checks)
			}
		})
	}
}

// The model follows the timeline from the lab's start, not from the probe's.
func TestVerdictFollowsTheTimeline(t *testing.T) {
	r := request(lte())
	r.Timeline = emulation.Timeline{{At: 100 * ms, Every: 200 * ms, Patch: emulation.Patch{Fields: emulation.FieldDelay, Values: emulation.Impairments{Delay: 80 * ms}}}}
	o := through(t, r, r, Short(), 5)
	for _, tt := range []struct {
		name  string
		start int64
		r     Request
		ok    bool
	}{
		{"as it is", 0, r, true},
		{"that it is not told", 0, request(lte()), false},
		{"that starts later", o.sent[0].at + int64(time.Second), r, false},
	} {
		v, err := judge(tt.r, Short(), o, tt.start)
		if err != nil || v.OK() != tt.ok {
			t.Errorf("a timeline %s: ok %v (%v), want %v: misses %v", tt.name, v.OK(), err, tt.ok, missed(v))
		}
	}
}

// What a train does not fill is not said to be right.
func TestNoRateWithoutAFullTrain(t *testing.T) {
	for _, tt := range []struct {
		rate emulation.Rate
		want bool
	}{{400 * mbit, true}, {599 * mbit, true}, {1000 * mbit, true}, {1650 * mbit, true}, {2999 * mbit, true}, {3000 * mbit, false}, {0, false}} {
		f := Short()
		f.Packets = 500
		r := request(emulation.Impairments{Rate: tt.rate, Delay: ms})
		v, err := judge(r, f, through(t, r, r, f, 5), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"rate", "queue"} {
			if got := slices.ContainsFunc(v.Checks, func(c Check) bool { return c.Name == name }); got != tt.want {
				t.Errorf("%d bit/s: a check of the %s %v, want %v", tt.rate, name, got, tt.want)
			}
		}
	}
}

func TestReceiverThatLosesIsAMiss(t *testing.T) {
	o := through(t, request(lte()), request(lte()), Short(), 5)
	o.overflow = 3
	if v, _ := judge(request(lte()), Short(), o, 0); !slices.Equal(missed(v), []string{"receiver"}) {
		t.Errorf("misses %v, want the receiver", missed(v))
	}
}

func TestNothingSentIsNoVerdict(t *testing.T) {
	v, err := judge(request(lte()), Short(), observation{}, 0)
	if err != nil || len(v.Checks) != 1 {
		t.Errorf("got %+v, %v; want the receiver's check alone", v, err)
	}
}

func TestPlan(t *testing.T) {
	for name, imp := range cases() {
		r := request(imp)
		var last time.Duration
		counts := map[phase]int{}
		for i, it := range plan(r, Full()) {
			if it.at < last || it.size > r.MTU || it.size < r.Headers+leastPayload {
				t.Fatalf("%s: packet %d at %v after %v, %d bytes", name, i, it.at, last, it.size)
			}
			last = it.at
			counts[it.phase]++
		}
		if last > 25*time.Second {
			t.Errorf("%s: takes %v", name, last)
		}
		if counts[pulse] != Full().Pulses || counts[stream] == 0 || counts[sizes] < sizeTries || (counts[train] > 0) != (imp.MeanRate() > 0) {
			t.Errorf("%s: packets by phase %v", name, counts)
		}
	}
}
