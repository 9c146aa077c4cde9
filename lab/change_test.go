package lab

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

// Whatever a change does to whatever was in force, taking it back leaves nothing of it.
func TestRevertingBringsEverythingBack(t *testing.T) {
	capacity := emulation.Trace{1, 2, 3}
	schedule := func(c emulation.StepColumns) *emulation.Schedule {
		return &emulation.Schedule{Columns: c, Period: time.Second, Steps: []emulation.Step{{Rate: 1e6, Delay: time.Millisecond, Loss: 0.1}}}
	}
	draw := func(t *rapid.T, name string) emulation.Patch {
		var p emulation.Patch
		for range rapid.IntRange(1, 3).Draw(t, name) {
			p.Fields |= rapid.SampledFrom([]emulation.Fields{
				emulation.FieldRate, emulation.FieldDelay, emulation.FieldLoss, emulation.FieldCapacity, emulation.FieldSteps,
				emulation.FieldMTU, emulation.FieldBlackhole, emulation.AllFields,
			}).Draw(t, name+" field")
		}
		p.Values = emulation.Impairments{
			Rate:  emulation.Rate(rapid.IntRange(0, 3).Draw(t, name+" rate")) * 1e6,
			Delay: time.Duration(rapid.IntRange(0, 3).Draw(t, name+" delay")), Loss: float64(rapid.IntRange(0, 3).Draw(t, name+" loss")) / 10,
			MTU: rapid.IntRange(0, 2).Draw(t, name+" mtu"), Blackhole: rapid.Bool().Draw(t, name+" blackhole"),
		}
		if rapid.Bool().Draw(t, name+" has a trace") {
			p.Values.Capacity = &capacity
		}
		if c := rapid.IntRange(0, 7).Draw(t, name+" steps"); c > 0 {
			p.Values.Steps = schedule(emulation.StepColumns(c))
		}
		return p
	}
	rapid.Check(t, func(t *rapid.T) {
		base := emulation.Impairments{}.With(draw(t, "base"))
		patch := draw(t, "change")
		back, err := Reverting([]InForce{{Link: "lte", Way: "up", Impairments: base}, {Link: "lte", Way: "down"}}, []Setting{{"lte", "up", patch}})
		if err != nil || len(back) != 1 {
			t.Fatalf("Reverting = %v, %v, want one setting", back, err)
		}
		if got := base.With(patch).With(back[0].Patch); !got.SameAs(base) {
			t.Fatalf("after all:\n%+v\nwant\n%+v", got, base)
		}
	})
}

func TestRevertingSaysWhatItCannot(t *testing.T) {
	before := []InForce{{Link: "lte", Way: "up", Omitted: emulation.FieldCapacity}}
	_, err := Reverting(before, []Setting{{"lte", "", ratePatch(1e6)}})
	if err == nil || !strings.Contains(err.Error(), "lte up: capacity is too long") {
		t.Errorf("Reverting over a trace that is not told = %v, want an error", err)
	}
	mtu := emulation.Patch{Fields: emulation.FieldMTU, Values: emulation.Impairments{MTU: 1280}}
	back, err := Reverting(before, []Setting{{"lte", "", mtu}})
	if err != nil || len(back) != 1 || back[0].Patch.Fields != emulation.FieldMTU {
		t.Errorf("Reverting an mtu = %v, %v, want that field alone", back, err)
	}
}
