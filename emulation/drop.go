package emulation

// Drop is one packet that a direction dropped, and what waited then.
type Drop struct {
	At            Time // ideal: of the arrival, or when the serialiser turned to it
	Reason        DropReason
	Size          ByteCount
	QueuedPackets int // without the packet itself
	QueuedBytes   ByteCount
}

// ObserveDrops makes the direction call f for each packet that it drops from now on,
// within the call that dropped it; nil ends that. f must not call the direction.
func (d *Direction) ObserveDrops(f func(Drop)) { d.observer = f }

// drop counts a packet that is dropped at a time.
func (d *Direction) drop(at Time, p *Packet, why DropReason) {
	d.counters.Dropped[why]++
	d.counters.DroppedBytes += uint64(max(p.Size, 0))
	if d.observer != nil {
		packets, bytes := d.waits(at)
		d.observer(Drop{At: at, Reason: why, Size: p.Size, QueuedPackets: packets, QueuedBytes: bytes})
	}
}

// discard drops a packet that was accepted.
func (d *Direction) discard(at Time, w *waiting, why DropReason) {
	d.counters.HeldPackets--
	d.counters.HeldBytes -= w.Size
	d.drop(at, &w.Packet, why)
	if !d.shares.leave(w.share) {
		d.giveBack(&w.Packet)
	}
}

// giveBack keeps a packet for Discarded.
func (d *Direction) giveBack(p *Packet) {
	if p.Data != nil {
		d.discarded.push(*p)
	}
}
