package congest

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// newReno is the controller of RFC 9002, section 7. In a Group, congestion avoidance
// counts what is acknowledged as the Group's coupling says.
type newReno struct {
	datagram      wire.ByteCount
	initial       wire.ByteCount // configured initial window, 0: the RFC's
	window        wire.ByteCount
	ssthresh      wire.ByteCount // 0: infinite
	acked         float64        // bytes in congestion avoidance, since the window last grew
	recoveryStart clock.Time     // 0: none
	recovering    bool           // no packet sent since recoveryStart was acknowledged yet
	underused     bool
	fresh         bool // the window is still the initial one
	usage         usage

	group *Group // nil: not coupled
	linked
}

func newNewReno(c Config) *newReno {
	r := &newReno{datagram: max(c.Datagram, minDatagram), initial: c.InitialWindow, fresh: true}
	r.window = r.firstWindow()
	return r
}

func (r *newReno) firstWindow() wire.ByteCount {
	if r.initial != 0 {
		return max(r.initial, minimumWindow(r.datagram))
	}
	return initialWindow(r.datagram)
}

// OnSent notes how much of the window is used.
func (r *newReno) OnSent(_ clock.Time, s Sent) { r.usage.sent(s) }

// OnAck grows the window.
func (r *newReno) OnAck(_ clock.Time, a Ack) {
	r.usage.acked(a)
	r.linked.ack(a)
	// RFC 9002, section 7.3.2: the window does not change during a recovery period, which
	// ends when a packet sent within it is acknowledged.
	if a.LargestSent <= r.recoveryStart {
		return
	}
	r.recovering = false
	r.underused = !r.usage.filled(r.window, r.datagram, r.slowStart())
	if r.underused {
		return
	}
	r.fresh = false
	if r.slowStart() {
		r.window += a.Bytes
		if r.ssthresh != 0 {
			r.window = min(r.window, r.ssthresh)
		}
		return
	}
	// RFC 9002, section 7.3.3: MUST limit the increase to one datagram for each window
	// that is acknowledged.
	r.acked += r.share() * float64(a.Bytes)
	switch {
	case r.acked >= float64(r.window):
		r.acked -= float64(r.window)
		r.window += r.datagram
	case r.acked <= -float64(r.window):
		// OLIA also takes from the largest window what a better path is to get.
		r.acked += float64(r.window)
		r.window = max(r.window-r.datagram, minimumWindow(r.datagram))
	}
}

// OnLoss halves the window, once per round trip.
func (r *newReno) OnLoss(now clock.Time, l Loss) {
	// RFC 9002, section 7.3.2: a sender in a recovery period does not reenter it.
	if l.LargestSent > r.recoveryStart {
		r.recoveryStart, r.recovering = now, true
		r.linked.lose()
		// Section 7.3.2: MUST set the slow start threshold to half the window, and the
		// window to that before leaving recovery.
		r.ssthresh = max(r.reduced(), minimumWindow(r.datagram))
		r.window = r.ssthresh
		r.acked, r.fresh = 0, false
	}
	if l.Persistent {
		// RFC 9002, section 7.6.2: the window MUST be reduced to the minimum.
		r.window = minimumWindow(r.datagram)
		r.recoveryStart, r.recovering = 0, false
	}
}

// SetDatagram implements DatagramSizer.
func (r *newReno) SetDatagram(size wire.ByteCount) {
	r.datagram = max(size, minDatagram)
	// RFC 9002, section 7.2: the initial window SHOULD be recalculated.
	if r.fresh {
		r.window = r.firstWindow()
	}
	r.window = max(r.window, minimumWindow(r.datagram))
}

// State implements Controller.
func (r *newReno) State() State {
	return State{Window: r.window, SSThresh: r.ssthresh, Phase: phase(r.recovering, r.underused, r.slowStart())}
}

func (r *newReno) slowStart() bool { return r.ssthresh == 0 || r.window < r.ssthresh }

func phase(recovering, underused, slowStart bool) string {
	switch {
	case recovering:
		return Recovery
	case underused:
		return ApplicationLimited
	case slowStart:
		return SlowStart
	}
	return CongestionAvoidance
}
