package recovery

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Config is what a Detector is made with.
type Config struct {
	Side        wire.Perspective
	Controller  congest.Controller // required; the Detector's from then on
	MaxDatagram wire.ByteCount     // largest UDP payload, bytes; 0: 1200
	InitialRTT  time.Duration      // 0: DefaultInitialRTT
	// PacingBurst is how much may leave at once after a pause, bytes. 0: 16 datagrams or
	// 2 ms at the pacing rate, whichever is more, up to 64 KiB.
	PacingBurst wire.ByteCount
}

// space is the state of a packet number space.
type space struct {
	ring
	largestAcked  wire.PacketNumber
	lastSkip      wire.PacketNumber // newest number left out
	newestAcked   clock.Time        // when the newest packet acknowledged was sent
	lastEliciting clock.Time        // when the newest ack-eliciting packet was sent
	eliciting     int               // ack-eliciting packets outstanding
	lossTime      clock.Time        // when the next packet counts as lost; 0: none waits
	probes        int               // probe packets that a PTO asks for
	run           lossRun
	ecn           ecnCounts
}

// Detector is loss detection and pacing for one path. It has one owner.
type Detector struct {
	controller congest.Controller
	datagram   wire.ByteCount
	initialRTT time.Duration

	spaces      [NumSpaces]space
	path        uint32         // how often the path was reset; older packets do not count
	inFlight    wire.ByteCount // of this path
	packets     int            // in flight, of this path
	rtt         RTT
	firstSample clock.Time // when the path had its first RTT sample
	maxAckDelay time.Duration
	rate        rate
	pacer       pacer
	ecn         ecn

	ptoCount         int
	lastEvent        clock.Time // last call with a time: the anti-deadlock timer's start
	handshakeKeys    bool
	confirmed        bool
	peerValidated    bool
	amplificationCap bool

	walk walk // the ACK frame being processed
	// visit is walk.visit as a value: made anew per frame it would be allocated.
	visit func(wire.Range) bool
}

// DefaultMaxAckDelay is the peer's max_ack_delay when it does not say (RFC 9000,
// section 18.2).
const DefaultMaxAckDelay = 25 * time.Millisecond

// New returns a Detector for a path on which nothing was sent yet.
func New(c Config) *Detector {
	if c.Controller == nil {
		panic("recovery: a Detector without a Controller")
	}
	if c.MaxDatagram == 0 {
		c.MaxDatagram = 1200
	}
	if c.InitialRTT == 0 {
		c.InitialRTT = DefaultInitialRTT
	}
	d := &Detector{
		controller: c.Controller, datagram: c.MaxDatagram, initialRTT: c.InitialRTT,
		rtt: newRTT(c.InitialRTT), maxAckDelay: DefaultMaxAckDelay, pacer: pacer{burst: c.PacingBurst},
		// RFC 9002, appendix A.8: clients validate the server's address implicitly.
		peerValidated: c.Side == wire.Server,
	}
	for i := range d.spaces {
		s := &d.spaces[i]
		s.largestAcked, s.lastSkip = wire.NoPacket, wire.NoPacket
	}
	d.visit = d.visitRange
	return d
}

// OnSent notes a packet that leaves at s.Time. Numbers rise by one, but for those that
// Skip announced; a space may begin anywhere.
//
// Packets that are not in flight and that the peer never acknowledges are forgotten
// without a word when there are many; Oldest tells.
func (d *Detector) OnSent(sp Space, s Sent) {
	sps := &d.spaces[sp]
	d.lastEvent = s.Time
	s.path = d.path
	if s.InFlight {
		d.inFlight += s.Size
		d.packets++
	}
	d.rate.sent(&s, d.inFlight)
	sps.makeRoom()
	p := sps.push(s.Number)
	p.Sent, p.fate = s, outstanding
	if s.AckEliciting {
		sps.lastEliciting = s.Time
		sps.eliciting++
		if sps.probes > 0 {
			sps.probes--
		}
	}
	if s.ECT {
		sps.ecn.sent++
		d.ecn.marked()
	}
	if s.InFlight {
		d.pacer.sent(s.Size)
		d.controller.OnSent(s.Time, congest.Sent{
			Bytes: s.Size, InFlight: d.inFlight, Number: s.Number, AppLimited: s.appLimited,
		})
	}
}

// maxAckOnly is how many packets that are not in flight a space keeps at its end.
const maxAckOnly = 256

// makeRoom forgets the oldest packets that are not in flight rather than let the ring
// grow for them: who only receives sends nothing that the peer must acknowledge.
func (s *space) makeRoom() {
	if len(s.slots) < maxAckOnly || int(s.next-s.first) < len(s.slots) {
		return
	}
	for !s.empty() {
		switch p := s.at(s.first); {
		case p.fate == acked:
			s.run = lossRun{}
		case p.fate == outstanding && p.InFlight:
			return
		}
		s.first++
	}
}

