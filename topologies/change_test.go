package topologies

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

// changing is a link whose two directions differ.
func changing() Link {
	ms := time.Millisecond
	return Link{
		Name: "lte", MTU: 1500,
		Up: emulation.Impairments{
			Rate: 10e6, Delay: 30 * ms, Jitter: 5 * ms, Distribution: emulation.Normal,
			Queue: emulation.Queue{Time: 100 * ms, Mark: emulation.Limit{Packets: 20}},
		},
		Down: emulation.Impairments{
			Rate: 40e6, Delay: 30 * ms, Loss: 0.01, GilbertElliott: emulation.GilbertElliott{P: 0.01, R: 0.2, K: 1},
			Queue: emulation.Queue{Bytes: 64000},
		},
	}
}

func TestParsePatch(t *testing.T) {
	for _, tt := range []struct {
		text string // with spaces
		want string // both directions after the change, or part of the error
	}{
		{"rate=5mbit", "5mbit 30ms±5ms normal queue 100ms ecn | 5mbit 30ms loss 1% loss gilbert-elliott queue 64KB"},
		{"down.rate=5mbit", "| 5mbit 30ms loss 1% loss gilbert-elliott queue 64KB"},
		{"rate=5mbit down.rate=1mbit", "5mbit 30ms±5ms normal queue 100ms ecn | 1mbit 30ms loss 1% loss gilbert-elliott queue 64KB"},
		{"loss=2%", "10mbit 30ms±5ms normal loss 2% queue 100ms ecn | 40mbit 30ms loss 2% queue 64KB"},
		{"down.loss.random=2%", "| 40mbit 30ms loss 2% loss gilbert-elliott queue 64KB"},
		{"down.loss.gilbert-elliott=none", "| 40mbit 30ms loss 1% queue 64KB"},
		{"down.loss={every:\u00a0100}", "| 40mbit 30ms loss of every 100. queue 64KB"},
		{"up.jitter=1ms", "10mbit 30ms±1ms queue 100ms ecn |"},
		{"up.jitter.width=1ms", "10mbit 30ms±1ms normal queue 100ms ecn |"},
		{"up.jitter.distribution=pareto", "10mbit 30ms±5ms pareto queue 100ms ecn |"},
		{"up.queue.discipline=codel", "10mbit 30ms±5ms normal queue 100ms codel ecn |"},
		{"up.queue=50packets", "10mbit 30ms±5ms normal queue 50packets |"},
		{"up.delay=60ms up.jitter.width=60ms", "10mbit 60ms±60ms normal queue 100ms ecn |"},
		{"blackhole=true", "10mbit 30ms±5ms normal queue 100ms ecn blackhole | 40mbit 30ms loss 1% loss gilbert-elliott queue 64KB blackhole"},
		{"down.capacity.generate=lte", "| trace of"},
		{"down.steps=[{at:\u00a00s,rate:\u00a01mbit},{at:\u00a05s,rate:\u00a03mbit}]", "| steps of"},
		{"up.rate=unlimited up.queue=unlimited", "30ms±5ms normal |"},
		{"up={rate:\u00a07mbit}", "7mbit 30ms±5ms normal queue 100ms ecn |"},

		{"", "0 assignments: expected 1 to 256"},
		{"rate", `"rate" is no assignment: expected key=value`},
		{"=5mbit", `"=5mbit" is no assignment`},
		{"rate=5", `rate: "5" has no unit: expected a rate with its unit, such as 5mbit`},
		{"rte=5mbit", `unknown key "rte"`},
		{"rte=5mbit", `did you mean "rate"?`},
		{"up.rte=5mbit", `up: unknown key "rte"`},
		{"rate=5mbit loss=1", `loss: "1" has no unit`},
		{"rate=5mbit rate=6mbit", "rate: assigned twice"},
		{"queue=5packets queue.mark=5packets", "queue.mark: assigned twice"},
		{"queue.mark=5packets queue=5packets", "queue: assigned twice"},
		{"rate.steps=5", "rate: this is a mapping"},
		{"up.a.b.c.d=5", "up.a.b.c.d: a name of too many parts"},
		{"rate={a", "rate: not YAML"},
		{"rate={a:&x", "rate: "},
		{"up.jitter=31ms", "up.jitter: jitter 31ms exceeds the delay 30ms in force: expected at most the delay"},
		{"up.delay=1ms", "up.delay: jitter 5ms in force exceeds the delay 1ms"},
		{"up.rate=unlimited", "up.rate: queue {limit: 100ms, discipline: drop-tail, mark: 20packets} in force without a rate"},
		{"mtu=1000", "mtu: mtu 1000 is too small: expected at least 1280 bytes"},
		{"capacity.trace=x.down", `capacity.trace: the file "x.down" cannot be read here`},
		{"rate=", "rate: no value: expected a rate"},
		{"ramp=5s", `unknown key "ramp"`},
		{"down.loss.packets=[3,1]", "down.loss.packets[1]: packet 1 after 3: expected an ascending list"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			base := changing()
			words := strings.Fields(strings.ReplaceAll(tt.text, "\u00a0", "\x00"))
			for i := range words {
				words[i] = strings.ReplaceAll(words[i], "\x00", " ")
			}
			patches, err := Loader{}.ParsePatch(words, base)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) || strings.HasPrefix(err.Error(), ":") {
					t.Errorf("error is %v, want %q", err, tt.want)
				}
				return
			}
			after := [2]emulation.Impairments{base.Up, base.Down}
			changed := [2]bool{}
			for _, p := range patches {
				for i, way := range []string{"up", "down"} {
					if p.Way == way || p.Way == "" {
						after[i], changed[i] = after[i].With(p.Patch), true
					}
				}
			}
			var got []string
			for i := range after {
				if err := after[i].Validate(); err != nil {
					t.Error(err)
				}
				word := ""
				if changed[i] {
					word = Summary(after[i])
				}
				got = append(got, word)
			}
			if text := strings.TrimSpace(strings.Join(got, " | ")); text != tt.want && !(strings.HasSuffix(tt.want, " of") && strings.HasPrefix(text, tt.want)) {
				t.Errorf("got  %q\nwant %q", text, tt.want)
			}
		})
	}
}

