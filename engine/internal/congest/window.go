package congest

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// minDatagram is the smallest maximum datagram size that QUIC works with (RFC 9000,
// section 14).
const minDatagram wire.ByteCount = 1200

// initialWindow is RFC 9002, section 7.2: ten datagrams, but no more than the larger
// of 14,720 bytes and two datagrams.
func initialWindow(datagram wire.ByteCount) wire.ByteCount {
	return min(10*datagram, max(14720, 2*datagram))
}

// minimumWindow is RFC 9002, section 7.2: two datagrams.
func minimumWindow(datagram wire.ByteCount) wire.ByteCount { return 2 * datagram }

// usage notes how much of the window the sender uses: the largest amount in flight
// in this round trip and the one before.
type usage struct {
	round, before wire.ByteCount
}

func (u *usage) sent(s Sent) {
	if s.InFlight == s.Bytes {
		// Nothing was in flight: what was used before the pause says nothing.
		*u = usage{}
	}
	u.round = max(u.round, s.InFlight)
}

func (u *usage) acked(a Ack) {
	if a.RoundStart {
		u.before, u.round = u.round, a.PriorInFlight
	}
}

// filled reports whether the window was what limited the sender (RFC 9002, section
// 7.8: SHOULD NOT increase an underutilized window).
//
// In slow start the window is up to twice what it was a round trip ago, when the
// packets now acknowledged were sent. Later, an eighth may be missing: packets leave
// in trains. A paced sender that has data gets there, as long as the RTT has not
// fallen below 0.7 times the smoothed one, since the pacer is faster than the window.
func (u *usage) filled(window, datagram wire.ByteCount, slowStart bool) bool {
	used := max(u.round, u.before)
	if slowStart {
		return window < 2*used
	}
	return window-used <= max(3*datagram, window/8)
}
