package recovery

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// The checks of RFC 9000, section 13.4.2.1. Ten marked packets are sent, all
// acknowledged in two frames: 0 to 4 and then all.
func TestECNValidation(t *testing.T) {
	tests := []struct {
		name          string
		first, second Ack
		want          ECNState
	}{
		{"passes", Ack{HasECN: true, ECT0: 5}, Ack{HasECN: true, ECT0: 10}, ECNCapable},
		{"some CE", Ack{HasECN: true, ECT0: 3, CE: 2}, Ack{HasECN: true, ECT0: 4, CE: 6}, ECNCapable},
		{"counts ahead of the acknowledgment", Ack{HasECN: true, ECT0: 9}, Ack{HasECN: true, ECT0: 14}, ECNCapable},
		{"no counts", Ack{}, Ack{}, ECNFailed},
		{"counts stop", Ack{HasECN: true, ECT0: 5}, Ack{}, ECNFailed},
		{"marks removed", Ack{HasECN: true, ECT0: 4}, Ack{HasECN: true, ECT0: 9}, ECNFailed},
		{"marks removed later", Ack{HasECN: true, ECT0: 5}, Ack{HasECN: true, ECT0: 9}, ECNFailed},
		{"more than was marked", Ack{HasECN: true, ECT0: 5}, Ack{HasECN: true, ECT0: 16}, ECNFailed},
		{"turned to ECT(1)", Ack{HasECN: true, ECT0: 5, ECT1: 1}, Ack{HasECN: true, ECT0: 10}, ECNFailed},
		{"ECT(0) falls", Ack{HasECN: true, ECT0: 5}, Ack{HasECN: true, ECT0: 4, CE: 6}, ECNFailed},
		{"CE falls", Ack{HasECN: true, ECT0: 3, CE: 2}, Ack{HasECN: true, ECT0: 10}, ECNFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t)
			for range 15 {
				s.sendAs(SpaceApplication, marked)
			}
			failed := 0
			s.advance(ms)
			s.ackAs(SpaceApplication, tt.first, span(0, 4))
			if s.out.ECNFailed {
				failed++
			}
			s.ackAs(SpaceApplication, tt.second, span(0, 9))
			if s.out.ECNFailed {
				failed++
			}
			if got := s.d.ECN(); got != tt.want {
				t.Errorf("state = %v, want %v", got, tt.want)
			}
			// Section 13.4.2.2: MUST disable ECN when validation fails.
			if got, want := s.d.ECNCapable(), tt.want == ECNCapable; got != want {
				t.Errorf("packets are to be marked: %v, want %v", got, want)
			}
			if (failed == 1) != (tt.want == ECNFailed) || failed > 1 {
				t.Errorf("failure reported %d times", failed)
			}
		})
	}
}

// RFC 9000, section 13.4.2.1: MUST NOT fail validation because of an ACK frame that
// does not raise the largest acknowledged number.
func TestECNIgnoresOlderFrames(t *testing.T) {
	s := newStory(t)
	for range 6 {
		s.sendAs(SpaceApplication, marked)
	}
	s.ackAs(SpaceApplication, Ack{HasECN: true, ECT0: 6}, one(5), span(0, 3))
	s.ackAs(SpaceApplication, Ack{HasECN: true, ECT0: 2}, span(0, 4))
	s.wantAcked(4)
	if got := s.d.ECN(); got != ECNCapable {
		t.Errorf("state = %v, want capable", got)
	}
}

// RFC 9000, section 13.4.2: validation fails when all marked packets are lost. Ten are
// marked before that is known.
func TestECNBlackHole(t *testing.T) {
	s := newStory(t)
	for n := range 20 {
		if got, want := s.d.ECNCapable(), n < ecnTesting; got != want {
			t.Fatalf("packet %d to be marked: %v, want %v", n, got, want)
		}
		s.sendAs(SpaceApplication, func(p *Sent) { p.ECT = s.d.ECNCapable() })
	}
	s.advance(ms)
	s.ack(span(12, 19))
	s.wantLost(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	if got := s.d.ECN(); got != ECNFailed || !s.out.ECNFailed {
		t.Errorf("state = %v, reported %v, want failed", got, s.out.ECNFailed)
	}
}

// A few losses say nothing about ECN.
func TestECNSurvivesEarlyLoss(t *testing.T) {
	s := newStory(t)
	s.sendAs(SpaceApplication, marked)
	s.send(3)
	s.advance(ms)
	s.ack(span(1, 3))
	s.wantLost(0)
	if got := s.d.ECN(); got != ECNTesting || s.out.ECNFailed {
		t.Errorf("state = %v after the loss of one marked packet, want testing", got)
	}
}

// RFC 9002, section 7.3.2: a rise of the ECN-CE count is congestion.
func TestCEIsCongestion(t *testing.T) {
	s := newStory(t)
	for range 4 {
		s.sendAs(SpaceApplication, marked)
	}
	sent := s.now
	s.advance(100 * ms)
	s.ackAs(SpaceApplication, Ack{HasECN: true, ECT0: 3, CE: 1}, span(0, 3))
	if len(s.c.losses) != 1 || !s.c.losses[0].CE || s.c.losses[0].LargestSent != sent || !s.out.CE {
		t.Fatalf("the controller heard %+v, want one mark", s.c.losses)
	}
	s.sendAs(SpaceApplication, marked)
	s.ackAs(SpaceApplication, Ack{HasECN: true, ECT0: 4, CE: 1}, span(0, 4))
	if len(s.c.losses) != 1 {
		t.Errorf("the controller heard %+v, want no more than one mark", s.c.losses)
	}
}

// Counts that ECN's failure made meaningless reach no controller; nor do those of a
// peer that reports on packets never marked.
func TestCEIgnored(t *testing.T) {
	s := newStory(t)
	s.send(1)
	s.ackAs(SpaceApplication, Ack{HasECN: true, CE: 5}, one(0))
	s.sendAs(SpaceApplication, marked)
	s.ackAs(SpaceApplication, Ack{}, one(1))
	s.sendAs(SpaceApplication, marked)
	s.ackAs(SpaceApplication, Ack{HasECN: true, CE: 9}, one(2))
	if len(s.c.losses) != 0 {
		t.Errorf("the controller heard %+v, want nothing", s.c.losses)
	}
}

// Spaces count separately (RFC 9000, section 13.4.1).
func TestECNPerSpace(t *testing.T) {
	s := handshakeStory(t, wire.Client)
	for range 3 {
		s.sendAs(SpaceInitial, marked)
		s.sendAs(SpaceHandshake, marked)
	}
	s.ackAs(SpaceInitial, Ack{HasECN: true, ECT0: 3}, span(0, 2))
	s.ackAs(SpaceHandshake, Ack{HasECN: true, ECT0: 3}, span(0, 2))
	if got := s.d.ECN(); got != ECNCapable {
		t.Errorf("state = %v, want capable", got)
	}
}
