package topologies

import (
	"fmt"
	"strings"

	"github.com/tquiclab/tquiclab/emulation"
)

// Summary returns what a direction does, in a few words: 12mbit 35ms±5ms loss
// 0.01% queue 300ms.
func Summary(i emulation.Impairments) string {
	if i.IsZero() {
		return "unimpaired"
	}
	words := append(rateWords(i), delayWords(i)...)
	words = append(words, lossWords(i)...)
	for _, w := range []struct {
		on   bool
		text string
	}{
		{i.Duplicate != 0, "duplicate " + FormatPercent(i.Duplicate)},
		{i.Corrupt != 0, "corrupt " + FormatPercent(i.Corrupt)},
		{i.Reorder.Probability != 0, "reorder " + FormatPercent(i.Reorder.Probability)},
		{i.Slot.Max != 0, "slot " + FormatTime(i.Slot.Min) + " to " + FormatTime(i.Slot.Max)},
		{i.Queue != emulation.Queue{}, queueWords(i.Queue)},
		{i.MTU != 0, fmt.Sprintf("wire mtu %d", i.MTU)},
		{i.TooBig == emulation.TooBigICMP, "icmp"},
		{i.Blackhole, "blackhole"},
	} {
		if w.on {
			words = append(words, w.text)
		}
	}
	return strings.Join(words, " ")
}

func rateWords(i emulation.Impairments) []string {
	switch rate := i.MeanRate(); {
	case i.Capacity != nil:
		return []string{"trace of " + FormatRate(threeDigits(rate))}
	case rate != i.Rate:
		return []string{"steps of " + FormatRate(threeDigits(rate))}
	case rate != 0:
		return []string{FormatRate(rate)}
	case i.Steps != nil:
		return []string{"steps"}
	}
	return nil
}

// threeDigits rounds a mean rate to three digits.
func threeDigits(r emulation.Rate) emulation.Rate {
	scale := emulation.Rate(1)
	for r/scale >= 1000 {
		scale *= 10
	}
	return (r + scale/2) / scale * scale
}

func delayWords(i emulation.Impairments) []string {
	if i.Delay == 0 && i.Jitter == 0 {
		return nil
	}
	text := FormatTime(i.Delay)
	if i.Jitter != 0 {
		text += "±" + FormatTime(i.Jitter)
	}
	if i.Distribution != emulation.Uniform {
		return []string{text, i.Distribution.String()}
	}
	return []string{text}
}

func lossWords(i emulation.Impairments) []string {
	var words []string
	for _, w := range []struct {
		on   bool
		text string
	}{
		{i.Loss != 0, "loss " + FormatPercent(i.Loss)},
		{i.GilbertElliott != emulation.GilbertElliott{}, "loss gilbert-elliott"},
		{i.FourState != emulation.FourState{}, "loss four-state"},
		{i.LoseEvery != 0, fmt.Sprintf("loss of every %d.", i.LoseEvery)},
		{i.LosePackets != nil, "loss of listed packets"},
	} {
		if w.on {
			words = append(words, w.text)
		}
	}
	return words
}

func queueWords(q emulation.Queue) string {
	text := "queue " + FormatQueue(q)
	if q.Discipline != emulation.DropTail {
		text += " " + q.Discipline.String()
	}
	if q.ECN || q.Mark != (emulation.Limit{}) {
		text += " ecn"
	}
	return text
}