// Skip says that no packet will have the number pn, the next one of the space: who
// acknowledges it has not seen what it acknowledges (RFC 9000, section 21.4).
func (d *Detector) Skip(sp Space, pn wire.PacketNumber) {
	s := &d.spaces[sp]
	p := s.push(pn)
	*p = slot{below: pn - 1}
	s.lastSkip = pn
	s.trim()
}

// Discard forgets the packets of a space, whose keys are gone or, for
// SpaceApplication, whose 0-RTT was rejected; out.Dropped has them.
func (d *Detector) Discard(sp Space, out *Result) {
	s := &d.spaces[sp]
	// RFC 9002, section 6.4: MUST discard all recovery state of those packets and take
	// them out of bytes in flight.
	for n := s.first; n < s.next; n++ {
		if p := s.at(n); p.fate == outstanding {
			d.leave(s, &p.Sent)
			out.Dropped = append(out.Dropped, p.Sent)
		}
	}
	s.first = s.next
	if sp != SpaceApplication {
		s.slots = nil
	}
	// Section 6.2.2: MUST reset the PTO and loss detection timers.
	s.lastEliciting, s.lossTime, s.probes, s.run = 0, 0, 0, lossRun{}
	d.ptoCount = 0
}

// leave takes p, which has its fate now, out of what is counted.
func (d *Detector) leave(s *space, p *Sent) {
	if p.AckEliciting {
		s.eliciting--
	}
	if d.counts(p) {
		d.inFlight -= p.Size
		d.packets--
	}
}

// counts reports whether p is in flight on the present path.
func (d *Detector) counts(p *Sent) bool { return p.InFlight && p.path == d.path }

// ResetPath starts anew on another path, with c as its controller. Packets in flight
// are acknowledged and lost as before, but count no more, neither for the RTT nor as
// in flight (RFC 9000, section 9.4: MUST reset controller and RTT estimator).
func (d *Detector) ResetPath(now clock.Time, c congest.Controller) {
	d.path++
	d.controller = c
	d.inFlight, d.packets = 0, 0
	d.rtt, d.firstSample = newRTT(d.initialRTT), 0
	d.rate = rate{}
	d.pacer = pacer{burst: d.pacer.burst}
	d.ecn = ecn{}
	d.ptoCount, d.lastEvent = 0, now
	for i := range d.spaces {
		d.spaces[i].run = lossRun{}
	}
}

// Restart starts anew on the same path, which had been silent, with c as its controller:
// as ResetPath, but that the newest round trip is the path's.
func (d *Detector) Restart(now clock.Time, c congest.Controller) {
	latest, known := d.rtt.Latest, d.rtt.HasSample
	d.ResetPath(now, c)
	if known {
		d.rtt.update(latest, 0)
		d.firstSample = now
	}
}

// SetMaxDatagram sets the largest UDP payload, bytes.
func (d *Detector) SetMaxDatagram(size wire.ByteCount) {
	d.datagram = size
	if c, ok := d.controller.(congest.DatagramSizer); ok {
		c.SetDatagram(size)
	}
}

// SetMaxAckDelay sets the peer's max_ack_delay.
func (d *Detector) SetMaxAckDelay(delay time.Duration) { d.maxAckDelay = delay }

// HandshakeKeysAvailable says that Handshake packets can be sent.
func (d *Detector) HandshakeKeysAvailable() { d.handshakeKeys = true }

// HandshakeConfirmed says that the handshake is confirmed (RFC 9001, section 4.1.2).
func (d *Detector) HandshakeConfirmed() { d.confirmed, d.peerValidated = true, true }

// PeerValidated says that the server is known to have validated the client's address.
// The acknowledgment of a Handshake packet says so by itself.
func (d *Detector) PeerValidated() { d.peerValidated = true }

// AmplificationLimited says that the server may not send before the client does.
func (d *Detector) AmplificationLimited() { d.amplificationCap = true }

// AmplificationLifted says that the server may send again.
func (d *Detector) AmplificationLifted() { d.amplificationCap = false }

// SetAppLimited says that there is nothing to send. It has no effect while the window
// is full.
func (d *Detector) SetAppLimited() {
	d.pacer.idle()
	if d.inFlight+d.datagram <= d.controller.State().Window {
		d.rate.limit(d.inFlight)
	}
}

