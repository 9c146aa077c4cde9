package proto

import (
	"crypto/subtle"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// challengePTOs is how many probe timeouts a validation lasts (RFC 9000, section
	// 8.2.4); one PATH_CHALLENGE is sent in each.
	challengePTOs = 3
	// maxOwed bounds the PATH_RESPONSE frames that wait to be sent.
	maxOwed = 4
)

// challengeState is how far the validation of a path is.
type challengeState uint8

const (
	challengeIdle challengeState = iota
	challengeRunning
	challengePassed
	challengeFailed
)

// challenge is the validation of one path (RFC 9000, section 8.2). The zero value
// is idle.
//
// RFC 9000, section 8.2.1 asks for no more PATH_CHALLENGE frames than one would send
// Initial packets: of those two may leave at each probe timeout.
type challenge struct {
	state  challengeState
	random func() [8]byte

	// data is what was sent in this validation, any of which may come back.
	data [challengePTOs]challengeData
	n    int

	wanted  bool       // a PATH_CHALLENGE is to be sent
	resend  clock.Time // when the next one is
	expires clock.Time
	period  time.Duration
	full    bool // the answered one was in a datagram of 1200 bytes or more
}

type challengeData struct {
	value [8]byte
	full  bool
}

// start begins a validation, anew if one is running. pto is the larger of the
// current PTO and the new path's (RFC 9000, section 8.2.4). random gives 8
// unpredictable bytes for each PATH_CHALLENGE.
func (c *challenge) start(now clock.Time, pto time.Duration, random func() [8]byte) {
	*c = challenge{
		state: challengeRunning, random: random, period: pto,
		wanted: true, resend: now.Add(pto), expires: now.Add(challengePTOs * pto),
	}
}

// abandon ends a validation without an outcome (RFC 9000, section 8.2.4).
func (c *challenge) abandon() { *c = challenge{} }

// running reports whether an answer is waited for.
func (c *challenge) running() bool { return c.state == challengeRunning }

// wantsFrame reports whether appendFrame has something to send.
func (c *challenge) wantsFrame() bool { return c.wanted }

// appendFrame appends the PATH_CHALLENGE frame that is due. full says that the
// datagram will have 1200 bytes or more. RFC 9000, section 8.2.1: it MUST, unless the
// anti-amplification limit does not permit that; the data MUST be unpredictable in
// every frame.
func (c *challenge) appendFrame(w *builder, full bool) bool {
	f := wire.PathChallenge{}
	if !c.wanted || f.Len() > w.room() {
		return false
	}
	f.Data = c.random()
	if c.n == len(c.data) {
		copy(c.data[:], c.data[1:])
		c.n--
	}
	c.data[c.n] = challengeData{value: f.Data, full: full}
	c.n++
	c.wanted = false
	w.b = f.Append(w.b)
	w.added(wire.TypePathChallenge)
	w.note(frameRef{kind: refPathChallenge})
	return true
}

// response takes a PATH_RESPONSE frame, from whichever path, and reports whether it
// validates this one. RFC 9000, section 8.2.3: it must have the data of a
// PATH_CHALLENGE; that it came on another path must not matter.
func (c *challenge) response(data [8]byte) bool {
	for i := range c.n { // none unless running

		d := &c.data[i]
		if subtle.ConstantTimeCompare(d.value[:], data[:]) == 1 {
			*c = challenge{state: challengePassed, full: d.full}
			return true
		}
	}
	return false
}

// passed reports whether the peer answered, and whether that shows that the path
// carries 1200 bytes. RFC 9000, section 8.2.3: if it does not, another validation in
// a datagram so large MUST follow.
func (c *challenge) passed() (valid, full bool) { return c.state == challengePassed, c.full }

// failed reports whether the time ran out without an answer.
func (c *challenge) failed() bool { return c.state == challengeFailed }

// deadline returns when timeout has something to do.
func (c *challenge) deadline() clock.Time {
	if c.state != challengeRunning {
		return clock.Never
	}
	return min(c.resend, c.expires)
}

// timeout asks for the next PATH_CHALLENGE when its time has come, and reports
// whether the validation failed now.
func (c *challenge) timeout(now clock.Time) bool {
	switch {
	case c.state != challengeRunning:
	case now >= c.expires:
		*c = challenge{state: challengeFailed}
		return true
	case now >= c.resend:
		c.wanted, c.resend = true, now.Add(c.period)
	}
	return false
}

// owedResponse is a PATH_RESPONSE frame to send, and between which addresses: those
// on which the PATH_CHALLENGE came (RFC 9000, section 8.2.2).
type owedResponse struct {
	tuple
	data [8]byte
}

// owedResponses is a FIFO of them. A peer that sends more challenges than we answer
// loses the oldest; it must send others to be answered (RFC 9000, section 8.2.2).
type owedResponses struct {
	q [maxOwed]owedResponse
	n int
}

// owe queues the answer to a PATH_CHALLENGE frame that came to local from remote.
func (o *owedResponses) owe(local, remote netip.AddrPort, data [8]byte) {
	if o.n == len(o.q) {
		o.pop()
	}
	o.q[o.n] = owedResponse{tuple{local, remote}, data}
	o.n++
}

// next returns the addresses that the oldest answer must go between, and whether
// there is one.
func (o *owedResponses) next() (local, remote netip.AddrPort, ok bool) {
	return o.q[0].local, o.q[0].remote, o.n > 0
}

// appendFrame appends the oldest answer, whose packet must go where next says. RFC
// 9000, section 8.2.2: a challenge MUST be answered once only, so it is not sent
// again when lost.
func (o *owedResponses) appendFrame(w *builder) bool {
	f := wire.PathResponse{Data: o.q[0].data}
	if o.n == 0 || f.Len() > w.room() {
		return false
	}
	w.b = f.Append(w.b)
	w.added(wire.TypePathResponse)
	o.pop()
	return true
}

func (o *owedResponses) pop() {
	copy(o.q[:], o.q[1:o.n])
	o.n--
	o.q[o.n] = owedResponse{}
}
