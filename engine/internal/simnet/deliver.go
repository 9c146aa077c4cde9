package simnet

import (
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// delayed is a packet that a fault holds back after the model.
type delayed struct {
	direction *direction
	packet    packet
}

// Buffer returns the memory in which the datagram lies that a handler has now. Who
// wants to keep the datagram retains it. Nil outside HandleDatagram.
func (n *Network) Buffer() *buf.Buffer { return n.buffer }

// depart takes the packet that is due from the model.
func (n *Network) depart(d *direction) {
	if _, _, ok := d.model.Dequeue(emulation.Time(n.now)); !ok {
		panic("simnet: the model holds back a packet that was due")
	}
	p := d.flying.pop()
	if d.faults == nil {
		n.deliver(d, &p)
		return
	}
	n.disturb(d, p)
}

// disturb does to a packet what the faults after the model say, and delivers what
// comes of it. Whatever becomes of a packet the draws are the same.
func (n *Network) disturb(d *direction, p packet) {
	f := d.faults
	duplicate, corrupt, reorder := f.draw(f.Duplicate), f.draw(f.Corrupt), f.draw(f.Reorder)
	flip, wait, again := f.random.Uint64(), f.wait(), f.wait()
	if duplicate {
		d.counters.Duplicated++
		c := p
		c.buffer = n.memory(len(p.data))
		c.data = c.buffer.Data[:copy(c.buffer.Data, p.data)]
		n.delay(d, c, again)
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

// deliver hands a packet to its receiver and takes the memory back.
func (n *Network) deliver(d *direction, p *packet) {
	to, ok := d.destination(n.now, p.to)
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
