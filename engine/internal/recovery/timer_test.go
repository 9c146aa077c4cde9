package recovery

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// RFC 9002, section 6.2.1: smoothed_rtt + max(4*rttvar, granularity) + max_ack_delay
// after the last ack-eliciting packet.
func TestPTO(t *testing.T) {
	s := sampled(t)
	s.d.SetMaxAckDelay(25 * ms)
	s.wantNoTimeout()
	s.send(1)
	s.wantTimeout(325 * ms)
	s.advance(30 * ms)
	s.wantTimeout(295 * ms)
	s.send(1)
	s.wantTimeout(325 * ms)
	s.sendAs(SpaceApplication, ackOnly)
	s.wantTimeout(325 * ms)
}

// RFC 9002, section 6.2: a PTO MUST NOT mark packets as lost; section 6.2.1: it MUST
// double the period; section 6.2.4: MUST send a probe, MAY send two.
func TestPTOExpires(t *testing.T) {
	s := sampled(t)
	s.send(1)
	if e := s.d.HandleTimeout(s.d.Timeout()-1, &s.out); e.PTO || s.d.PTOCount() != 0 {
		t.Errorf("expiry %+v before its time", e)
	}
	if e := s.expire(); !e.PTO || e.Space != SpaceApplication {
		t.Errorf("expiry %+v, want a PTO for application data", e)
	}
	s.wantLost()
	s.wantInFlight(dgram)
	s.wantProbes(SpaceApplication, 2)
	s.wantTimeout(300 * ms) // 600 ms after it was sent
	s.send(1)
	s.wantProbes(SpaceApplication, 1)
	s.sendAs(SpaceApplication, ackOnly)
	s.wantProbes(SpaceApplication, 1)
	s.send(1)
	s.wantProbes(SpaceApplication, 0)
	s.wantTimeout(600 * ms)
	s.expire()
	s.wantTimeout(600 * ms)
	if got := s.d.PTOCount(); got != 2 {
		t.Errorf("PTO count = %d, want 2", got)
	}
	s.ack(one(3)) // resets the backoff and what was due
	s.wantProbes(SpaceApplication, 0)
	if got := s.d.PTOCount(); got != 0 {
		t.Errorf("PTO count = %d after an acknowledgment, want 0", got)
	}
}

// RFC 9002, section 7.5: probe packets MUST NOT be blocked by the controller, and count
// as in flight.
func TestProbesNeedNoBudget(t *testing.T) {
	s := sampled(t)
	s.c.window = 2 * dgram
	s.send(2)
	s.expire()
	s.wantBudget(dgram, 0)
	s.wantProbes(SpaceApplication, 2)
	s.send(2)
	s.wantInFlight(4 * dgram)
	s.wantProbes(SpaceApplication, 0)
}

func TestPTOBackoffDoesNotOverflow(t *testing.T) {
	s := sampled(t)
	s.send(1)
	for range 100 {
		before := s.d.Timeout()
		if before == clock.Never {
			return
		}
		s.expire()
		if got := s.d.Timeout(); got <= before {
			t.Fatalf("timer at %d after one at %d", got, before)
		}
	}
	t.Errorf("timer at %d, want it out of reach", s.d.Timeout())
}

// RFC 9002, section 6.2.1: MUST NOT set the PTO for application data before the
// handshake is confirmed; of the other spaces, the earlier one counts.
func TestPTODuringTheHandshake(t *testing.T) {
	s := handshakeStory(t, wire.Server)
	s.sendAs(SpaceApplication, func(*Sent) {})
	s.wantNoTimeout()
	s.sendAs(SpaceInitial, func(*Sent) {})
	s.wantTimeout(999 * ms)
	s.advance(500 * ms)
	s.sendAs(SpaceHandshake, func(*Sent) {})
	s.wantTimeout(499 * ms)
	if e := s.expire(); !e.PTO || e.Space != SpaceInitial {
		t.Errorf("expiry %+v, want a PTO for Initial", e)
	}
	s.wantProbes(SpaceInitial, 2)
	// Section 6.2.4: SHOULD send from other spaces with data in flight, too.
	s.wantProbes(SpaceHandshake, 1)
	s.wantProbes(SpaceApplication, 1)

	s.out.Reset()
	s.d.Discard(SpaceInitial, &s.out)
	s.d.Discard(SpaceHandshake, &s.out)
	s.wantNoTimeout()
	s.d.HandshakeConfirmed()
	s.d.SetMaxAckDelay(25 * ms)
	if got := s.d.Timeout(); got != start.Add(999*ms+25*ms) {
		t.Errorf("timer at %v, want 1024 ms after the packet was sent", got.Sub(start))
	}
}