// Budget returns how many of want bytes may leave now, by window and pacer: room for
// one train, in whole datagrams if it is less than wanted and more than one. When
// none may, next is when to ask again; clock.Never means after an acknowledgment.
// Packets that are not in flight need no budget, nor do probes (ProbesDue).
func (d *Detector) Budget(now clock.Time, want wire.ByteCount) (allowed wire.ByteCount, next clock.Time) {
	st := d.controller.State()
	// RFC 9002, section 7: MUST NOT send what takes bytes in flight beyond the window.
	room := st.Window - d.inFlight
	if want <= 0 || room < min(want, d.datagram) {
		d.pacer.waiting = false
		return 0, clock.Never
	}
	allowed, next = min(want, room), now
	if rate, paced := d.pacingRate(st); paced {
		allowed, next = d.pacer.allow(now, allowed, rate, d.datagram)
	}
	if allowed < want && allowed > d.datagram {
		allowed -= allowed % d.datagram
	}
	return allowed, next
}

// pacingRate returns the rate in byte/s, if there is one.
func (d *Detector) pacingRate(st congest.State) (rate float64, paced bool) {
	if st.PacingRate > 0 {
		return float64(st.PacingRate), true
	}
	if !d.rtt.HasSample || d.rtt.Smoothed < unpacedRTT {
		return 0, false
	}
	// RFC 9002, section 7.7: somewhat faster than the window, so that the window decides;
	// twice as fast in slow start, where the window doubles per round trip.
	gain := 1.25
	if st.SSThresh == 0 || st.Window < st.SSThresh {
		gain = 2
	}
	return gain * float64(st.Window) / d.rtt.Smoothed.Seconds(), true
}

// RTT returns the path's round-trip time.
func (d *Detector) RTT() RTT { return d.rtt }

// PTO returns the probe timeout of a space, without backoff (RFC 9002, section 6.2.1).
func (d *Detector) PTO(sp Space) time.Duration {
	if sp == SpaceApplication {
		return d.rtt.timeout() + d.maxAckDelay
	}
	return d.rtt.timeout()
}

// PTOCount returns how many PTOs expired in a row.
func (d *Detector) PTOCount() int { return d.ptoCount }

// ProbesDue returns how many ack-eliciting packets to send in the space for a PTO. They
// need no budget (RFC 9002, section 7.5: MUST NOT be blocked by the controller).
func (d *Detector) ProbesDue(sp Space) int { return d.spaces[sp].probes }

// Eliciting returns how many ack-eliciting packets of a space are outstanding: with
// none no PTO is set for it.
func (d *Detector) Eliciting(sp Space) int { return d.spaces[sp].eliciting }

// BytesInFlight returns what counts against the window.
func (d *Detector) BytesInFlight() wire.ByteCount { return d.inFlight }

// PacketsInFlight returns how many packets that is.
func (d *Detector) PacketsInFlight() int { return d.packets }

// Controller returns the present one, which is the Detector's.
func (d *Detector) Controller() congest.Controller { return d.controller }

// State returns the controller's.
func (d *Detector) State() congest.State { return d.controller.State() }

// LargestAcked returns the largest number acknowledged in a space, or NoPacket.
func (d *Detector) LargestAcked(sp Space) wire.PacketNumber { return d.spaces[sp].largestAcked }

// Oldest returns the oldest packet of a space that has no fate yet: nothing older in
// the caller's log is needed.
func (d *Detector) Oldest(sp Space) (s Sent, ok bool) {
	r := &d.spaces[sp].ring
	if r.empty() {
		return Sent{}, false
	}
	return r.at(r.first).Sent, true
}

// OldestEliciting returns when the oldest ack-eliciting packet of a space was sent that has
// no fate yet; false: none is outstanding.
func (d *Detector) OldestEliciting(sp Space) (at clock.Time, ok bool) {
	s := &d.spaces[sp]
	if s.eliciting == 0 {
		return 0, false
	}
	for n := s.first; n < s.next; n++ {
		if p := s.at(n); p.fate == outstanding && p.AckEliciting {
			return p.Time, true
		}
	}
	return 0, false
}

// NewestEliciting returns when the newest ack-eliciting packet of a space was sent; false:
// none is outstanding.
func (d *Detector) NewestEliciting(sp Space) (at clock.Time, ok bool) {
	s := &d.spaces[sp]
	return s.lastEliciting, s.eliciting > 0
}

// DeliveryRate returns the rate of the newest samples that were not limited by the sender's
// data, or the highest of those that were, byte/s; 0: none yet.
func (d *Detector) DeliveryRate() int64 { return d.rate.recent }

// ECNCapable reports whether packets are to be marked ECT(0): while the path is tested
// and after it passed.
func (d *Detector) ECNCapable() bool { return d.ecn.state == ECNTesting || d.ecn.state == ECNCapable }

// ECN returns how far ECN validation is.
func (d *Detector) ECN() ECNState { return d.ecn.state }
