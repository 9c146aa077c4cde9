package recovery

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// Expiry is what a timeout was: losses in Space, or a PTO.
type Expiry struct {
	// PTO: probes are due (ProbesDue), first of all in Space. RFC 9002, section 6.2.4:
	// all of them MUST be ack-eliciting.
	PTO bool
	// Space is also the one that the Result is about. Another one's losses may be due,
	// too: Timeout says so.
	Space Space
}

// probesPerPTO is how many probe packets a PTO asks for (RFC 9002, section 6.2.4: MUST
// be one, MAY be two).
const probesPerPTO = 2

// Timeout returns when HandleTimeout is to be called, or clock.Never.
func (d *Detector) Timeout() clock.Time {
	// RFC 9002, section 6.2.1: the PTO MUST NOT be set while the time threshold is.
	if t, _ := d.earliestLoss(); t != clock.Never {
		return t
	}
	t, _ := d.nextPTO()
	return t
}

// HandleTimeout does what is due: it declares packets lost, or asks for probes.
func (d *Detector) HandleTimeout(now clock.Time, out *Result) Expiry {
	if t, sp := d.earliestLoss(); t != clock.Never {
		if t > now {
			return Expiry{}
		}
		d.lastEvent = now
		d.detectLost(now, &d.spaces[sp], out)
		return Expiry{Space: sp}
	}
	t, sp := d.nextPTO()
	if t > now {
		return Expiry{}
	}
	d.lastEvent = now
	d.askForProbes(sp)
	// RFC 9002, section 6.2.1: the backoff MUST be increased, to twice the period, for
	// all spaces. Section 6.2: it MUST NOT mark anything as lost.
	d.ptoCount++
	return Expiry{PTO: true, Space: sp}
}

// askForProbes asks for probes in the space whose PTO expired, and for one in each
// other space that has packets in flight (RFC 9002, section 6.2.4: SHOULD, coalesced).
func (d *Detector) askForProbes(sp Space) {
	for i := range d.spaces {
		s := &d.spaces[i]
		switch {
		case Space(i) != sp && s.eliciting > 0:
			s.probes = max(s.probes, 1)
		case Space(i) == sp && s.eliciting > 0:
			s.probes = probesPerPTO
		case Space(i) == sp:
			s.probes = 1 // against deadlock: one proves the address, or earns credit
		}
	}
}

func (d *Detector) earliestLoss() (clock.Time, Space) {
	earliest, space := clock.Never, SpaceInitial
	for i := range d.spaces {
		if t := d.spaces[i].lossTime.OrNever(); t < earliest {
			earliest, space = t, Space(i)
		}
	}
	return earliest, space
}

// nextPTO returns when the next PTO expires, and in which space.
func (d *Detector) nextPTO() (clock.Time, Space) {
	if d.amplificationCap {
		// RFC 9002, section 6.2.2.1: the PTO MUST NOT be armed while the server cannot
		// send.
		return clock.Never, SpaceInitial
	}
	earliest, space := clock.Never, SpaceInitial
	for i := range d.spaces {
		s := &d.spaces[i]
		if s.eliciting == 0 {
			continue
		}
		if Space(i) == SpaceApplication && !d.confirmed {
			// Section 6.2.1: the PTO MUST NOT be set for application data before the handshake
			// is confirmed.
			continue
		}
		if t := s.lastEliciting.Add(backoff(d.PTO(Space(i)), d.ptoCount)); t < earliest {
			earliest, space = t, Space(i)
		}
	}
	if earliest != clock.Never || d.peerValidated || d.lastEvent.IsZero() {
		return earliest, space
	}
	// Section 6.2.2.1: the client MUST set the timer until the server is known to have
	// validated its address, with nothing in flight, too; it MUST send a Handshake packet
	// if it can, else an Initial one.
	if d.handshakeKeys {
		space = SpaceHandshake
	}
	return d.lastEvent.Add(backoff(d.rtt.timeout(), d.ptoCount)), space
}

// backoff returns t doubled n times.
func backoff(t time.Duration, n int) time.Duration {
	if n > 62 || t > math.MaxInt64>>n {
		return math.MaxInt64
	}
	return t << n
}
