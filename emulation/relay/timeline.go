package relay

import "github.com/tquiclab/tquiclab/emulation"

// meet brings the model to the arrival of a frame, which starts the clock if it is the
// first packet.
func (f *forwarder) meet(frame []byte) {
	m := f.model
	if m.meets(f.arrived) {
		return
	}
	m.catchUp(f.arrived)
	if !m.known && m.start.byPacket && startsClock(frame) {
		m.start.set(f.arrived) // unless another wire was quicker
		m.catchUp(f.arrived)
	}
}

// seen returns the time up to which all arrivals have been given to the model, once
// receive returned that number and was called at before.
func (f *forwarder) seen(before emulation.Time, received int) emulation.Time {
	if received == receiveBatch {
		return f.arrived
	}
	return max(f.arrived, before.Add(-settle))
}
