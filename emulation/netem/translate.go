package netem

import (
	"errors"
	"math"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// all is the probability 1 as netem counts it.
const all = math.MaxUint32

// translate returns netem's whole set of parameters for imp, which Check has passed.
// A change keeps whatever it is not told, so nothing is left out, not even what is
// zero.
func translate(imp emulation.Impairments, mtu int, seed uint64) (options, error) {
	limit, err := limit(imp, mtu)
	if err != nil {
		return options{}, err
	}
	r := imp.Rate
	if r == 0 {
		r = unlimitedRate
	}
	o := options{
		limit: limit, latency: int64(imp.Delay), jitter: int64(imp.Jitter), nanoseconds: true,
		delayTable: delayTable(imp), rate: rate{bytes: bytesPerSecond(r)},
		corrupt: fraction(imp.Corrupt),
		seed:    seed, seeded: true,
	}
	if imp.Reorder.Probability > 0 {
		o.reorder, o.gap = fraction(imp.Reorder.Probability), uint32(max(1, imp.Reorder.Gap))
	}
	o.slot, o.slotTable = slots(imp.Slot)
	return o, o.setLoss(imp)
}

// setLoss sets which packets are lost and which are copied.
func (o *options) setLoss(imp emulation.Impairments) error {
	pass := 1 - imp.Loss
	switch g, f := imp.GilbertElliott, imp.FourState; {
	case imp.Blackhole:
		o.loss = all // and no copies, each of which would save its original
	case g != (emulation.GilbertElliott{}):
		// Independent loss is one more way not to pass, in either state.
		o.model = lossModel{lossGilbertElliott, [5]uint32{fraction(g.P), fraction(g.R), fraction(g.H * pass), fraction(1 - g.K*pass)}}
	case f != (emulation.FourState{}):
		// The kernel adds the probabilities of one state in 32 bits.
		p14, p32 := fraction(f.P14), fraction(f.P32)
		o.model = lossModel{lossFourState, [5]uint32{
			min(fraction(f.P13), all-p14), min(fraction(f.P31), all-p32), p32, p14, fraction(f.P23),
		}}
	default:
		loss, duplicate, err := kernelLoss(imp.Loss, imp.Duplicate)
		if err != nil {
			return err
		}
		o.loss, o.duplicate = fraction(loss), fraction(duplicate)
	}
	return nil
}

// kernelLoss returns the probabilities that make netem lose a packet with its copy
// with probability loss, and copy one that is not lost with probability duplicate.
// netem decides over the copy first (sch_netem.c, netem_enqueue): a loss then takes
// only the copy, and the copy of a packet that was not lost may be lost by itself.
// With l and d as netem's own,
//
//	(1-d) l = loss    and    d (1-l)² = (1-loss) duplicate
//
// The left side of the first, as a function of l, is concave: Newton's steps from
// below never pass the root.
func kernelLoss(loss, duplicate float64) (l, d float64, err error) {
	if loss == 0 || loss == 1 || duplicate == 0 {
		return loss, duplicate * (1 - loss), nil
	}
	c := (1 - loss) * duplicate
	l = loss
	for range 100 {
		rest := 1 - l
		slope := 1 - c*(1+l)/(rest*rest*rest)
		if slope <= 0 || rest <= 0 {
			return 0, 0, errTooManyCopies
		}
		step := (loss - l*(1-c/(rest*rest))) / slope
		l += step
		if step < 1e-12 {
			break
		}
	}
	if d = c / ((1 - l) * (1 - l)); !(d <= 1) || l >= 1 {
		return 0, 0, errTooManyCopies
	}
	return l, d, nil
}

var errTooManyCopies = errors.New("netem cannot lose and duplicate that much at once: a packet that it duplicates it does not lose (--backend relay can)")

// modelLoss is the way back.
func modelLoss(l, d float64) (loss, duplicate float64) {
	loss = (1 - d) * l
	if loss >= 1 {
		return 1, 0
	}
	return loss, d * (1 - l) * (1 - l) / (1 - loss)
}

// impairments is the way back: what netem's parameters do to a link of the given
// MTU. The queue is in packets, whatever it was asked for in. The kernel tells no
// table: where there is jitter, its distribution and the queue, which is worked out
// with it, are left away.
func impairments(o *options, mtu int) (emulation.Impairments, error) {
	if !o.nanoseconds {
		return emulation.Impairments{}, errTicks
	}
	imp := emulation.Impairments{
		Delay:   time.Duration(o.latency),
		Jitter:  time.Duration(o.jitter),
		Corrupt: probability(o.corrupt),
		Slot: emulation.Slot{
			Min: time.Duration(o.slot.min), Max: time.Duration(o.slot.max),
			Packets: int(o.slot.packets), Bytes: emulation.ByteCount(o.slot.bytes),
		},
	}
	p := o.model.parameters
	switch o.model.kind {
	case lossGilbertElliott:
		imp.GilbertElliott = emulation.GilbertElliott{P: probability(p[0]), R: probability(p[1]), H: probability(p[2]), K: 1 - probability(p[3])}
	case lossFourState:
		imp.FourState = emulation.FourState{P13: probability(p[0]), P31: probability(p[1]), P32: probability(p[2]), P14: probability(p[3]), P23: probability(p[4])}
	default:
		imp.Loss, imp.Duplicate = modelLoss(probability(o.loss), probability(o.duplicate))
	}
	if o.gap > 0 {
		imp.Reorder.Probability = probability(o.reorder)
		if o.gap > 1 {
			imp.Reorder.Gap = int(o.gap)
		}
	}
	if r := emulation.Rate(o.rate.bytes * 8); r != 0 && r < unlimitedRate {
		imp.Rate = r
	}
	var err error
	if imp.Rate > 0 && o.jitter == 0 {
		imp.Queue, err = queueOf(o.limit, imp.Rate, imp.Delay, mtu)
	}
	return imp, err
}

var errTicks = errors.New("the kernel tells no delay in nanoseconds: it is older than Linux 4.16")

// bytesPerSecond returns a rate as netem counts it, to the nearest.
func bytesPerSecond(r emulation.Rate) uint64 { return (uint64(r) + 4) / 8 }

// fraction returns a probability as netem counts it, so that zero is never and the
// largest is always, give or take one in 2^32; a probability too small for it becomes
// the smallest.
func fraction(p float64) uint32 {
	if p <= 0 {
		return 0
	}
	return uint32(min(max(1, math.Round(p*(1<<32))), all))
}

// probability is the way back, to within 2^-32.
func probability(fraction uint32) float64 {
	if fraction == all {
		return 1
	}
	return float64(fraction) / (1 << 32)
}
