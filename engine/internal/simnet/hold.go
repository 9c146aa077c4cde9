package simnet

import (
	"encoding/binary"

	"github.com/tquiclab/tquiclab/emulation"
)

// hold has the packets that a model holds. The model gives them back in an order of
// its own, and some of them never: what it carries for each is a tag that says where
// the packet stands here. The zero value is empty.
type hold struct {
	slots []slot
	idle  []uint32
	n     int // packets held
}

type slot struct {
	packet
	tag []byte // the slot's index: what the model has as the packet's Data
}

const (
	tagSize   = 4
	slotsMore = 64 // how many are made at once
)

// put keeps a packet and returns its tag.
func (h *hold) put(p packet) []byte {
	if len(h.idle) == 0 {
		h.grow()
	}
	i := h.idle[len(h.idle)-1]
	h.idle = h.idle[:len(h.idle)-1]
	h.slots[i].packet = p
	h.n++
	return h.slots[i].tag
}

func (h *hold) grow() {
	more := max(slotsMore, len(h.slots))
	tags := make([]byte, more*tagSize)
	for range more {
		i := uint32(len(h.slots))
		binary.NativeEndian.PutUint32(tags, i)
		h.slots = append(h.slots, slot{tag: tags[:tagSize:tagSize]})
		h.idle = append(h.idle, i)
		tags = tags[tagSize:]
	}
}

// at returns the packet with the tag. The pointer is good until the next put.
func (h *hold) at(tag []byte) *packet { return &h.slots[binary.NativeEndian.Uint32(tag)].packet }

// take gives a packet up.
func (h *hold) take(tag []byte) packet {
	i := binary.NativeEndian.Uint32(tag)
	p := h.slots[i].packet
	h.slots[i].packet = packet{}
	h.idle = append(h.idle, i)
	h.n--
	return p
}

// all calls f for each packet held.
func (h *hold) all(f func(*packet)) {
	for i := range h.slots {
		if h.slots[i].buffer != nil {
			f(&h.slots[i].packet)
		}
	}
}

// reclaim takes back the memory of the packets that the model has dropped after it
// had accepted them.
func (n *Network) reclaim(d *direction) {
	for p, ok := d.model.Discarded(); ok; p, ok = d.model.Discarded() {
		d.flying.take(p.Data).buffer.Release()
	}
}

// nextSeq returns the sequence number of the packet that departs next. While none may
// depart although the model wants to be asked, it is the highest.
func (d *direction) nextSeq(at emulation.Time) uint64 {
	if p, when, ok := d.model.Peek(); ok && when == at {
		return d.flying.at(p.Data).seq
	}
	return 1<<64 - 1
}
