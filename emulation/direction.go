package emulation

import (
	"fmt"
	"math"
	"math/rand/v2"
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
	imp         Impairments
	features    Features
	meanRate    Rate
	seed        Seed
	maxPackets  int       // of the queue
	maxBytes    ByteCount // of the queue
	markPackets int       // of the queue, before marking starts
	markBytes   ByteCount
	loss        *rand.Rand
	jitter      *rand.Rand
	reorder     *rand.Rand // made when first needed, as are those of the parts
	table       Table      // of the jitter; nil: uniform
	chains      lossChains
	copies      copies
	steps       *steps
	begun       bool // traces and steps run

	now          Time // latest time seen
	queue        ring[waiting]
	queueBytes   ByteCount
	codel        codel
	gate         gate
	serialiser   serialiser
	headStart    Time // when the packet in transmission started or will, if it had to wait
	headSize     ByteCount
	line         ring[departing]
	lineCount    uint64 // packets that were ever put into the line
	lastDeparted Time   // departure time of the newest packet in the line, or after it
	ahead        ring[overtaking]
	sinceAhead   int  // packets that left the serialiser since one went ahead
	lastOut      Time // latest departure collected

	shares    shares
	discarded ring[Packet]
	counters  Counters
	observer  func(Drop)
}

// waiting is a packet in the queue.
type waiting struct {
	Packet
	share   uint32
	arrived Time
}

// departing is a packet in transmission or in the delay line.
type departing struct {
	Packet
	share uint32
	at    Time
}

// overtaking is a packet that takes no delay.
type overtaking struct {
	departing
	behind uint64 // the packets in the line that were sent before it
}

