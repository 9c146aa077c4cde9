package proto

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/sched"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// scheduling is how a connection chooses between its paths.
type scheduling struct {
	scheduler sched.Scheduler
	traits    sched.Traits
	views     []sched.View
	of        []*path // the views' paths

	traced decision
	trains uint64 // of data, since then
}

func newScheduling(name string) (s scheduling, err error) {
	s.scheduler, err = sched.New(name)
	s.traits = sched.TraitsOf(name)
	return s, err
}

// appendMulti is AppendTransmit's choice where there are several paths: what a path has to
// say for itself, what it owes the peer, then data where the scheduler wants it.
func (c *Conn) appendMulti(now clock.Time, t *Transmit) bool {
	for _, p := range c.open {
		if c.appendOwn(now, t, p) {
			return true
		}
	}
	for _, p := range c.open {
		if c.owes(now, p) && c.appendTrain(now, t, p, false) {
			return true
		}
	}
	for range c.open { // a path whose packets all came out empty is not asked for again
		p := c.pick(now)
		if p == nil {
			c.streams.holdRepeats = false
			return false
		}
		before := p.spaces[recovery.SpaceApplication].log.next
		ok := c.appendTrain(now, t, p, true)
		c.streams.holdRepeats = false
		if ok {
			p.picks++
			c.multi.scheduling.trains++
			c.multi.scheduling.scheduler.OnSent(p.id, wire.ByteCount(len(t.Buf)))
			if c.multi.scheduling.traits.Redundant {
				c.copyTrain(p, before)
			}
			return true
		}
		if !c.wantsData(p) {
			return false
		}
		p.stuck = true
	}
	return false
}

// owes reports whether p has something to send that asks neither the window nor the
// scheduler: an acknowledgement, a probe, a PING to see whether it is alive.
func (c *Conn) owes(now clock.Time, p *path) bool {
	s := &p.spaces[recovery.SpaceApplication]
	return p.det.ProbesDue(recovery.SpaceApplication) > 0 || p.vitals.ping ||
		(s.acks.due(now) && p.state != PathDead) || (p == c.speaker() && c.strayAcks(now)) ||
		(p == c.path0 && !c.confirmed)
}

// speaker returns the path on which is said what other paths cannot say: the fastest one
// that nothing keeps from speaking, nil when there is none. A dead one is better than
// that.
func (c *Conn) speaker() *path {
	var best *path
	for _, p := range c.open {
		switch {
		case p.state == PathValidating || c.muted(p):
		case best == nil || (best.state == PathDead && p.state == PathActive):
			best = p
		case best.state == p.state && p.det.RTT().Smoothed < best.det.RTT().Smoothed:
			best = p
		}
	}
	return best
}

// strayAcks reports whether a path that nothing can be sent on has something to
// acknowledge.
func (c *Conn) strayAcks(now clock.Time) bool {
	for _, p := range c.paths {
		if p.mute() && p.spaces[recovery.SpaceApplication].acks.due(now) {
			return true
		}
	}
	return false
}

// mute reports whether the path's acknowledgements must leave on another one.
func (p *path) mute() bool { return p.det != nil && (p.state == PathClosing || p.state == PathDead) }

// appendStrayAcks appends PATH_ACK frames of the paths that nothing can be sent on
// (section 3: they can be returned on any path).
func (c *Conn) appendStrayAcks(now clock.Time, w *builder) {
	for _, p := range c.paths {
		if a := &p.spaces[recovery.SpaceApplication].acks; p != w.path && p.mute() && a.pending() {
			a.append(now, w, ackDelayExponent, true, p.id)
		}
	}
}

