package relay

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

// Offload says whether a wire's endpoints may leave segmentation and checksums to
// the wire.
type Offload bool

const (
	// OffloadOff: each frame is a finished packet. The endpoints' offloads must be
	// off.
	OffloadOff Offload = false
	// OffloadOn: a frame may be a unit of up to 64 KiB that stands for many wire
	// packets. The offloads of the endpoints and of the wire's own interfaces should be
	// on.
	OffloadOn Offload = true
)

// offloadFrom is the rate at which packets are too many to be sent one by one, with
// both endpoints on the same two cores.
const offloadFrom emulation.Rate = 1e9

// OffloadFor returns what serves a link best: OffloadOn where a direction has 1
// Gbit/s or more, or no rate.
func OffloadFor(up, down emulation.Impairments) Offload {
	for _, i := range []emulation.Impairments{up, down} {
		if rate := i.MeanRate(); rate == 0 || rate >= offloadFrom {
			return OffloadOn
		}
	}
	return OffloadOff
}

// super is a direction's part for a wire with OffloadOn: it takes units apart for
// the model, and puts their wire packets together again.
type super struct {
	units  units
	intake *intake
	outbox *outbox
	run    run
	quoted [maxHeaders + icmpv6Size]byte
}

func newSuper(in, out *Port) *super {
	s := &super{units: newUnits(), outbox: newOutbox(out.fd())}
	s.intake = newIntake(in.fd(), &s.units)
	return s
}

// receiveUnits gives up to a batch of units to the model. It returns receiveBatch
// when there may be more.
func (f *forwarder) receiveUnits() int {
	s := f.super
	now := f.clock.read()
	n, err := s.intake.read()
	if err != nil {
		f.receiveFailed(err)
		return 0
	}
	for i := range n {
		fr, vnet := s.intake.frame(i)
		if fr.realTime > now.real {
			now = f.clock.read()
		}
		f.note(now, fr.realTime)
		f.meet(fr.data)
		f.arriveUnit(i, fr, vnet)
	}
	if n == intakeBatch {
		return receiveBatch
	}
	return n
}

// receiveFailed takes an error of the socket. The kernel drops a frame that it
// cannot describe by a vnet header (virtio_net_hdr_from_skb) and says EINVAL.
func (f *forwarder) receiveFailed(err error) {
	switch err {
	case unix.EINVAL:
		f.stats.unfinished++
	case unix.ENETDOWN:
		f.stats.state, f.downAt = StateDown, f.clock.at(time.Now())
	}
}

// arriveUnit gives the wire packets of frame i of the intake to the model.
func (f *forwarder) arriveUnit(i int, fr frame, vnet vnetHeader) {
	parts, ok := segments{}, true
	switch {
	case fr.status&unix.TP_STATUS_VLAN_VALID != 0:
		f.stats.tagged++
		return
	case fr.length > len(fr.data):
		f.stats.oversized++
		return
	default:
		parts, ok = split(vnet, fr.data)
	}
	if !ok {
		f.stats.unfinished++
		return
	}
	if parts.length(fr.data, 0) > f.in.maxFrame() {
		f.stats.oversized += uint64(parts.count)
		return
	}
	s := f.super
	u := s.keep(i, fr.data, parts)
	if u == nil {
		f.stats.noMemory += uint64(parts.count)
		return
	}
	f.stats.units++
	f.enqueueUnit(u)
}

// keep makes a unit of frame i. A long frame stays in its buffer, for which the
// intake gets another; a short one moves to a buffer of its size. Nil when there is
// no memory.
func (s *super) keep(i int, data []byte, parts segments) *unit {
	if len(data) > unitSizes[len(unitSizes)-2] {
		next := s.units.buffer(maxUnit)
		if next == nil {
			return nil
		}
		s.intake.put(i, next)
		return s.units.take(parts, data)
	}
	buf := s.units.buffer(len(data))
	if buf == nil {
		return nil
	}
	copy(buf, data)
	return s.units.take(parts, buf)
}

// enqueueUnit gives the unit's wire packets to the model, all at the arrival of the
// unit: as from an interface that is fast beside the wire.
func (f *forwarder) enqueueUnit(u *unit) {
	for i := range u.count {
		size := u.length(u.frame, i)
		verdict := f.model.Enqueue(f.arrived, emulation.Packet{
			Size:   emulation.ByteCount(size),
			IPSize: size - ethernetHeader,
			Data:   u.ticket(i),
			ECN:    u.ecn,
		})
		if verdict.Accepted {
			u.held++
		} else if verdict.TellMTU != 0 {
			f.refuse(f.super.packet(u, i), verdict)
		}
	}
	if u.held == 0 {
		f.super.units.release(u, 0)
	}
	f.reclaimUnits()
}

// packet returns a wire packet as it would go over a wire, or as much of it as a
// message about it quotes. It is good until the next call.
func (s *super) packet(u *unit, i int) []byte {
	n, _ := u.headers(s.quoted[:], u.frame, i, 1, u.ecn)
	return s.quoted[:n+copy(s.quoted[n:], u.part(u.frame, i, 1))]
}

// departUnits sends every wire packet that is due, as few units as they fit in.
func (f *forwarder) departUnits(now emulation.Time) {
	s := f.super
	for {
		p, ideal, ok := f.model.Dequeue(now)
		if !ok {
			break
		}
		u, i := s.units.of(p.Data)
		if !s.run.takes(u, i, &p) {
			f.closeRun()
			s.run = run{unit: u, first: i, ecn: p.ECN, corrupt: p.Marks&emulation.Corrupted != 0, flip: p.Flip}
		}
		s.run.count++
		if p.Marks&emulation.Shared == 0 {
			s.run.last++
		}
		s.outbox.ideal = append(s.outbox.ideal, ideal)
	}
	f.closeRun()
	f.flushUnits()
	f.reclaimUnits()
}

// closeRun puts the run, if there is one, into the outbox, and sends what lies there
// when it is full.
func (f *forwarder) closeRun() {
	s := f.super
	r := s.run
	s.run = run{}
	switch {
	case r.unit == nil:
		return
	case r.corrupt:
		buf := s.units.buffer(r.unit.length(r.unit.frame, r.first))
		if buf == nil {
			f.stats.noMemory++
			s.outbox.ideal = s.outbox.ideal[:len(s.outbox.ideal)-1]
			s.units.release(r.unit, r.last)
			return
		}
		s.outbox.addCorrupt(r, buf)
	default:
		s.outbox.add(r)
	}
	f.stats.runs++
	if s.outbox.full() {
		f.flushUnits()
	}
}

// flushUnits sends the outbox. The lateness is that of each wire packet.
func (f *forwarder) flushUnits() {
	o := f.super.outbox
	if o.n == 0 {
		return
	}
	f.push(o, o.n)
	now := f.clock.at(time.Now())
	for _, ideal := range o.ideal {
		f.stats.lateness.add(now.Sub(ideal))
	}
	o.empty(&f.super.units)
}

// reclaimUnits releases the wire packets that the model dropped after it had
// accepted them. No run may be open, nor anything in the outbox.
func (f *forwarder) reclaimUnits() {
	for p, ok := f.model.Discarded(); ok; p, ok = f.model.Discarded() {
		u, _ := f.super.units.of(p.Data)
		f.super.units.release(u, 1)
	}
}
