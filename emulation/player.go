package emulation

import (
	"math"
	"slices"
	"time"
)

// Player goes through a timeline. Its owner asks when the next change comes (Next),
// takes it then (Step), and gives what is in force from that instant on to the
// direction. It is not safe for concurrent use.
type Player struct {
	state    Impairments
	timeline Timeline
	turns    []turn // a heap: the next one is the first
	done     []int  // turns that each change has had
	ramps    []ramp
}

// turn is the next time of a change.
type turn struct {
	at     time.Duration
	change int // its index
}

// before orders turns: of two at one time, the later in the list comes later.
func (t turn) before(u turn) bool { return t.at < u.at || t.at == u.at && t.change < u.change }

// ramp is a change on its way.
type ramp struct {
	change     int // its index
	from, to   Impairments
	rate       Rate // the mean one of from
	fields     Fields
	begin, end time.Duration
	at         time.Duration // of the next step
}

// NewPlayer returns a player at the start of t on a direction that starts as base.
// The timeline must be valid, and is kept and not changed.
func NewPlayer(base Impairments, t Timeline) *Player {
	p := &Player{state: base, timeline: t, turns: make([]turn, len(t)), done: make([]int, len(t))}
	for i, c := range t {
		p.turns[i] = turn{c.At, i}
	}
	for i := len(t)/2 - 1; i >= 0; i-- {
		p.sink(i)
	}
	return p
}

// Clone returns a player that is where p is, and goes on by itself.
func (p *Player) Clone() *Player {
	c := *p
	c.turns, c.done, c.ramps = slices.Clone(p.turns), slices.Clone(p.done), slices.Clone(p.ramps)
	return &c
}

// Impairments returns what is in force.
func (p *Player) Impairments() Impairments { return p.state }

// Patch changes what is in force from outside the timeline. It stays until the
// timeline sets the same field; a ramp through that field ends.
func (p *Player) Patch(c Patch) Impairments {
	p.endRamps(c.Fields, -1)
	p.state = p.state.With(c)
	return p.state
}

// Next returns when, after the start, the next change or step of a ramp takes effect;
// false when nothing is left.
func (p *Player) Next() (time.Duration, bool) {
	at, _, ok := p.next()
	return at, ok
}

// next returns the next instant and whose it is: a ramp's index, or -1 for the first
// turn. At one instant ramps go first: they began earlier.
func (p *Player) next() (at time.Duration, ramp int, ok bool) {
	ramp = -1
	if len(p.turns) > 0 {
		at, ok = p.turns[0].at, true
	}
	for i := range p.ramps {
		if r := &p.ramps[i]; !ok || r.at < at || r.at == at && ramp < 0 {
			at, ramp, ok = r.at, i, true
		}
	}
	return at, ramp, ok
}

// Step takes the next change, and returns since when, after the start, the
// Impairments are in force that it returns; false when nothing is left.
func (p *Player) Step() (time.Duration, Impairments, bool) {
	at, r, ok := p.next()
	switch {
	case !ok:
		return 0, p.state, false
	case r >= 0:
		p.stepRamp(r)
	default:
		p.take()
	}
	return at, p.state, true
}

// take carries out the change whose turn it is, and plans its next one.
func (p *Player) take() {
	at, index := p.turns[0].at, p.turns[0].change
	c := &p.timeline[index]
	p.done[index]++
	if c.Every > 0 && (c.Times == 0 || p.done[index] < c.Times) && at <= MaxTimeline {
		p.turns[0].at = at + c.Every
	} else {
		last := len(p.turns) - 1
		p.turns[0] = p.turns[last]
		p.turns = p.turns[:last]
	}
	p.sink(0)
	p.endRamps(c.Patch.Fields, index)
	if c.Ramp == 0 {
		p.state = p.state.With(c.Patch)
		return
	}
	p.ramps = append(p.ramps, ramp{
		change: index, from: p.state, to: p.state.With(c.Patch), rate: p.state.MeanRate(), fields: c.Patch.Fields,
		begin: at, end: at + c.Ramp, at: min(at+RampStep, at+c.Ramp),
	})
}

// sink puts a turn where it belongs among those below it.
func (p *Player) sink(i int) {
	for {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(p.turns); child++ {
			if p.turns[child].before(p.turns[first]) {
				first = child
			}
		}
		if first == i {
			return
		}
		p.turns[i], p.turns[first] = p.turns[first], p.turns[i]
		i = first
	}
}

// endRamps ends the ramps of the fields, and those of the change itself.
func (p *Player) endRamps(f Fields, change int) {
	p.ramps = slices.DeleteFunc(p.ramps, func(r ramp) bool { return r.change == change || r.fields&f != 0 })
}

// stepRamp takes a ramp's next step. The last one arrives exactly.
func (p *Player) stepRamp(index int) {
	r := &p.ramps[index]
	part := float64(r.at-r.begin) / float64(r.end-r.begin)
	values := r.to
	if r.at < r.end {
		values.Rate = betweenRates(r.rate, r.to.Rate, part)
		values.Delay = between(r.from.Delay, r.to.Delay, part)
		values.Jitter = between(r.from.Jitter, r.to.Jitter, part)
		values.Loss = r.from.Loss + (r.to.Loss-r.from.Loss)*part
		if values.Jitter == 0 {
			values.Distribution, values.JitterTable = Uniform, nil
		}
	}
	p.state = p.state.With(Patch{Fields: r.fields, Values: values})
	if r.at >= r.end {
		p.ramps = slices.Delete(p.ramps, index, index+1)
		return
	}
	r.at = min(r.at+RampStep, r.end)
}

// betweenRates leaves a rate that has no limit, or is to have none, as it is until
// the end: no straight line leads there.
func betweenRates(from, to Rate, part float64) Rate {
	if from == 0 || to == 0 {
		return from
	}
	return between(from, to, part)
}

func between[N Rate | time.Duration](from, to N, part float64) N {
	return from + N(math.Round(float64(to-from)*part))
}
