package relay

import (
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// depart sends every packet that is due.
func (f *forwarder) depart(now emulation.Time) {
	if f.super != nil {
		f.departUnits(now)
		return
	}
	for {
		p, ideal, ok := f.model.Dequeue(now)
		if buf := f.finish(p); ok && buf != nil {
			f.sender.add(buf, ideal)
		}
		if f.sender.full() || !ok {
			f.flush()
		}
		if !ok {
			f.reclaim()
			return
		}
	}
}

// finish does to a departing frame what the model says, and returns its bytes:
// their own, even if another frame shares them. Nil when there is no memory.
func (f *forwarder) finish(p emulation.Packet) []byte {
	buf := p.Data
	if p.Marks&emulation.Shared != 0 {
		if buf = f.pool.take(len(p.Data)); buf == nil {
			f.stats.noMemory++
			return nil
		}
		copy(buf, p.Data)
	}
	if p.Marks&emulation.Corrupted != 0 {
		flip(buf, p.Flip)
	}
	if p.ECN == emulation.CE {
		setCE(buf)
	}
	return buf
}

// flush sends the batch.
func (f *forwarder) flush() {
	s := f.sender
	if s.n == 0 {
		return
	}
	f.push(s, s.n)
	now := f.clock.at(time.Now())
	for i := range s.n {
		f.stats.lateness.add(now.Sub(s.ideal[i]))
		f.pool.give(s.buffers[i])
		s.buffers[i], s.parts[i].Base = nil, nil
	}
	s.n = 0
}
