package relay

import "github.com/tquiclab/tquiclab/emulation"

// meet brings the model to the arrival of a frame.
func (f *forwarder) meet(frame []byte) { f.model.meet(f.arrived, frame) }

// horizon returns up to when departures may go, and up to when all arrivals have been
// given to the model, once receive returned that number between before and now. While
// frames are left in the ring, what departs waits for those that arrived before it.
func (f *forwarder) horizon(before, now emulation.Time, received int) (until, seen emulation.Time) {
	if received == receiveBatch {
		return f.arrived, f.arrived
	}
	return now, max(f.arrived, before.Add(-settle))
}
