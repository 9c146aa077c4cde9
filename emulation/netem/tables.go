package netem

import (
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// The sizes of the tables made here. Both fit one message: an attribute ends at
// 64 KiB, and TCA_OPTIONS has them all.
const (
	uniformDelays = emulation.MaxTableSize
	uniformSlots  = 4096
)

// delayTable returns the samples of imp's jitter, nil without any. They are the
// model's own, and end where the delay would fall below zero, as in the model: with
// a rate, netem would take the time before zero from the transmission.
//
// Uniform jitter has a table, too, though netem knows it without one: a table that
// is in the kernel cannot be taken back by a change, only replaced.
func delayTable(imp emulation.Impairments) emulation.Table {
	var table emulation.Table
	switch {
	case imp.Jitter == 0:
		return nil
	case imp.Distribution == emulation.Uniform:
		table = uniform(uniformDelays)
	case imp.Distribution == emulation.Empirical:
		table = slices.Clone(*imp.JitterTable)
	default:
		table = imp.Distribution.Samples()
	}
	lowest := -(imp.Delay * emulation.TableScale / imp.Jitter) // towards zero: no delay below it
	for i, v := range table {
		table[i] = int16(max(time.Duration(v), lowest))
	}
	return table
}

// uniform returns n samples, an even number, of the uniform distribution whose half
// width is one Jitter, symmetric around zero.
func uniform(n int) emulation.Table {
	table := make(emulation.Table, n)
	for i := range table {
		table[i] = int16((2*i + 1 - n) * emulation.TableScale / n)
	}
	return table
}

// delays returns the mean and the largest of the delays that netem gives under imp.
func delays(imp emulation.Impairments) (mean, longest time.Duration) {
	table := delayTable(imp)
	if table == nil {
		return imp.Delay, imp.Delay
	}
	sum := time.Duration(0)
	for _, v := range table {
		sum += time.Duration(v)
	}
	// Below 2^14 samples of 2^16 and a jitter below 2^31: no overflow.
	mean = imp.Delay + imp.Jitter*sum/time.Duration(len(table))/emulation.TableScale
	return mean, imp.Delay + imp.Jitter*time.Duration(slices.Max(table))/emulation.TableScale
}

// slots returns netem's parameters for s, with their table. Netem draws the time
// between slots from a table or, in whole, between two bounds; the bounds' random
// numbers have no seed, and overflow beyond 2.1 s (sch_netem.c, get_slot_next, before
// Linux 6.19). The bounds are set all the same: where there is a table netem only
// tells them back.
func slots(s emulation.Slot) (slot, emulation.Table) {
	if s == (emulation.Slot{}) {
		return slot{}, nil // takes the slots of before back
	}
	half := max(1, (s.Max-s.Min)/2) // without a width the table would not be used
	return slot{
		min: int64(s.Min), max: int64(s.Max),
		packets: int32(s.Packets), bytes: int32(s.Bytes),
		distDelay: int64(s.Min + (s.Max-s.Min)/2), distJitter: int64(half),
	}, uniform(uniformSlots)
}
