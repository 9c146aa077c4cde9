package simnet

import (
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// delayed is a packet that a fault holds back after the model.
type delayed struct {
	direction *direction
	packet    packet
}

// Buffer returns the memory in which the datagram lies that a handler has now. Who
// wants to keep the datagram retains it. Nil outside HandleDatagram.
func (n *Network) Buffer() *buf.Buffer { return n.buffer }

// depart takes the packet that is due from the model, if one is: a model that sends
// packets ahead may want to be asked in vain.
func (n *Network) depart(d *direction) {
	out, _, ok := d.model.Dequeue(emulation.Time(n.now))
	n.reclaim(d)
	if !ok {
		return
	}
	p := n.departed(d, &out)
	switch {
	case d.down:
		d.counters.BlackedOut++
		p.buffer.Release()
	case out.Marks&emulation.Corrupted != 0:
		d.counters.Spoiled++
		p.buffer.Release()
	case d.faults == nil:
		n.deliver(d, &p)
	default:
		n.disturb(d, p)
	}
}

// departed returns the packet that the model has let go, as it arrives.
func (n *Network) departed(d *direction, out *emulation.Packet) packet {
	var p packet
	if out.Marks&emulation.Shared != 0 {
		p = n.copyOf(d.flying.at(out.Data))
	} else {
		p = d.flying.take(out.Data)
	}
	p.ecn = wire.ECN(out.ECN)
	return p
}

// copyOf returns a packet with memory of its own.
func (n *Network) copyOf(p *packet) packet {
	c := *p
	c.buffer = n.memory(len(p.data))
	c.data = c.buffer.Data[:copy(c.buffer.Data, p.data)]
	return c
}

// disturb does to a packet what the faults after the model say, and delivers what
// comes of it. Whatever becomes of a packet the draws are the same.
func (n *Network) disturb(d *direction, p packet) {
	f := d.faults
	duplicate, corrupt, reorder := f.draw(f.Duplicate), f.draw(f.Corrupt), f.draw(f.Reorder)
	flip, wait, again := f.random.Uint64(), f.wait(), f.wait()
	if duplicate {
		d.counters.Duplicated++
		n.delay(d, n.copyOf(&p), again)
	}
	if corrupt && len(p.data) > 0 {
		d.counters.Corrupted++
		bit := flip % uint64(8*len(p.data))
		p.data[bit/8] ^= 1 << (bit % 8)
	}
	if reorder {
		d.counters.Reordered++
		n.delay(d, p, wait)
		return
	}
	n.deliver(d, &p)
}

// deliver hands a packet to its receiver and takes the memory back, or has a router send
// it on.
func (n *Network) deliver(d *direction, p *packet) {
	to, ok := d.destination(n.now, p.to)
	if next := d.receiver.next(p.to.Addr()); !ok && next != nil {
		n.forward(d, next, p)
		return
	}
	if !ok || d.receiver.handler == nil {
		d.counters.Unrouted++
		p.buffer.Release()
		return
	}
	d.counters.DeliveredPackets++
	d.counters.DeliveredBytes += frameSize(to.Addr(), len(p.data))
	n.buffer = p.buffer
	d.receiver.handler.HandleDatagram(n.now, to, p.from, p.ecn, p.data)
	n.buffer = nil
	p.buffer.Release()
}

// destination returns which of the receiver's addresses is meant by to; false when
// none is.
func (d *direction) destination(now clock.Time, to netip.AddrPort) (netip.AddrPort, bool) {
	ok := true
	if back := d.reverse.faults; back != nil {
		to, ok = back.nat.inside(now, to)
	}
	return to, ok && slices.Contains(d.accepts, to.Addr())
}

func frameSize(addr netip.Addr, payload int) uint64 {
	return uint64(payload + headers(addr) + ethernetHeader)
}
