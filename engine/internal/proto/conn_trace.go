package proto

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// event clears the scratch event and returns it, or nil without a tracer.
func (c *Conn) event(now clock.Time, kind TraceKind) *TraceEvent {
	return c.eventOf(now, c.path0, kind)
}

// eventOf is event for one that is a path's.
func (c *Conn) eventOf(now clock.Time, p *path, kind TraceKind) *TraceEvent {
	if c.tracer == nil {
		return nil
	}
	c.trace = TraceEvent{Time: now, Kind: kind, Path: p.id}
	return &c.trace
}

func (c *Conn) traceStarted(now clock.Time) {
	if e := c.event(now, TraceConnectionStarted); e != nil {
		e.Local, e.Remote, e.ID, e.PeerID = c.path0.local, c.path0.tuple.remote, c.local.InitialSrcID, c.path0.peer.current()
		c.tracer.Trace(e)
	}
	if e := c.event(now, TraceVersionInformation); e != nil {
		e.Versions, e.Version = []wire.Version{wire.Version1}, wire.Version1
		c.tracer.Trace(e)
	}
	if e := c.event(now, TraceParametersSet); e != nil {
		e.Parameters = &c.local
		c.tracer.Trace(e)
	}
}

// tracePeerVersions traces what a Version Negotiation packet offers: nothing of use.
func (c *Conn) tracePeerVersions(now clock.Time, offered []wire.Version) {
	if e := c.event(now, TraceVersionInformation); e != nil {
		e.Versions, e.ByPeer = offered, true
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceClosed(now clock.Time, err error) {
	if e := c.event(now, TraceConnectionClosed); e != nil {
		e.Err, e.ByPeer = err, c.state == stateDraining
		c.tracer.Trace(e)
	}
}

func (c *Conn) tracePeerParameters(now clock.Time) {
	if e := c.event(now, TraceParametersSet); e != nil {
		e.Parameters, e.ByPeer = &c.peer, true
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceALPN(now clock.Time) {
	if e := c.event(now, TraceALPN); e != nil {
		e.Trigger = c.tls.ConnectionState().NegotiatedProtocol
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceSent(now clock.Time, w *builder) {
	e := c.eventOf(now, w.path, TracePacketSent)
	e.PacketType, e.Number, e.KeyPhase, e.ECN = w.kind, w.number, w.phase, w.path.mark()
	e.PeerID, e.Size, e.Payload = w.path.peer.current(), len(w.b)-w.start+tagSize, w.b[w.body:]
	if w.kind != wire.PacketOneRTT {
		e.ID = c.local.InitialSrcID
	}
	c.tracer.Trace(e)
}

func (c *Conn) traceReceived(now clock.Time, p *path, d *Datagram, r *received) {
	if e := c.eventOf(now, p, TracePacketReceived); e != nil {
		e.PacketType, e.Number, e.KeyPhase, e.ECN = r.kind, r.number, r.phase, d.ECN
		e.ID, e.PeerID, e.Size, e.Payload = r.src, r.dst, len(r.packet), r.payload
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceDropped(now clock.Time, u unread, why string) {
	if e := c.event(now, TracePacketDropped); e != nil {
		if u.kind == wire.PacketOneRTT && u.dst.Len() > 0 {
			e.Path = c.pathOf(u.dst).id
		}
		e.PacketType, e.ID, e.PeerID, e.Size, e.Trigger, e.Number = u.kind, u.src, u.dst, u.size, why, wire.NoPacket
		if u.numbered {
			e.Number = u.number
		}
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceLost(now clock.Time, p *path, sp recovery.Space, m *recovery.Sent) {
	if e := c.eventOf(now, p, TracePacketLost); e != nil {
		e.Number, e.Size, e.Trigger = m.Number, int(m.Size), "reordering_threshold"
		if m.ByTime {
			e.Trigger = "time_threshold"
		}
		e.PacketType = [...]wire.PacketType{wire.PacketInitial, wire.PacketHandshake, wire.PacketOneRTT}[sp]
		c.tracer.Trace(e)
	}
}

// traceMetrics traces the recovery state, and a new phase of congestion control.
func (c *Conn) traceMetrics(now clock.Time, p *path) {
	if c.tracer == nil {
		return
	}
	e := c.eventOf(now, p, TraceMetricsUpdated)
	e.Metrics = p.metrics()
	c.tracer.Trace(e)
	if phase := p.det.State().Phase; phase != p.phase {
		p.phase = phase
		e = c.eventOf(now, p, TraceCongestionState)
		e.Trigger = phase
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceKeyUpdate(now clock.Time)     { c.traceKeys(now, false) }
func (c *Conn) tracePeerKeyUpdate(now clock.Time) { c.traceKeys(now, true) }

func (c *Conn) traceKeys(now clock.Time, byPeer bool) {
	if e := c.event(now, TraceKeyUpdated); e != nil {
		e.PacketType, e.KeyPhase, e.ByPeer = wire.PacketOneRTT, c.keys.oneRTT.Phase(), byPeer
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceKeyDiscarded(now clock.Time, t wire.PacketType) {
	if e := c.event(now, TraceKeyDiscarded); e != nil {
		e.PacketType = t
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceMTU(now clock.Time, p *path) {
	if e := c.eventOf(now, p, TraceMTUUpdated); e != nil {
		e.Size = int(p.mtu.size())
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceMigration(now clock.Time, p *path, state string) {
	if e := c.eventOf(now, p, TraceMigrationState); e != nil {
		e.Trigger, e.Local, e.Remote = state, p.local, p.tuple.remote
		c.tracer.Trace(e)
	}
}

func (c *Conn) traceECN(now clock.Time, p *path, state string) {
	if e := c.eventOf(now, p, TraceECNState); e != nil {
		e.Trigger = state
		c.tracer.Trace(e)
	}
}
