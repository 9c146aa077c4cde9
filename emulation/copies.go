package emulation

import "math/rand/v2"

// copies draws which packets are duplicated and corrupted. The generators are made
// when first needed.
type copies struct {
	duplicate *rand.Rand
	corrupt   *rand.Rand
}

func (c *copies) set(imp *Impairments, seed Seed) {
	if imp.Duplicate > 0 && c.duplicate == nil {
		c.duplicate = seed.stage("duplicate")
	}
	if imp.Corrupt > 0 && c.corrupt == nil {
		c.corrupt = seed.stage("corrupt")
	}
}

// draw decides over an arriving packet and its copy, if there is one. It draws the
// same whatever becomes of them.
func (c *copies) draw(imp *Impairments, original, second *Packet) (duplicated bool) {
	if imp.Corrupt > 0 {
		for _, p := range []*Packet{original, second} {
			hit, flip := c.corrupt.Float64() < imp.Corrupt, c.corrupt.Uint32()
			if hit {
				p.Marks |= Corrupted
				p.Flip = flip
			}
		}
	}
	return imp.Duplicate > 0 && c.duplicate.Float64() < imp.Duplicate
}

// shares counts the packets that have one Data, so that the last to leave can say
// that it is. A packet's share is the index of its count; 0 is that of all packets
// that have their Data alone.
type shares struct {
	held []uint8
	idle []uint32
}

// pair returns a share for two packets.
func (s *shares) pair() uint32 {
	if n := len(s.idle); n > 0 {
		i := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.held[i] = 2
		return i
	}
	if len(s.held) == 0 {
		s.held = append(s.held, 0)
	}
	s.held = append(s.held, 2)
	return uint32(len(s.held) - 1)
}

// leave reports whether a packet that leaves leaves its Data to another.
func (s *shares) leave(i uint32) (shared bool) {
	if i == 0 {
		return false
	}
	s.held[i]--
	if s.held[i] > 0 {
		return true
	}
	s.idle = append(s.idle, i)
	return false
}
