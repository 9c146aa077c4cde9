package emulation

import "time"

// NextDeparture returns when the next packet departs; false when none is held.
// With Reorder it may be sooner: the time at which a packet that waits may turn out
// to go ahead. Dequeue then has none, and the next answer is a later one.
func (d *Direction) NextDeparture() (Time, bool) {
	at, any := d.first()
	if any && d.features&FeatureReorder != 0 && d.queue.len() > 0 {
		at = min(at, d.serialiser.free)
	}
	return at, any
}

// first returns when the next of the packets that were sent departs.
func (d *Direction) first() (Time, bool) {
	switch {
	case d.ahead.len() > 0 && d.aheadFirst():
		return d.ahead.front().at, true
	case d.line.len() > 0:
		return d.line.front().at, true
	}
	return 0, false // advance leaves no packet waiting behind an idle serialiser
}

// Peek returns the packet that Dequeue would return next and when, without taking
// it; false when none is held that has been sent. Its Data are borrowed until the
// next call.
func (d *Direction) Peek() (Packet, Time, bool) {
	at, any := d.first()
	switch {
	case !any:
		return Packet{}, 0, false
	case d.ahead.len() > 0 && d.aheadFirst():
		return d.ahead.front().Packet, at, true
	}
	return d.line.front().Packet, at, true
}

// aheadFirst reports whether the next departure is one of those ahead. Of two at
// one time, the one that was sent first goes first.
func (d *Direction) aheadFirst() bool {
	if d.line.len() == 0 {
		return true
	}
	a, l := d.ahead.front(), d.line.front()
	return a.at < l.at || a.at == l.at && a.behind <= d.lineCount-uint64(d.line.len())
}

// Dequeue returns the next packet whose departure time is not after now, with
// that time, and gives its Data back; false when none is due. The caller is
// late by now minus the returned time: later departures do not depend on it.
func (d *Direction) Dequeue(now Time) (Packet, Time, bool) {
	d.advance(now)
	if at, any := d.first(); !any || at > now {
		return Packet{}, 0, false
	}
	if d.ahead.len() > 0 && d.aheadFirst() {
		a := d.ahead.pop()
		return d.depart(&a.departing)
	}
	p, at, ok := d.depart(d.line.front())
	d.line.skip()
	return p, at, ok
}

// depart accounts for a packet that leaves.
func (d *Direction) depart(p *departing) (Packet, Time, bool) {
	d.lastOut = p.at
	d.counters.HeldPackets--
	d.counters.HeldBytes -= p.Size
	d.counters.DepartedPackets++
	d.counters.DepartedBytes += uint64(p.Size)
	if p.Marks&Corrupted != 0 {
		d.counters.CorruptedPackets++
	}
	if p.share != 0 && d.shares.leave(p.share) {
		p.Marks |= Shared
	}
	return p.Packet, p.at, true
}

// Discarded returns a packet that was accepted and dropped since, and gives its
// Data back; false when there is none. A packet whose Data is nil, or shared with
// one that is held, is dropped without appearing here. Who uses DropHead, CoDel or
// Duplicate asks after each Enqueue and Dequeue, else the packets pile up.
func (d *Direction) Discarded() (Packet, bool) {
	if d.discarded.len() == 0 {
		return Packet{}, false
	}
	return d.discarded.pop(), true
}

// advance pulls every packet from the queue whose transmission starts by now.
// The start is the ideal one: when the packet before it ended, or its arrival.
func (d *Direction) advance(now Time) {
	d.now = max(d.now, now)
	for d.queue.len() > 0 && max(d.serialiser.free, d.queue.front().arrived) <= d.now {
		if d.features&pulled != 0 {
			d.pull()
			continue
		}
		w := d.queue.front()
		d.queueBytes -= w.Size
		d.delayBy(&w.Packet, w.share, d.serialiser.transmit(w.arrived, w.Size), d.drawDelay(d.imp.Delay))
		d.queue.skip()
	}
}

// pulled are the features with which there is more to leaving the queue than a
// rate.
const pulled = FeatureSlot | FeatureCapacity | FeatureSteps | FeatureCoDel | FeatureReorder

// pull takes the next packet from the queue. The serialiser is free, but the start may lie ahead: at an opportunity or
// a slot.
func (d *Direction) pull() {
	w, start := d.take()
	sent := d.serialiser.send(start, &w.Packet)
	if d.features&FeatureSlot != 0 {
		d.gate.use(start, w.Size)
	}
	d.headStart, d.headSize = start, w.Size
	delay := d.imp.Delay
	if d.imp.stepped(StepDelay) {
		step, _ := d.steps.at(start)
		delay = step.Delay
	}
	delay = d.drawDelay(delay)
	if d.features&FeatureReorder != 0 && d.goesAhead() {
		d.counters.ReorderedPackets++
		d.ahead.push(overtaking{departing{w.Packet, w.share, max(sent, d.lastOut)}, d.lineCount})
		return
	}
	d.delayBy(&w.Packet, w.share, sent, delay)
}

// take returns the next packet to send and when it starts. The queue must hold one.
func (d *Direction) take() (w waiting, start Time) {
	if d.imp.Queue.Discipline == CoDel {
		return d.takeControlled()
	}
	w = d.queue.pop()
	d.queueBytes -= w.Size
	return w, d.starts(&w)
}

// starts returns when a packet at the head of the queue starts.
func (d *Direction) starts(w *waiting) Time {
	ready := w.arrived
	if d.features&FeatureSlot != 0 {
		ready = d.gate.open(ready, d.serialiser.free)
	}
	return d.serialiser.starts(ready)
}

// goesAhead decides whether the packet that leaves the serialiser takes no delay
// (sch_netem.c, netem_enqueue). It draws for each.
func (d *Direction) goesAhead() bool {
	hit := d.reorder.Float64() < d.imp.Reorder.Probability
	if d.sinceAhead < d.imp.Reorder.Gap-1 || !hit {
		d.sinceAhead++
		return false
	}
	d.sinceAhead = 0
	return true
}

// delayBy puts a packet into the delay line, behind all that are there.
func (d *Direction) delayBy(p *Packet, share uint32, sent Time, delay time.Duration) {
	d.lastDeparted = max(d.lastDeparted, sent.Add(delay))
	d.lineCount++
	l := d.line.add()
	l.Packet, l.share, l.at = *p, share, d.lastDeparted
}
