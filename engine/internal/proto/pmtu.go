package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// maxProbes is how many lost probes in a row rule a size out: MAX_PROBES of RFC
	// 8899, section 5.1.2.
	maxProbes = 3
	// raiseAfter is the PMTU_RAISE_TIMER of RFC 8899, section 5.1.1.
	raiseAfter = 600 * time.Second
	// probeGain is the least gain that a probe of the binary search is for, in bytes.
	probeGain = 20
	// blackHoleLosses is how many times in a row packets above the base size must be
	// found lost, with none so large acknowledged, for the path to be a black hole.
	blackHoleLosses = 3
)

// pmtu finds the largest UDP payload that a path carries (RFC 9000, section 14.3; RFC
// 8899, section 5). Sizes are bytes of UDP payload; BASE_PLPMTU and MIN_PLPMTU are
// the smallest size that QUIC allows, 1200.
//
// The search tries the sizes that fill an MTU of 1500 or 9000 over IPv6 and IPv4,
// then the largest allowed, then halves what is left. The PROBE_TIMER is loss
// detection's: the owner says that a probe was acknowledged or lost. Probing starts
// when the owner first asks for a probe, which is after the handshake (RFC 9000,
// section 14.3.1).
type pmtu struct {
	base, limit wire.ByteCount // smallest and largest size
	cur         wire.ByteCount // known to arrive
	ceiling     wire.ByteCount // known, or taken, not to arrive
	fixed       bool

	probing wire.ByteCount // size of the probe in flight, or 0
	last    wire.ByteCount // and of the newest probe, or 0
	losses  int            // probes lost in a row, all of one size
	raise   clock.Time     // when a finished search starts again; zero: not finished

	hole blackHole
}

// blackHole is the evidence that packets of the current size do not arrive any more
// (RFC 8899, section 4.3).
type blackHole struct {
	events   int            // findings of loss in a row
	smallest wire.ByteCount // lost in them
	newest   wire.PacketNumber

	// Of what was reported since the last call of settle:
	lost      wire.ByteCount // smallest size lost, or 0
	lostNew   bool           // and one of them newer than those of earlier findings
	delivered wire.ByteCount // largest size acknowledged
}

// init starts at base, which the path is known to carry, and searches up to limit.
// When fixed is set the size is limit from the start and stays.
func (p *pmtu) init(base, limit wire.ByteCount, fixed bool) {
	limit = max(base, limit)
	*p = pmtu{base: base, limit: limit, cur: base, ceiling: limit + 1, fixed: fixed}
	p.hole.newest = wire.NoPacket
	if fixed {
		p.cur = limit
	}
}

// size returns the largest UDP payload to send, probes aside.
func (p *pmtu) size() wire.ByteCount { return p.cur }

// setPeerMax takes the peer's max_udp_payload_size, which bounds the search and the
// size in use (RFC 9000, section 18.2).
func (p *pmtu) setPeerMax(n wire.ByteCount) {
	p.limit = max(p.base, min(p.limit, n))
	p.cur = min(p.cur, p.limit)
	p.ceiling = min(p.ceiling, p.limit+1)
}

// probe returns the size of the probe to send now, and whether there is one. There
// is one in flight at a time.
func (p *pmtu) probe(now clock.Time) (wire.ByteCount, bool) {
	if p.fixed || p.probing != 0 {
		return 0, false
	}
	p.timeout(now)
	if !p.raise.IsZero() {
		return 0, false
	}
	n := p.candidate()
	if n == 0 {
		p.raise = now.Add(raiseAfter)
	}
	return n, n != 0
}

// timeout starts the search again once deadline has come, whether or not a probe can
// leave now.
func (p *pmtu) timeout(now clock.Time) {
	if now >= p.deadline() {
		p.restart()
	}
}

// restart begins a search above the current size.
func (p *pmtu) restart() { p.raise, p.losses, p.ceiling = 0, 0, p.limit+1 }

// candidate returns the next size to try, or 0 when the search is done. A size that
// was lost less than maxProbes times comes again.
func (p *pmtu) candidate() wire.ByteCount {
	// UDP payloads that fill the MTUs of Ethernet, over IPv6 and over IPv4.
	for _, n := range [...]wire.ByteCount{1452, 1472, 8952, 8972} {
		if n > p.cur && n < p.ceiling {
			return n
		}
	}
	switch {
	case p.cur >= p.limit:
		return 0
	case p.ceiling > p.limit:
		return p.limit
	case p.ceiling-p.cur <= probeGain:
		return 0
	}
	return p.cur + (p.ceiling-p.cur)/2
}

// sent notes that the probe of that size left. The time and the number are not
// needed: loss detection has both.
func (p *pmtu) sent(_ clock.Time, size wire.ByteCount, _ wire.PacketNumber) {
	p.probing, p.last = size, size
}

// acked notes that a probe arrived and reports whether the size grew. The newest
// counts even if it was taken for lost; an older one may be from before init, and so
// of another path, or from before a black hole.
func (p *pmtu) acked(size wire.ByteCount) bool {
	if size != p.last {
		return false
	}
	p.probing = 0
	if size <= p.cur || size > p.limit {
		return false
	}
	p.cur, p.losses = size, 0
	if p.ceiling <= size {
		p.restart() // what ruled larger sizes out was not their size
	}
	return true
}

// lost notes that the probe of that size did not arrive. RFC 8899, section 5.1.2: not
// before MAX_PROBES of them is the size ruled out. RFC 9000, section 14.4: it says
// nothing of congestion.
func (p *pmtu) lost(_ clock.Time, size wire.ByteCount) {
	if size != p.probing {
		return
	}
	p.probing = 0
	p.losses++
	if p.losses >= maxProbes {
		p.losses, p.ceiling = 0, min(p.ceiling, size)
	}
}

// deadline returns when the search starts again; Never: it goes on, or there is
// none. While it goes on, probe is to be asked with each train.
func (p *pmtu) deadline() clock.Time { return p.raise.OrNever() }

// packetAcked notes that a packet of that size arrived. Like packetLost it has no
// effect before settle.
func (p *pmtu) packetAcked(size wire.ByteCount) {
	p.hole.delivered = max(p.hole.delivered, size)
}

// packetLost notes that a packet, no probe, of that size and number was lost, or that
// its probe timeout expired.
func (p *pmtu) packetLost(size wire.ByteCount, pn wire.PacketNumber) {
	if p.fixed || size <= p.base || size > p.cur {
		return // of a size that is no more in use
	}
	h := &p.hole
	if h.lost == 0 || size < h.lost {
		h.lost = size
	}
	if pn > h.newest {
		h.newest, h.lostNew = pn, true
	}
}

// settle weighs what packetAcked and packetLost told since the last call: once an
// ACK frame or a probe timeout has been dealt with. It reports whether the path is a
// black hole for the current size (RFC 8899, section 4.3), which then is the base
// size again, and a new search begins. Congestion loses packets of every size and
// lets others of the size through, so a burst counts once and an acknowledgement of
// a packet no smaller than the lost ones ends the suspicion.
func (p *pmtu) settle() bool {
	h := &p.hole
	if h.lostNew {
		h.events++
		if h.smallest == 0 || h.lost < h.smallest {
			h.smallest = h.lost
		}
	}
	if h.smallest != 0 && h.delivered >= h.smallest {
		h.events, h.smallest = 0, 0
	}
	h.lost, h.lostNew, h.delivered = 0, false, 0
	if h.events < blackHoleLosses {
		return false
	}
	p.hole = blackHole{newest: h.newest}
	p.cur, p.probing, p.last = p.base, 0, 0
	p.restart()
	return true
}