// NewDirection returns a direction that impairs packets as imp says, with its
// randomness drawn from seed. It returns Validate's error for an impossible imp.
func NewDirection(imp Impairments, seed Seed) (*Direction, error) {
	d := &Direction{
		seed:         seed,
		now:          math.MinInt64,
		serialiser:   serialiser{free: math.MinInt64},
		headStart:    math.MinInt64,
		lastDeparted: math.MinInt64,
		lastOut:      math.MinInt64,
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
// their turn comes. No packet overtakes another that did not before. A trace or a
// schedule begins at now when it is not the one in force, which goes on. An
// impossible imp changes nothing and returns Validate's error.
func (d *Direction) Set(now Time, imp Impairments) error {
	rate := d.meanRate
	if imp.Capacity != nil || !imp.stepped(StepRate) || imp.Steps != d.imp.Steps {
		rate = imp.MeanRate() // of a schedule: by going through it
	}
	if err := imp.validate(&d.imp, rate); err != nil {
		return fmt.Errorf("impairments: %w", err)
	}
	d.advance(now)
	old := d.imp
	d.imp, d.features, d.meanRate = imp, imp.Features(), rate
	d.chains.set(&imp, d.seed)
	d.copies.set(&imp, d.seed)
	d.gate.set(imp.Slot, d.seed)
	d.codel.set(imp.Queue)
	if d.table == nil || imp.Distribution != old.Distribution || imp.Distribution == Empirical {
		d.table = tableOf(&imp)
	}
	if imp.Reorder != (Reorder{}) && d.reorder == nil {
		d.reorder = d.seed.stage("reorder")
	}
	d.maxPackets, d.maxBytes = imp.Queue.limit().in(rate)
	d.markPackets, d.markBytes = imp.Queue.Mark.in(rate)
	d.serialiser.setRate(imp.Rate)
	d.setCourses(now, &old)
	d.advance(now)
	return nil
}

// setCourses takes what varies by itself from the impairments.
func (d *Direction) setCourses(now Time, old *Impairments) {
	s := &d.serialiser
	switch {
	case d.imp.Capacity == nil:
		s.trace = nil
	case s.trace == nil || !sameList(d.imp.Capacity, old.Capacity):
		s.trace = &opportunities{trace: *d.imp.Capacity}
		s.trace.begin(now)
	}
	switch {
	case d.imp.Steps == nil:
		d.steps = nil
	case d.steps == nil || !d.imp.Steps.equal(old.Steps):
		d.steps = &steps{Schedule: d.imp.Steps, base: now, work: d.imp.Steps.workInPeriod()}
	}
	s.steps = nil
	if d.imp.stepped(StepRate) {
		s.steps = d.steps
	}
}

// Start begins the capacity trace and the schedule at now. Without it they begin
// at the first arrival.
func (d *Direction) Start(now Time) {
	d.advance(now)
	d.begin(now)
}

func (d *Direction) begin(now Time) {
	d.begun = true
	if d.serialiser.trace != nil {
		d.serialiser.trace.begin(now)
	}
	if d.steps != nil {
		d.steps.base = now
	}
}

// Enqueue reports that p arrives at now. When the packet is accepted the
// direction keeps p.Data until Dequeue or Discarded returns it.
func (d *Direction) Enqueue(now Time, p Packet) Verdict {
	d.advance(now)
	if !d.begun {
		d.begin(now)
	}
	d.counters.ArrivedPackets++
	d.counters.ArrivedBytes += uint64(max(p.Size, 0))
	p.Marks, p.Flip = 0, 0
	lost := d.loses(now)
	if d.features&(FeatureDuplicate|FeatureCorrupt) != 0 {
		return d.enqueueCopies(now, &p, lost)
	}
	if why, ok := d.admits(now, &p, lost); !ok {
		return d.refuse(now, &p, why)
	}
	d.accept(now, &p, 0)
	return Verdict{Accepted: true}
}

// enqueueCopies is what Enqueue does where a packet may become two.
func (d *Direction) enqueueCopies(now Time, p *Packet, lost bool) Verdict {
	second := *p
	duplicated := d.copies.draw(&d.imp, p, &second)
	if why, ok := d.admits(now, p, lost); !ok {
		return d.refuse(now, p, why)
	}
	share := uint32(0)
	if duplicated && p.Data != nil {
		share = d.shares.pair()
	}
	d.accept(now, p, share)
	if duplicated {
		d.duplicate(now, &second, share)
	}
	return Verdict{Accepted: true}
}

// admits reports whether a packet gets into the queue, and why not.
func (d *Direction) admits(now Time, p *Packet, lost bool) (DropReason, bool) {
	switch {
	case d.imp.Blackhole:
		return DropBlackhole, false
	case d.imp.MTU > 0 && p.IPSize > d.imp.MTU, p.Size < 0, p.Size > maxPacketSize:
		return DropMTU, false
	case lost:
		return DropLoss, false
	case !d.fits(now, p.Size) && !d.makeRoom(now, p.Size):
		return DropQueue, false
	}
	return 0, true
}

// loses decides over the loss of the packet that has arrived. One draw of each
// model for each arrival, whatever becomes of it: neither the MTU nor a change of
// the probability shifts the sequence.
func (d *Direction) loses(now Time) bool {
	const models = FeatureGilbertElliott | FeatureFourState | FeatureLoseEvery | FeatureLosePackets
	probability := d.imp.Loss
	if d.steps != nil && d.imp.stepped(StepLoss) {
		step, _ := d.steps.at(now)
		probability = step.Loss
	}
	lost := d.loss.Float64() < probability
	if d.features&models != 0 {
		lost = d.chains.loses(&d.imp, d.counters.ArrivedPackets) || lost
	}
	return lost
}

// accept puts a packet into the queue or, where nothing keeps it there, into
// transmission.
func (d *Direction) accept(now Time, p *Packet, share uint32) {
	if d.features&FeatureMark != 0 {
		d.markWaiting(now, p)
	}
	d.counters.HeldPackets++
	d.counters.HeldBytes += p.Size
	if d.features&pulled == 0 && d.queue.len() == 0 && d.serialiser.free <= now {
		d.delayBy(p, share, d.serialiser.transmit(now, p.Size), d.drawDelay(d.imp.Delay))
		return
	}
	w := d.queue.add()
	w.Packet, w.share, w.arrived = *p, share, now
	d.queueBytes += p.Size
	d.advance(now)
}

// duplicate puts the copy of a packet into the queue, if there is room.
func (d *Direction) duplicate(now Time, p *Packet, share uint32) {
	d.counters.DuplicatedPackets++
	d.counters.DuplicatedBytes += uint64(p.Size)
	if d.fits(now, p.Size) || d.makeRoom(now, p.Size) {
		p.Marks |= Duplicated
		d.accept(now, p, share)
		return
	}
	d.drop(now, p, DropQueue)
	d.shares.leave(share) // the original is held: had it made room, the copy would fit
}

// Counters returns what the direction has counted since it was made.
func (d *Direction) Counters() Counters {
	c := d.counters
	c.QueuedPackets, c.QueuedBytes = d.waits(d.now)
	return c
}

// Impairments returns what is in force.
func (d *Direction) Impairments() Impairments { return d.imp }

// waits returns what waits at now. The packet that is next counts until its
// transmission starts.
func (d *Direction) waits(now Time) (packets int, size ByteCount) {
	if d.headStart > now {
		return d.queue.len() + 1, d.queueBytes + d.headSize
	}
	return d.queue.len(), d.queueBytes
}

// fits reports whether the queue has room at now for a packet of that size. A
// packet that goes straight into transmission needs none.
func (d *Direction) fits(now Time, size ByteCount) bool {
	if d.queue.len() == 0 && d.serialiser.free <= now {
		return true
	}
	packets, bytes := d.waits(now)
	return packets < d.maxPackets && size <= d.maxBytes-bytes
}

// makeRoom drops the oldest packets for one of that size, and reports whether it
// has room then.
func (d *Direction) makeRoom(now Time, size ByteCount) bool {
	if d.imp.Queue.Discipline != DropHead || size > d.maxBytes {
		return false
	}
	for d.queue.len() > 0 && !d.fits(now, size) {
		w := d.queue.pop()
		d.queueBytes -= w.Size
		d.discard(now, &w, DropQueue)
	}
	return d.fits(now, size)
}

// markWaiting marks a packet that has to wait behind too many others.
func (d *Direction) markWaiting(now Time, p *Packet) {
	if d.queue.len() == 0 && d.serialiser.free <= now {
		return
	}
	if packets, bytes := d.waits(now); packets >= d.markPackets || p.Size > d.markBytes-bytes {
		d.mark(p)
	}
}

// mark makes a packet CE and reports whether it could (RFC 3168, section 5).
func (d *Direction) mark(p *Packet) bool {
	switch p.ECN {
	case ECT0, ECT1:
		p.ECN = CE
		d.counters.MarkedPackets++
		return true
	case CE:
		return true
	}
	return false
}

// refuse drops a packet that arrives.
func (d *Direction) refuse(now Time, p *Packet, why DropReason) Verdict {
	d.drop(now, p, why)
	v := Verdict{Reason: why}
	if why == DropMTU && d.imp.TooBig == TooBigICMP && p.IPSize > d.imp.MTU {
		v.TellMTU = d.imp.MTU
	}
	return v
}
