package relay

import (
	"encoding/binary"
	"slices"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	// maxUnit is the longest frame that the relay takes: IPv4's longest packet.
	maxUnit = ethernetHeader + 1<<16 - 1
	// ticketSize is the length of a wire packet's Data in the model.
	ticketSize = 8
)

// unitSizes are the buffers that frames lie in while the model holds a part of them.
var unitSizes = [...]int{1 << 11, 1 << 13, 1 << 15, 1<<16 + 64}

// unit is a frame as it came in, of which the model holds one wire packet or more.
// All of them refer to its one buffer, which nobody writes to.
type unit struct {
	segments
	frame   []byte
	ecn     emulation.ECN
	index   uint32
	held    int // wire packets, a packet and its copy being one
	tickets []byte
}

// ticket returns what a wire packet of the unit has as its Data in the model: who
// it is. It stays true when the unit is used again.
func (u *unit) ticket(i int) []byte { return u.tickets[i*ticketSize : (i+1)*ticketSize] }

// admit grows the tickets to n.
func (u *unit) admit(n int) {
	have := len(u.tickets) / ticketSize
	if have >= n {
		return
	}
	u.tickets = slices.Grow(u.tickets, (n-have)*ticketSize)
	for i := have; i < n; i++ {
		u.tickets = binary.NativeEndian.AppendUint32(u.tickets, u.index)
		u.tickets = binary.NativeEndian.AppendUint32(u.tickets, uint32(i))
	}
}

// units is all units of a direction, in use or idle, and their buffers. Once it has
// held its largest load it allocates no more.
type units struct {
	all     []*unit
	idle    []*unit
	buffers [len(unitSizes)]pool
}

func newUnits() units {
	var s units
	for i, size := range unitSizes {
		s.buffers[i].size = size
	}
	return s
}

// buffer returns a buffer of n bytes, maxUnit at most; nil when the direction holds
// as much as it may.
func (s *units) buffer(n int) []byte {
	class, made := 0, 0
	for n > unitSizes[class] {
		class++
	}
	p := &s.buffers[class]
	if len(p.free) == 0 {
		for i := range s.buffers {
			made += s.buffers[i].made * s.buffers[i].size
		}
		if made+poolChunk*p.size > poolLimit {
			return nil
		}
	}
	return p.take(n)
}

// giveBuffer takes back what buffer returned.
func (s *units) giveBuffer(b []byte) {
	for i := range s.buffers {
		if cap(b) == s.buffers[i].size {
			s.buffers[i].give(b)
			return
		}
	}
	panic("relay: a buffer comes back that is none of the direction's")
}

// take returns a unit whose frame is buf, which it keeps.
func (s *units) take(parts segments, buf []byte) *unit {
	if len(s.idle) == 0 {
		u := &unit{index: uint32(len(s.all))}
		s.all = append(s.all, u)
		s.idle = append(s.idle, u)
	}
	u := s.idle[len(s.idle)-1]
	s.idle = s.idle[:len(s.idle)-1]
	u.segments, u.frame, u.ecn, u.held = parts, buf, codepoint(buf), 0
	u.admit(parts.count)
	return u
}

// of returns the wire packet that a ticket stands for.
func (s *units) of(ticket []byte) (*unit, int) {
	return s.all[binary.NativeEndian.Uint32(ticket)], int(binary.NativeEndian.Uint32(ticket[4:]))
}

// release says that n wire packets of a unit are not held any more. The last one
// frees its buffer.
func (s *units) release(u *unit, n int) {
	if u.held -= n; u.held > 0 {
		return
	}
	s.giveBuffer(u.frame)
	u.frame = nil
	s.idle = append(s.idle, u)
}