// RFC 9002, section 6.2.2.1: a server that cannot send MUST NOT arm its PTO. A timer
// that turns out to be past is executed at once.
func TestPTOAtAmplificationLimit(t *testing.T) {
	s := handshakeStory(t, wire.Server)
	s.sendAs(SpaceInitial, func(*Sent) {})
	s.d.AmplificationLimited()
	s.wantNoTimeout()
	s.advance(2 * time.Second)
	s.out.Reset()
	if e := s.d.HandleTimeout(s.now, &s.out); e.PTO {
		t.Error("a PTO at the limit")
	}
	s.d.AmplificationLifted()
	s.wantTimeout(999*ms - 2*time.Second)
	if e := s.expire(); !e.PTO {
		t.Errorf("expiry %+v, want a PTO", e)
	}
}

// RFC 9002, section 6.2.2.1: the client MUST set the PTO with nothing in flight until
// the server is known to have validated its address; it MUST send a Handshake packet
// if it can, else an Initial packet.
func TestClientAgainstDeadlock(t *testing.T) {
	s := handshakeStory(t, wire.Client)
	s.wantNoTimeout()
	s.sendAs(SpaceInitial, func(*Sent) {})
	s.advance(100 * ms)
	s.ackAs(SpaceInitial, Ack{}, one(0))
	s.wantTimeout(300 * ms)
	if e := s.expire(); !e.PTO || e.Space != SpaceInitial {
		t.Errorf("expiry %+v, want a PTO for Initial", e)
	}
	s.wantProbes(SpaceInitial, 1)
	s.wantTimeout(600 * ms)

	// Section 6.2.1: acknowledgments of Initial packets do not reset the backoff.
	s.sendAs(SpaceInitial, func(*Sent) {})
	s.ackAs(SpaceInitial, Ack{}, one(1))
	if got := s.d.PTOCount(); got != 1 {
		t.Errorf("PTO count = %d, want it kept at 1", got)
	}
	s.d.HandshakeKeysAvailable()
	if e := s.expire(); !e.PTO || e.Space != SpaceHandshake {
		t.Errorf("expiry %+v, want a PTO for Handshake", e)
	}
	s.wantProbes(SpaceHandshake, 1)
	s.sendAs(SpaceHandshake, func(*Sent) {})
	s.ackAs(SpaceHandshake, Ack{}, one(0))
	s.wantNoTimeout()
	if got := s.d.PTOCount(); got != 0 {
		t.Errorf("PTO count = %d once the address is validated, want 0", got)
	}
}

// 0-RTT packets in flight set no PTO, and must not keep the client from setting the
// one against deadlock.
func TestClientAgainstDeadlockWith0RTT(t *testing.T) {
	s := handshakeStory(t, wire.Client)
	s.sendAs(SpaceInitial, func(*Sent) {})
	s.sendAs(SpaceApplication, func(*Sent) {})
	s.advance(100 * ms)
	s.ackAs(SpaceInitial, Ack{}, one(0))
	s.wantTimeout(300 * ms)
	s.d.PeerValidated()
	s.wantNoTimeout()

	s = handshakeStory(t, wire.Client)
	s.sendAs(SpaceInitial, func(*Sent) {})
	s.ackAs(SpaceInitial, Ack{}, one(0))
	s.d.HandshakeConfirmed()
	s.wantNoTimeout()
}

// RFC 9002, section 6.2.1: the PTO MUST NOT be set while the time threshold is.
func TestTimeThresholdBeforePTO(t *testing.T) {
	s := sampled(t)
	s.send(2)
	s.advance(100 * ms)
	s.ack(one(2))
	s.wantTimeout(12500 * time.Microsecond)
	s.expire()
	s.wantLost(1)
}
