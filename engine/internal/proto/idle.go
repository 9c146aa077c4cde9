package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// idlePTOs is how many probe timeouts an idle connection lasts at least (RFC 9000,
// section 10.1).
const idlePTOs = 3

// idle is the idle timer of a connection (RFC 9000, section 10.1) and the one of its
// keep-alive. The deadlines move with the PTO, so they are asked with it.
type idle struct {
	timeout   time.Duration // effective; 0: none
	keepAlive time.Duration // 0: none

	start clock.Time // when the idle timer was last restarted
	spoke clock.Time // newest activity, for the keep-alive
	owes  bool       // an ack-eliciting packet left since the last receipt
}

// init starts the timer with what this side advertises; 0 or less: none.
func (i *idle) init(now clock.Time, timeout, keepAlive time.Duration) {
	*i = idle{timeout: max(0, timeout), keepAlive: max(0, keepAlive), start: now, spoke: now}
}

// setPeer takes the peer's max_idle_timeout, 0 for none. RFC 9000, section 10.1: the
// smaller one holds, or the only one.
func (i *idle) setPeer(timeout time.Duration) {
	if timeout > 0 && (i.timeout == 0 || timeout < i.timeout) {
		i.timeout = timeout
	}
}

// received restarts the timer: a packet of the peer was processed.
func (i *idle) received(now clock.Time) { i.start, i.spoke, i.owes = now, now, false }

// sentEliciting restarts the timer if the packet is the first ack-eliciting one
// since the last receipt (RFC 9000, section 10.1).
func (i *idle) sentEliciting(now clock.Time) {
	if !i.owes {
		i.start, i.owes = now, true
	}
	i.spoke = now
}

// deadline returns when the connection is over for want of packets; Never: it has no
// timeout. RFC 9000, section 10.1: the period MUST be at least three PTOs.
func (i *idle) deadline(pto time.Duration) clock.Time {
	if i.timeout == 0 {
		return clock.Never
	}
	return i.start.Add(max(i.timeout, idlePTOs*pto))
}

// keepAliveDeadline returns when a PING is due; Never: keep-alive is off. It comes
// early enough for the peer, whose timeout may be the shorter one.
func (i *idle) keepAliveDeadline() clock.Time {
	period := i.keepAlive
	if period == 0 {
		return clock.Never
	}
	if i.timeout > 0 {
		period = min(period, i.timeout/2)
	}
	return i.spoke.Add(period)
}
