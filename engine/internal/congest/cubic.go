package congest

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// The constants of RFC 9438: sections 4.6, 5 and 4.3.
const (
	cubicBeta  = 0.7
	cubicC     = 0.4 // segments/s^3
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta)
)

// cubic is CUBIC (RFC 9438) with HyStart++ as its first slow start. Windows are in
// bytes here, as float64: growth per ACK is often less than a byte.
type cubic struct {
	datagram wire.ByteCount
	initial  wire.ByteCount // configured initial window, 0: the RFC's
	window   float64
	ssthresh float64 // 0: infinite
	prior    float64 // window when ssthresh was last set (cwnd_prior)
	wMax     float64

	// The congestion avoidance stage, which began when epoch was set.
	epoch   bool
	origin  float64       // W_max of the stage
	k       float64       // seconds until the window is origin
	wEst    float64       // Reno's window
	elapsed time.Duration // t: time of the stage in which the window was in use
	seen    clock.Time    // until when elapsed was counted

	recoveryStart clock.Time // 0: none
	recovering    bool
	underused     bool
	fresh         bool // the window is still the initial one
	hystart       hystart
	usage         usage
}

func newCubic(c Config) *cubic {
	q := &cubic{
		datagram: max(c.Datagram, minDatagram), initial: c.InitialWindow, fresh: true,
		hystart: newHystart(), seen: c.Now,
	}
	q.window = q.firstWindow()
	return q
}

func (q *cubic) firstWindow() float64 {
	if q.initial != 0 {
		return float64(max(q.initial, minimumWindow(q.datagram)))
	}
	return float64(initialWindow(q.datagram))
}

// OnSent notes how much of the window is used.
func (q *cubic) OnSent(now clock.Time, s Sent) {
	q.usage.sent(s)
	if s.InFlight == s.Bytes {
		// RFC 9438, section 4.2: t MUST NOT include periods without updates of the window
		// for lack of data. Nothing was in flight until now.
		q.seen = now
	}
}

// OnAck grows the window.
func (q *cubic) OnAck(now clock.Time, a Ack) {
	passed := now.Sub(q.seen)
	q.seen = now
	q.usage.acked(a)
	// RFC 9002, section 7.3.2, as in newReno.
	if a.LargestSent <= q.recoveryStart {
		return
	}
	q.recovering = false
	if q.ssthresh == 0 && q.hystart.ack(a) {
		// RFC 9438, section 4.10: no loss yet, so no W_max. K is 0.
		q.ssthresh, q.prior, q.wMax = q.window, q.window, 0
	}
	q.underused = !q.usage.filled(wire.ByteCount(q.window), q.datagram, q.slowStart())
	if q.underused {
		// RFC 9438, section 4.2: t MUST NOT include the time that passed; section 5.8: no
		// growth.
		return
	}
	q.fresh = false
	if q.slowStart() {
		q.growInSlowStart(a)
		return
	}
	q.avoid(passed, a)
}

func (q *cubic) growInSlowStart(a Ack) {
	grow := float64(a.Bytes)
	if q.ssthresh != 0 {
		// A later slow start is the traditional one, up to the threshold that was found.
		q.window = min(q.window+grow, q.ssthresh)
		return
	}
	if q.hystart.css {
		grow /= cssGrowthDivisor
	}
	q.window += grow
}

// avoid is congestion avoidance: RFC 9438, sections 4.2 to 4.5.
func (q *cubic) avoid(passed time.Duration, a Ack) {
	if !q.epoch {
		q.beginEpoch()
	} else {
		q.elapsed += passed
	}
	part := min(float64(a.Bytes)/q.window, 1) // of the window, newly acknowledged
	alpha := cubicAlpha
	if q.wEst >= q.prior {
		alpha = 1
	}
	q.wEst += alpha * part * float64(q.datagram)

	if q.cubic(q.elapsed) < q.wEst {
		// The Reno-friendly region. The window never shrinks for an ACK.
		q.window = max(q.window, q.wEst)
		return
	}
	target := min(max(q.cubic(q.elapsed+a.SmoothedRTT), q.window), 1.5*q.window)
	// Sections 4.4 and 4.5: MUST grow by (target-cwnd)/cwnd for each segment acknowledged.
	q.window += (target - q.window) * part
}

func (q *cubic) beginEpoch() {
	q.epoch, q.elapsed = true, 0
	q.wEst = q.window
	q.origin = max(q.wMax, q.window)
	// Section 4.2: K = cbrt((W_max - cwnd_epoch)/C), in segments.
	q.k = math.Cbrt((q.origin - q.window) / float64(q.datagram) / cubicC)
}

// cubic is W_cubic(t) in bytes.
func (q *cubic) cubic(t time.Duration) float64 {
	d := t.Seconds() - q.k
	return cubicC*d*d*d*float64(q.datagram) + q.origin
}

// OnLoss reduces the window, once per round trip.
func (q *cubic) OnLoss(now clock.Time, l Loss) {
	least := float64(minimumWindow(q.datagram))
	// RFC 9002, section 7.3.2: a sender in a recovery period does not reenter it.
	if l.LargestSent > q.recoveryStart {
		q.recoveryStart, q.recovering = now, true
		// Section 4.7, fast convergence: a shrinking maximum means that others need room.
		if q.window < q.wMax {
			q.wMax = q.window * (1 + cubicBeta) / 2
		} else {
			q.wMax = q.window
		}
		// RFC 9438, section 4.6: MUST reduce both at once. It lets ECN take the window to one
		// datagram; RFC 9002, section 7.2, has two as the minimum for marks, too.
		q.prior = q.window
		q.ssthresh = max(q.window*cubicBeta, least)
		q.window = q.ssthresh
		q.epoch, q.fresh = false, false
	}
	if l.Persistent {
		// RFC 9002, section 7.6.2: the window MUST be reduced to the minimum. RFC 9438,
		// section 4.8: K is 0 in the next stage.
		q.window, q.wMax, q.epoch = least, 0, false
		q.recoveryStart, q.recovering = 0, false
	}
}

// SetDatagram implements DatagramSizer.
func (q *cubic) SetDatagram(size wire.ByteCount) {
	q.datagram = max(size, minDatagram)
	// RFC 9002, section 7.2: the initial window SHOULD be recalculated.
	if q.fresh {
		q.window = q.firstWindow()
	}
	q.window = max(q.window, float64(minimumWindow(q.datagram)))
}

// State implements Controller.
func (q *cubic) State() State {
	return State{
		Window: wire.ByteCount(q.window), SSThresh: wire.ByteCount(q.ssthresh),
		Phase: phase(q.recovering, q.underused, q.slowStart()),
	}
}

func (q *cubic) slowStart() bool { return q.ssthresh == 0 || q.window < q.ssthresh }
