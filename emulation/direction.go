package emulation

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"time"
)

// Direction is one direction of a wire. Its owner reports arrivals (Enqueue) and
// collects departures (Dequeue) when NextDeparture says; nothing happens between
// calls. It is not safe for concurrent use.
//
// Calls name the time they speak of. An arrival may be reported late, with a
// time before that of a former call: it gets the departure that it would have
// had, except that the queue is seen as it is.
//
// The packet in transmission already lies in the delay line, with its departure
// decided; those behind it are pulled from the queue at the ideal moment at which
// the serialiser becomes free, and meet the rate, delay and jitter of that moment.
type Direction struct {
	imp        Impairments
	maxPackets int       // of the queue
	maxBytes   ByteCount // of the queue
	loss       *rand.Rand
	jitter     *rand.Rand

	now          Time // latest time seen
	queue        ring[waiting]
	queueBytes   ByteCount
	serialiser   serialiser
	line         ring[departing]
	lastDeparted Time // departure time of the newest packet in the line, or after it

	counters Counters
}

// waiting is a packet in the queue.
type waiting struct {
	Packet
	arrived Time
}

// departing is a packet in transmission or in the delay line.
type departing struct {
	Packet
	at Time
}

// NewDirection returns a direction that impairs packets as imp says, with its
// randomness drawn from seed. It returns Validate's error for an impossible imp.
func NewDirection(imp Impairments, seed Seed) (*Direction, error) {
	d := &Direction{
		now:          math.MinInt64,
		serialiser:   serialiser{free: math.MinInt64},
		lastDeparted: math.MinInt64,
		loss:         seed.stage("loss"),
		jitter:       seed.stage("jitter"),
	}
	if err := d.Set(d.now, imp); err != nil {
		return nil, err
	}
	return d, nil
}

// Set changes the impairments at now. Packets already in transmission or in the
// delay line keep their departure times; those in the queue stay there, even
// when the new limit is smaller, and meet the new rate, delay and jitter when
// their turn comes. No packet overtakes another. An impossible imp changes
// nothing and returns Validate's error.
func (d *Direction) Set(now Time, imp Impairments) error {
	if err := imp.Validate(); err != nil {
		return fmt.Errorf("impairments: %w", err)
	}
	d.advance(now)
	d.imp = imp
	d.serialiser.setRate(imp.Rate)
	d.maxPackets, d.maxBytes = math.MaxInt, math.MaxInt64
	switch q := imp.Queue; {
	case q.Packets > 0:
		d.maxPackets = q.Packets
	case q.Bytes > 0:
		d.maxBytes = q.Bytes
	case q.Time > 0:
		d.maxBytes = bytesIn(q.Time, imp.Rate)
	}
	d.advance(now)
	return nil
}

// Enqueue reports that p arrives at now. When the packet is accepted the
// direction keeps p.Data until Dequeue returns it.
func (d *Direction) Enqueue(now Time, p Packet) Verdict {
	d.advance(now)
	d.counters.ArrivedPackets++
	d.counters.ArrivedBytes += uint64(max(p.Size, 0))
	// One draw for each arrival, whatever becomes of it: neither the MTU nor a
	// change of the probability shifts the sequence.
	lost := d.loss.Float64() < d.imp.Loss
	switch {
	case d.imp.MTU > 0 && p.IPSize > d.imp.MTU, p.Size < 0, p.Size > maxPacketSize:
		return d.drop(p, DropMTU)
	case lost:
		return d.drop(p, DropLoss)
	case !d.fits(now, p.Size):
		return d.drop(p, DropQueue)
	}
	d.counters.HeldPackets++
	d.counters.HeldBytes += p.Size
	d.queue.push(waiting{p, now})
	d.queueBytes += p.Size
	d.advance(now)
	return Verdict{Accepted: true}
}

// NextDeparture returns when the next packet departs; false when none is held.
func (d *Direction) NextDeparture() (Time, bool) {
	if d.line.len() == 0 {
		return 0, false // advance leaves no packet waiting behind an idle serialiser
	}
	return d.line.front().at, true
}

// Dequeue returns the next packet whose departure time is not after now, with
// that time, and gives its Data back; false when none is due. The caller is
// late by now minus the returned time: later departures do not depend on it.
func (d *Direction) Dequeue(now Time) (Packet, Time, bool) {
	d.advance(now)
	if d.line.len() == 0 || d.line.front().at > now {
		return Packet{}, 0, false
	}
	p := d.line.pop()
	d.counters.HeldPackets--
	d.counters.HeldBytes -= p.Size
	d.counters.DepartedPackets++
	d.counters.DepartedBytes += uint64(p.Size)
	return p.Packet, p.at, true
}

// Counters returns what the direction has counted since it was made.
func (d *Direction) Counters() Counters { return d.counters }

// fits reports whether the queue has room at now for a packet of that size. A
// packet that goes straight into transmission needs none.
func (d *Direction) fits(now Time, size ByteCount) bool {
	if d.queue.len() == 0 && d.serialiser.free <= now {
		return true
	}
	return d.queue.len() < d.maxPackets && size <= d.maxBytes-d.queueBytes
}

func (d *Direction) drop(p Packet, why DropReason) Verdict {
	d.counters.Dropped[why]++
	d.counters.DroppedBytes += uint64(max(p.Size, 0))
	return Verdict{Reason: why}
}

// advance pulls every packet from the queue whose transmission starts by now.
// The start is the ideal one: when the packet before it ended, or its arrival.
func (d *Direction) advance(now Time) {
	d.now = max(d.now, now)
	for d.queue.len() > 0 && max(d.serialiser.free, d.queue.front().arrived) <= d.now {
		p := d.queue.pop()
		d.queueBytes -= p.Size
		sent := d.serialiser.transmit(p.arrived, p.Size)
		d.lastDeparted = max(d.lastDeparted, sent.Add(d.drawDelay()))
		d.line.push(departing{p.Packet, d.lastDeparted})
	}
}

// drawDelay returns the delay of one packet: uniform in [Delay-Jitter,
// Delay+Jitter]. It draws once whatever the jitter, as Enqueue does for loss.
func (d *Direction) drawDelay() time.Duration {
	n, _ := bits.Mul64(d.jitter.Uint64(), 2*uint64(d.imp.Jitter)+1)
	return d.imp.Delay - d.imp.Jitter + time.Duration(n)
}
