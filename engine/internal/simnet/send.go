package simnet

import (
	"net/netip"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Header sizes, bytes, as the relay and netem count a frame: Ethernet without
// preamble and checksum, IP without options.
const (
	ethernetHeader = 14
	ipv4Header     = 20
	ipv6Header     = 40
	udpHeader      = 8
)

// headers returns what IP and UDP add to a payload between addresses like addr.
func headers(addr netip.Addr) int {
	if addr.Is4() {
		return ipv4Header + udpHeader
	}
	return ipv6Header + udpHeader
}

// packet is a datagram under way.
type packet struct {
	from, to netip.AddrPort // as the sender has them, but for a NAT of the sender's
	ecn      wire.ECN
	seq      uint64
	data     []byte // lies in buffer
	buffer   *buf.Buffer
}

// Send puts a datagram on the link that has the address from, at the time that the
// network has, which is what now must say. It borrows data. Like UDP it says nothing
// of a datagram that is lost: the link's counters do. A sender without a link, or
// with another time, is a defect of the caller's, and panics.
func (n *Network) Send(now clock.Time, from, to netip.AddrPort, ecn wire.ECN, data []byte) {
	if now != n.now {
		panic("simnet: Send at a time that is not now")
	}
	n.Start()
	d := n.out(from.Addr())
	if !n.admits(d, from, data) {
		return
	}
	b := n.memory(len(data))
	p := packet{from: from, to: to, ecn: ecn, buffer: b, data: b.Data[:len(data)]}
	copy(p.data, data)
	n.enter(d, p)
}

// admits reports whether a datagram gets as far as the direction's model, and counts it
// when not.
func (n *Network) admits(d *direction, from netip.AddrPort, data []byte) bool {
	size := len(data) + headers(from.Addr())
	switch {
	case d.down:
		d.counters.BlackedOut++
		return false
	case size > d.mtu || len(data) > largeBuffer:
		d.counters.TooLarge++
		return false
	}
	return d.faults == nil || n.survives(d, size)
}

// enter puts a packet that is admitted into the direction's model. Its memory is the
// network's from now on.
func (n *Network) enter(d *direction, p packet) {
	if d.faults != nil {
		p.from = d.faults.nat.outside(n.now, p.from)
	}
	n.seq++
	p.seq = n.seq
	size := len(p.data) + headers(p.from.Addr())
	tag := d.flying.put(p)
	v := d.model.Enqueue(emulation.Time(n.now), emulation.Packet{
		Size: emulation.ByteCount(size + ethernetHeader), IPSize: size, Data: tag, ECN: emulation.ECN(p.ecn),
	})
	if !v.Accepted {
		d.flying.take(tag).buffer.Release() // no message, even if the link shall send one: QUIC asks for none
	}
	n.reclaim(d)
}

// out returns the direction that packets from addr take.
func (n *Network) out(addr netip.Addr) *direction {
	for i := range n.interfaces {
		if n.interfaces[i].addr == addr {
			return n.interfaces[i].out
		}
	}
	panic("simnet: no link has the address " + addr.String())
}

// survives reports whether a packet gets past the faults that come before the
// model, and counts it when not.
func (n *Network) survives(d *direction, size int) bool {
	switch {
	case d.faults.black(n.now):
		d.counters.BlackedOut++
		return false
	case size > d.faults.mtu(n.now):
		d.counters.TooLarge++
		return false
	}
	return true
}

func (n *Network) memory(size int) *buf.Buffer {
	if size <= smallBuffer {
		return n.small.Get()
	}
	return n.large.Get()
}
