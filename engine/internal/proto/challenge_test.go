package proto

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const challengeTestPTO = 100 * time.Millisecond

// newChallengeTest starts a validation whose data is 1, 2, 3 ...
func newChallengeTest() *challenge {
	var c challenge
	n := byte(0)
	c.start(partsTestStart, challengeTestPTO, func() [8]byte {
		n++
		return [8]byte{n}
	})
	return &c
}

// challengeTestSend returns the data of the PATH_CHALLENGE frame that is due.
func challengeTestSend(t *testing.T, c *challenge, full bool) [8]byte {
	t.Helper()
	w := partsTestBuilder(100)
	if !c.wantsFrame() || !c.appendFrame(w, full) {
		t.Fatal("no PATH_CHALLENGE to send")
	}
	_, v, n, err := wire.ParseFrame(w.b)
	if err != nil || n != len(w.b) || !w.ackEliciting {
		t.Fatalf("frame % x: error %v, eliciting %v", w.b, err, w.ackEliciting)
	}
	if c.wantsFrame() || c.appendFrame(w, full) {
		t.Fatal("two PATH_CHALLENGE frames at once")
	}
	return v.(wire.PathChallenge).Data
}

func TestChallengeAnswered(t *testing.T) {
	c := newChallengeTest()
	data := challengeTestSend(t, c, true)
	wrong := data
	wrong[7]++
	// RFC 9000, section 8.2.3: only the data of a PATH_CHALLENGE validates.
	if c.response(wrong) || c.response([8]byte{}) || !c.running() {
		t.Fatal("validated by other data")
	}
	if !c.response(data) || c.running() || c.failed() || c.deadline() != clock.Never {
		t.Error("not validated by its data")
	}
	if valid, full := c.passed(); !valid || !full {
		t.Errorf("passed: %v, with 1200 bytes: %v", valid, full)
	}
	if c.response(data) {
		t.Error("validated twice")
	}
}

func TestChallengeInASmallDatagram(t *testing.T) {
	// RFC 9000, section 8.2.3: the answer to one that was not expanded to 1200 bytes
	// validates the address, not the path MTU: another validation MUST follow.
	c := newChallengeTest()
	if !c.response(challengeTestSend(t, c, false)) {
		t.Fatal("not validated")
	}
	if valid, full := c.passed(); !valid || full {
		t.Errorf("passed: %v, with 1200 bytes: %v", valid, full)
	}
}

func TestChallengeFails(t *testing.T) {
	// RFC 9000, section 8.2.4: after three PTOs.
	c := newChallengeTest()
	var sent [][8]byte
	for i := range challengePTOs {
		sent = append(sent, challengeTestSend(t, c, true))
		now := partsTestStart.Add(time.Duration(i+1) * challengeTestPTO)
		if got := c.deadline(); got != now {
			t.Fatalf("deadline %d, want %d", got, now)
		}
		if c.timeout(now-1) || c.wantsFrame() {
			t.Fatal("acts before the deadline")
		}
		if failed, last := c.timeout(now), i == challengePTOs-1; failed != last {
			t.Fatalf("failed after %d PTOs: %v", i+1, failed)
		}
	}
	if !c.failed() || c.running() || c.wantsFrame() || c.deadline() != clock.Never {
		t.Error("goes on after its end")
	}
	// RFC 9000, section 8.2.1: the data MUST be unpredictable in every PATH_CHALLENGE.
	if sent[0] == sent[1] || sent[1] == sent[2] || sent[0] == sent[2] {
		t.Errorf("data used twice: %v", sent)
	}
	if c.response(sent[2]) {
		t.Error("validated after it failed")
	}
}

func TestChallengeTakesTheAnswerToAnyFrame(t *testing.T) {
	for answered := range challengePTOs {
		c := newChallengeTest()
		var sent [][8]byte
		for i := range challengePTOs {
			sent = append(sent, challengeTestSend(t, c, true))
			if i < challengePTOs-1 {
				c.timeout(c.deadline())
			}
		}
		if !c.response(sent[answered]) {
			t.Errorf("the answer to frame %d does not count", answered)
		}
	}
}

func TestChallengeAbandoned(t *testing.T) {
	c := newChallengeTest()
	data := challengeTestSend(t, c, true)
	c.abandon()
	if c.running() || c.failed() || c.response(data) {
		t.Error("an abandoned validation has an outcome")
	}
}

func TestChallengeFitsItsRoom(t *testing.T) {
	c := newChallengeTest()
	w := partsTestBuilder(wire.PathChallenge{}.Len() - 1)
	if c.appendFrame(w, true) || len(w.b) > 0 || !c.wantsFrame() {
		t.Error("a PATH_CHALLENGE in too little room")
	}
}

func TestOwedResponses(t *testing.T) {
	var o owedResponses
	local := netip.MustParseAddrPort("192.0.2.1:4433")
	remote := func(n int) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.2"), uint16(n)) }
	if _, _, ok := o.next(); ok || o.appendFrame(partsTestBuilder(100)) {
		t.Fatal("an answer without a question")
	}
	// A flood leaves the newest; one answer for each that is left.
	const flood = maxOwed + 3
	for n := range flood {
		o.owe(local, remote(n), [8]byte{byte(n)})
	}
	if o.appendFrame(partsTestBuilder(wire.PathResponse{}.Len() - 1)) {
		t.Fatal("a PATH_RESPONSE in too little room")
	}
	for n := flood - maxOwed; n < flood; n++ {
		// RFC 9000, section 8.2.2: MUST go on the path where the PATH_CHALLENGE came.
		if l, r, ok := o.next(); !ok || l != local || r != remote(n) {
			t.Fatalf("answer to %v, %v, want %v", r, ok, remote(n))
		}
		w := partsTestBuilder(100)
		if !o.appendFrame(w) {
			t.Fatal("no PATH_RESPONSE")
		}
		// RFC 9000, section 8.2.2: the data of the PATH_CHALLENGE.
		_, v, _, err := wire.ParseFrame(w.b)
		if err != nil || v.(wire.PathResponse).Data != [8]byte{byte(n)} {
			t.Errorf("answer %+v, error %v", v, err)
		}
		// Section 8.2.2: MUST be answered once only, so it is not sent again when lost.
		if w.n != 0 {
			t.Error("a PATH_RESPONSE is noted")
		}
	}
	if _, _, ok := o.next(); ok {
		t.Error("more answers than questions")
	}
}
