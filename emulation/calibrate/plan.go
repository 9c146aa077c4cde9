package calibrate

import (
	"math/rand/v2"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Request is what was asked of a direction.
type Request struct {
	Impairments emulation.Impairments
	Timeline    emulation.Timeline
	MTU         int // of the interfaces, bytes of IP packet
	// Headers are the bytes that IP and UDP put before a probe's payload: 28 or 48.
	Headers int
}

// phase is a part of the probe.
type phase uint8

// The phases, in their order.
const (
	pulse phase = iota
	stream
	train
	sizes
)

// item is a packet to be sent. Neighbours alike leave as one unit.
type item struct {
	at    time.Duration // from the start of the probe
	size  int           // bytes of IP packet
	phase phase
}

const (
	ethernetHeader = 14
	// leastPayload is what a probe's packet says of itself.
	leastPayload = 16
	pulseSize    = 100
	// pulseGap is the least time between two pulses, pulseShare how much of the rate
	// they take at most.
	pulseGap   = 3 * time.Millisecond
	pulseShare = 0.1
	// streamShare and trainShare are rates in parts of the direction's; a fast direction's
	// train has fastShare.
	streamShare = 0.5
	trainShare  = 1.5
	fastShare   = 1.25
	// streamRate stands for half of a rate that there is not.
	streamRate emulation.Rate = 10e6
	// packetRate is what a sender manages that makes a system call for each packet, wire
	// bits/s. Above it packets leave in units, up to mostRate.
	packetRate emulation.Rate = 600e6
	mostRate   emulation.Rate = 3e9
	// unit is how many packets leave in one system call then. Each is as much for the
	// sender as one packet, so that as many more may be sent.
	unit = 40
	// rest is what lies between two phases beside the time that the queue needs.
	rest = 20 * time.Millisecond
)

// plan returns the packets of a probe. Their times are wishes: what counts is when they
// were sent.
func plan(r Request, f Form) []item {
	p := planner{Request: r, random: rand.New(rand.NewPCG(1, 2))}
	p.pulses(f.Pulses)
	p.phase(stream, p.streamRate(), f.Stream, f.Packets)
	if p.rate() > 0 {
		p.phase(train, p.trainRate(), p.trainTime(f.Train), f.Packets)
	}
	p.sizes()
	return p.items
}

type planner struct {
	Request
	random *rand.Rand // spreads the pulses, so that nothing periodic hides between them
	items  []item
	at     time.Duration
}

func (p *planner) rate() emulation.Rate { return p.Impairments.MeanRate() }

// full returns the size of the largest packets that pass.
func (p *planner) full() int {
	if m := p.Impairments.MTU; m > 0 {
		return min(m, p.MTU)
	}
	return p.MTU
}

func (p *planner) pulses(n int) {
	gap := pulseGap
	if rate := p.rate(); rate > 0 {
		gap = max(gap, time.Duration(float64(8*(pulseSize+ethernetHeader))/float64(rate)/pulseShare*float64(time.Second)))
	}
	for range n {
		p.items = append(p.items, item{p.at, pulseSize, pulse})
		p.at += gap/2 + time.Duration(p.random.Int64N(int64(gap)))
	}
	p.settle()
}

func (p *planner) streamRate() emulation.Rate {
	if rate := p.rate(); rate > 0 {
		return min(emulation.Rate(streamShare*float64(rate)), packetRate/2)
	}
	return streamRate
}

func (p *planner) trainRate() emulation.Rate {
	rate := float64(p.rate())
	return min(emulation.Rate(trainShare*rate), max(packetRate, emulation.Rate(fastShare*rate)), mostRate)
}

// fills reports whether a train is more than the direction carries. One that is not
// shows neither its rate nor its queue.
func (p *planner) fills() bool { return p.rate() > 0 && p.trainRate() > p.rate() }

// trainTime returns a time in which the queue gets full, as far as that takes no longer
// than twice the time that was asked for.
func (p *planner) trainTime(asked time.Duration) time.Duration {
	if !p.fills() {
		return asked
	}
	fill := time.Duration(float64(p.queueTime()) / (float64(p.trainRate())/float64(p.rate()) - 1))
	return min(asked+fill, 2*asked)
}

// queueTime returns how long a packet waits in a full queue.
func (p *planner) queueTime() time.Duration {
	rate := float64(p.rate())
	q := p.Impairments.Queue
	switch {
	case rate == 0:
		return 0
	case q.Time > 0:
		return q.Time
	case q.Bytes > 0:
		return time.Duration(float64(8*q.Bytes) / rate * float64(time.Second))
	case q.Packets > 0:
		return time.Duration(float64(8*q.Packets*(p.full()+ethernetHeader)) / rate * float64(time.Second))
	}
	return 0
}

// phase sends largest packets at a rate, for a time or up to a number of system calls.
// Those of a unit have one time.
func (p *planner) phase(which phase, rate emulation.Rate, length time.Duration, calls int) {
	size, together := p.full(), 1
	if rate > packetRate {
		together = min(unit, 65000/size)
	}
	gap := time.Duration(float64(8*(size+ethernetHeader)*together) / float64(rate) * float64(time.Second))
	for end, n := p.at+length, 0; p.at < end && n < calls; n++ {
		for range together {
			p.items = append(p.items, item{p.at, size, which})
		}
		p.at += gap
	}
	p.settle()
}

// settle lets the queue run empty.
func (p *planner) settle() { p.at += p.queueTime() + rest }

// sizeTries is how often a size is tried, since one packet may be lost by chance.
const sizeTries = 25

// sizes tries the largest packet that should pass and, where the interfaces let it, one
// byte more.
func (p *planner) sizes() {
	for _, size := range []int{p.full(), p.full() + 1} {
		for range sizeTries {
			if size <= p.MTU {
				p.items = append(p.items, item{p.at, size, sizes})
				p.at += pulseGap
			}
		}
	}
}
