package topologies

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tquiclab/tquiclab/emulation"
)

// combination reports what cannot be emulated together. from says where a field comes
// from that w does not have.
func (d *decoder) combination(i emulation.Impairments, w *direction, fallback place, from func(emulation.Fields) string) {
	n := len(d.problems)
	if i.Jitter > i.Delay && i.Steps == nil {
		d.problem(placeOf(fallback, w.jitter.place, w.delay.place), Problem{
			Text:     fmt.Sprintf("jitter %s%s exceeds the delay %s%s", FormatTime(i.Jitter), from(emulation.FieldJitter), FormatTime(i.Delay), from(emulation.FieldDelay)),
			Expected: "at most the delay",
		})
	}
	if i.Queue != (emulation.Queue{}) && i.MeanRate() == 0 && i.Slot == (emulation.Slot{}) {
		d.problem(placeOf(fallback, w.queue.place, w.rate.place, w.capacity.place, w.steps.place), Problem{
			Text:     fmt.Sprintf("queue %s%s without a rate: no packet would ever wait", formatQueue(i.Queue), from(emulation.FieldQueue)),
			Expected: "a rate beside it, or queue: unlimited",
		})
	}
	if err := i.Validate(); err != nil && len(d.problems) == n {
		d.blame(err, w, fallback)
	}
}

// blame reports what makes a direction impossible at the key that is at fault, or at
// the fallback where the file has no such key.
func (d *decoder) blame(err error, w *direction, fallback place) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			d.blame(e, w, fallback)
		}
		return
	}
	if inner := errors.Unwrap(err); inner != nil {
		if _, ok := inner.(interface{ Unwrap() []error }); ok {
			d.blame(inner, w, fallback)
			return
		}
	}
	text := oneLine(err.Error())
	at := fallback
	for _, b := range []struct {
		word  string
		place []place
	}{
		{"jitter", []place{w.jitter.place, w.delay.place}},
		{"queue", []place{w.queue.place, w.rate.place}},
		{"reorder", []place{w.reorder.place, w.delay.place}},
		{"slot", []place{w.slot.place}},
		{"capacity trace", []place{w.capacity.place, w.steps.place, w.rate.place}},
		{"schedule", []place{w.steps.place}},
		{"steps", []place{w.steps.place, w.loss.place, w.delay.place}},
		{"mtu", []place{w.mtu.place}},
		{"delay", []place{w.delay.place, w.steps.place}},
		{"gilbert-elliott", []place{w.loss.place}},
		{"four-state", []place{w.loss.place}},
		{"lose", []place{w.loss.place}},
		{"loss", []place{w.loss.place}},
	} {
		if strings.Contains(text, b.word) {
			at = placeOf(fallback, b.place...)
			break
		}
	}
	d.problem(at, Problem{Text: text})
}