// pick returns the path for the next train of data; nil: there is none to send, or none
// that it could leave on. Lost data waits for the path that brings it first: it is held
// back from a train on another one.
func (c *Conn) pick(now clock.Time) *path {
	if !c.wantsAny() {
		c.reinjectTail(now)
		if !c.wantsCopies() {
			for _, p := range c.open {
				p.blockedUntil = 0
				if p.state == PathActive {
					p.det.SetAppLimited()
				}
			}
			return nil
		}
	}
	sc := &c.multi.scheduling
	sc.views, sc.of = sc.views[:0], sc.of[:0]
	c.look(now, false)
	if len(sc.views) == 0 {
		c.look(now, true) // dead ones are better than none
	}
	for i, p := range sc.of {
		if p.copies.len() > 0 && sc.views[i].Room > 0 {
			return p
		}
	}
	if !c.wantsAny() || len(sc.views) == 0 {
		return nil
	}
	i := sched.Wait
	if lost := c.streams.toRepeat(); lost > 0 {
		i = sched.Repair(now, sc.views, wire.ByteCount(lost))
		c.streams.holdRepeats = i == sched.Wait
	}
	need := c.need()
	if i == sched.Wait && c.wantsAny() {
		i = sc.scheduler.Pick(now, sc.views, need)
	}
	if i >= 0 && i < len(sc.of) {
		c.traceScheduled(now, need, i)
		return sc.of[i]
	}
	for i, p := range sc.of {
		if sc.views[i].Room > 0 {
			p.det.SetAppLimited() // the scheduler limits it, not what it carries
		}
	}
	c.traceScheduled(now, need, sched.Wait)
	return nil
}

func (c *Conn) wantsCopies() bool {
	for _, p := range c.open {
		if p.copies.len() > 0 {
			return true
		}
	}
	return false
}

// look makes the views of the paths that can carry data.
func (c *Conn) look(now clock.Time, dead bool) {
	sc := &c.multi.scheduling
	for _, p := range c.open {
		if p.state != PathActive && !(dead && p.state == PathDead) {
			continue
		}
		want := wire.ByteCount(maxTrain)
		if !p.amp.validated() {
			want = p.amp.room()
		}
		room, next := p.det.Budget(now, want)
		p.blockedUntil = 0
		if room == 0 && next != clock.Never {
			p.blockedUntil = next
		}
		if p.stuck {
			room, p.stuck = 0, false
		}
		rtt, st := p.det.RTT(), p.det.State()
		v := sched.View{
			ID: p.id, Room: room, Next: next, Window: st.Window, InFlight: p.det.BytesInFlight(),
			Datagram: p.mtu.size(), Rate: p.det.DeliveryRate(), SlowStart: st.SSThresh == 0 || st.Window < st.SSThresh,
			Backup: p.backup || p.peerBackup, Suspect: p.vitals.suspect || p.state == PathDead, Weight: p.weight,
		}
		if rtt.HasSample {
			v.SRTT, v.MinRTT, v.RTTVar = rtt.Smoothed, rtt.Min, rtt.Var
		}
		sc.views, sc.of = append(sc.views, v), append(sc.of, p)
	}
}

// need returns what is to be sent.
func (c *Conn) need() sched.Need {
	ready, ending := c.streams.backlog()
	return sched.Need{
		Ready: max(wire.ByteCount(ready), minUDPPayload), Credit: wire.ByteCount(c.streams.credit.left()), Ending: ending,
	}
}

// backlogStreams is how many streams are looked at to tell how much there is to send.
const backlogStreams = 16

// backlog returns how many bytes of data wait to be sent, as far as flow control allows, and
// whether the application has written all there is of the streams that they are of. With
// many streams it is a part of them.
func (ss *streams) backlog() (ready uint64, ending bool) {
	ending = true
	var fresh uint64
	for i := range min(ss.fresh.n, backlogStreams) {
		s := ss.fresh.at(i)
		fresh += s.send.fresh()
		ending = ending && s.send.closed
	}
	if ss.fresh.n > backlogStreams {
		ending = false
	}
	ready = min(fresh, ss.credit.left())
	ending = ending && ready == fresh
	if ss.holdRepeats {
		return ready, ending
	}
	for i := range min(ss.repeats.n, backlogStreams) {
		ending = ending && ss.repeats.at(i).send.closed
	}
	return ready + ss.toRepeat(), ending
}

// toRepeat returns how many bytes of lost data wait to be sent again.
func (ss *streams) toRepeat() (n uint64) {
	for i := range min(ss.repeats.n, backlogStreams) {
		n += ss.repeats.at(i).send.data.lost.total()
	}
	return n
}

// datagramsFollowMTU sets the largest DATAGRAM frame: it must fit every path.
func (c *Conn) datagramsFollowMTU() {
	if len(c.open) == 0 {
		return
	}
	least := c.open[0].mtu.size()
	for _, p := range c.open[1:] {
		least = min(least, p.mtu.size())
	}
	c.datagrams.setPathMax(least - 1 - connIDLen - 4 - tagSize) // the longest 1-RTT header and the tag
}