// TestParsePatchFields: a patch has the fields that it needs, and both directions
// share one where they can.
func TestParsePatchFields(t *testing.T) {
	got, err := Loader{}.ParsePatch([]string{"loss=2%", "rate=1mbit"}, changing())
	want := []DirectionPatch{
		{"up", emulation.Patch{Fields: emulation.FieldLoss | emulation.FieldRate, Values: emulation.Impairments{Loss: 0.02, Rate: 1e6}}},
		{"down", emulation.Patch{Fields: emulation.FieldLoss | emulation.FieldGilbertElliott | emulation.FieldRate, Values: emulation.Impairments{Loss: 0.02, Rate: 1e6}}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	got, err = Loader{}.ParsePatch([]string{"corrupt=2%"}, changing())
	want = []DirectionPatch{{"", emulation.Patch{Fields: emulation.FieldCorrupt, Values: emulation.Impairments{Corrupt: 0.02}}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestFormatPatch(t *testing.T) {
	for text, want := range map[string]string{
		"loss=2% rate=1mbit":                        "rate=1mbit loss=2%",
		"jitter.distribution=normal":                "jitter={width: 5ms, distribution: normal}",
		"down.mtu=any":                              "mtu=any",
		"capacity.generate=lte capacity.mean=9mbit": "capacity=a trace of 9mbit",
		"steps.generate=starlink steps.mean=9mbit":  "steps=595 steps of 9mbit",
		"steps=[{at:0s,rate:1mbit}]":                "steps=[{at: 0s, rate: 1mbit}]",
		"capacity=none blackhole=true":              "capacity=none blackhole=true",
	} {
		text = strings.NewReplacer("at:0s", "at: 0s", "rate:1", "rate: 1").Replace(text)
		words := strings.Split(text, " ")
		if strings.HasPrefix(text, "steps=[") {
			words = []string{text}
		}
		base := changing()
		base.Down.Jitter = base.Up.Jitter
		patches, err := Loader{}.ParsePatch(words, base)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := FormatPatch(patches[0].Patch); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// FuzzPatch: any assignments give patches that leave the link valid, or problems in
// one line each.
func FuzzPatch(f *testing.F) {
	for _, s := range []string{
		"rate=5mbit\nloss=1%\ndown.delay=50ms", "jitter.distribution=normal", "queue.discipline=codel\nqueue.ecn=true",
		"loss.gilbert-elliott={p: 1%, r: 10%}", "loss.four-state={p13: 1%, p31: 10%}", "loss.packets=[1, 3]", "capacity=none",
		"steps={list: [{at: 0s, rate: 1mbit}, {at: 1s, rate: none}], repeat: 2s}", "mtu={size: 1400, too-big: icmp}",
		"slot={min: 1ms, max: 2ms, packets: 5}", "reorder={probability: 1%, gap: 5}", "up={rate: 1mbit}", "a=&x *x", "blackhole=true",
		"capacity.generate=starlink\ncapacity.duration=1s", "capacity.trace=/dev/zero", "rate={<<: 1}", "loss=!!str 1%",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		base := changing()
		patches, err := Loader{}.ParsePatch(strings.Split(text, "\n"), base)
		if err != nil {
			for _, p := range err.(Problems) {
				if p.Text == "" || strings.Contains(p.String(), "\n") || p.Line != 0 {
					t.Errorf("%q: %#v", text, p)
				}
			}
			return
		}
		for _, p := range patches {
			if p.Way != "down" {
				base.Up = base.Up.With(p.Patch)
			}
			if p.Way != "up" {
				base.Down = base.Down.With(p.Patch)
			}
		}
		for _, i := range []emulation.Impairments{base.Up, base.Down} {
			if err := i.Validate(); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
