package proto

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// counters is what a connection counts as it goes.
type counters struct {
	receivedDatagrams, droppedPackets uint64
	trains, sentDatagrams             uint64
	gone                              []PathStats // of paths that are over, the newest maxGone
	nextPath                          wire.PathID // never known yet
	reinjected                        uint64      // bytes sent again while they might still arrive
}

// Stats is what a connection has done so far.
type Stats struct {
	Congestion                        string // control in use
	Paths                             []PathStats
	ReceivedDatagrams, DroppedPackets uint64
	Trains, SentDatagrams             uint64
	KeyUpdates, PeerKeyUpdates        int
	EarlyData                         bool // 0-RTT was offered and accepted
	Retried                           bool // the handshake went through a Retry
	Copies                            copyCounts
	Multipath                         bool   // both sides have the extension
	Scheduler                         string // in use; empty without multipath
}

// PathStats is the part of one path.
type PathStats struct {
	ID            wire.PathID
	State         PathState
	Local, Remote netip.AddrPort
	Backup        bool
	Metrics
	MTU                          wire.ByteCount // UDP payload
	SentPackets, ReceivedPackets uint64
	LostPackets                  uint64
	SentBytes, ReceivedBytes     uint64 // UDP payload
	// ReinjectedBytes were sent on the path while another one owed them.
	ReinjectedBytes uint64
	Picks           uint64 // trains of data that the scheduler put on it
	Failures        int    // how often it was given up for dead
	ECN             bool   // packets are marked
	Validated       bool
}

func (p *path) metrics() Metrics {
	d := p.det
	rtt, state := d.RTT(), d.State()
	return Metrics{
		SRTT: rtt.Smoothed, MinRTT: rtt.Min, LatestRTT: rtt.Latest, RTTVar: rtt.Var,
		CongestionWindow: state.Window, SSThresh: state.SSThresh, BytesInFlight: d.BytesInFlight(),
		PTOCount: d.PTOCount(), PacingRate: 8 * state.PacingRate,
	}
}

// Stats returns the counters. Paths has every path that was ever opened and is
// remembered, by ID.
func (c *Conn) Stats() Stats {
	s := Stats{
		Congestion:        c.cfg.Congestion,
		ReceivedDatagrams: c.stats.receivedDatagrams, DroppedPackets: c.stats.droppedPackets,
		Trains: c.stats.trains, SentDatagrams: c.stats.sentDatagrams,
		EarlyData: c.early == earlyAccepted, Retried: c.retried,
		Multipath: c.multi.on,
	}
	if c.multi.on {
		s.Scheduler = c.cfg.Scheduler
	}
	s.Paths = append(s.Paths, c.stats.gone...)
	for _, p := range c.paths {
		if p.det != nil { // not one that was given up before it was used
			s.Paths = append(s.Paths, p.stats())
		}
	}
	slices.SortFunc(s.Paths, func(a, b PathStats) int { return cmp.Compare(a.ID, b.ID) })
	if k := c.keys.oneRTT; k != nil {
		s.KeyUpdates, s.PeerKeyUpdates = k.OwnUpdates(), k.PeerUpdates()
	}
	s.Copies = c.streams.copies
	return s
}

func (p *path) stats() PathStats {
	return PathStats{
		ID: p.id, State: p.state, Local: p.local, Remote: p.tuple.remote, Backup: p.backup || p.peerBackup,
		Metrics: p.metrics(), MTU: p.mtu.size(),
		SentPackets: p.sentPackets, ReceivedPackets: p.receivedPackets, LostPackets: p.lostPackets,
		SentBytes: p.sentBytes, ReceivedBytes: p.receivedBytes,
		ReinjectedBytes: p.reinjected, Picks: p.picks, Failures: p.failures,
		ECN: p.mark() == wire.ECT0, Validated: p.amp.validated(),
	}
}
