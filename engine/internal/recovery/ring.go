package recovery

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// fate is what became of a packet number.
type fate uint8

const (
	skipped     fate = iota // no packet had the number
	outstanding             // no fate yet
	acked
	lost // or dropped
)

// slot is the place of one packet number.
type slot struct {
	Sent
	// below, of a number that is not outstanding, is the next lower one that may be:
	// all numbers between have their fate. It takes the walk over a range past what
	// earlier ACKs settled.
	below wire.PacketNumber
	fate  fate
}

// ring keeps the packets of a space from the oldest outstanding one to the newest,
// each in the slot that its number says.
type ring struct {
	slots []slot            // length a power of two, or 0
	base  wire.PacketNumber // first number ever
	first wire.PacketNumber // oldest kept: outstanding, unless the ring is empty
	next  wire.PacketNumber // next to be sent
	used  bool
}

// minRing is the first size of a ring.
const minRing = 64

func (r *ring) at(n wire.PacketNumber) *slot { return &r.slots[int(n)&(len(r.slots)-1)] }

func (r *ring) empty() bool { return r.first == r.next }

// push adds the slot of the next number and returns it to be filled in.
func (r *ring) push(n wire.PacketNumber) *slot {
	if !r.used {
		r.used = true
		r.base, r.first, r.next = n, n, n
	}
	if n != r.next {
		panic("recovery: packet numbers must be sent in order and without unannounced gaps")
	}
	if int(r.next-r.first) == len(r.slots) {
		r.grow()
	}
	r.next++
	return r.at(n)
}

func (r *ring) grow() {
	bigger := make([]slot, max(minRing, 2*len(r.slots)))
	for n := r.first; n < r.next; n++ {
		bigger[int(n)&(len(bigger)-1)] = *r.at(n)
	}
	r.slots = bigger
}

// settle gives the packet n its fate.
func (r *ring) settle(n wire.PacketNumber, f fate) {
	p := r.at(n)
	p.fate, p.below = f, n-1
}
