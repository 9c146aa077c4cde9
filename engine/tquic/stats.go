package tquic

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
)

// Stats is what a connection has done so far, and how it is now.
type Stats struct {
	Congestion  string // control in use
	Multipath   bool   // both sides have the extension
	Scheduler   string // in use; empty without multipath
	Paths       []PathStats
	ClosedPaths []ClosedPath // those that were given up

	SentDatagrams, ReceivedDatagrams uint64 // UDP payloads
	Trains                           uint64 // groups of datagrams that left in one system call
	DroppedPackets                   uint64 // received and ignored: broken, late or repeated
	KeyUpdates, PeerKeyUpdates       int
	EarlyData                        bool // 0-RTT was offered and accepted
	Retried                          bool // the server asked for a proof of the address
	Copies                           Copies
}

// Copies counts the payload bytes of streams that were copied, by place. Encryption
// moves data too and is not counted: it reads one place and writes another.
type Copies struct {
	Write      uint64 // from the application into the send buffer
	Packet     uint64 // from there into packets
	Reassembly uint64 // of received data, to hold less memory
	Read       uint64 // to the application
}

// Total returns the bytes copied at all places.
func (c Copies) Total() uint64 { return c.Write + c.Packet + c.Reassembly + c.Read }

// PathStats is the part of one path.
type PathStats struct {
	PathInfo
	SRTT, MinRTT, LatestRTT, RTTVar time.Duration
	CongestionWindow, BytesInFlight int64
	PacingRate                      int64 // bit/s
	MTU                             int   // UDP payload, bytes
	ECN                             bool  // packets are marked

	SentPackets, ReceivedPackets, LostPackets uint64
	SentBytes, ReceivedBytes                  uint64 // UDP payload
	// ReinjectedBytes were sent on the path while another one owed them.
	ReinjectedBytes uint64
	Picks           uint64 // trains of data that the scheduler put on it
	Failures        int    // how often it stopped to acknowledge
}

// ClosedPath is the last that is known of a path that is over.
type ClosedPath struct {
	PathStats
	Err error // why
}

// Stats returns the connection's statistics.
func (c *Conn) Stats() Stats {
	p, closed := c.driver.FullStats()
	s := Stats{
		Congestion: p.Congestion, Multipath: p.Multipath, Scheduler: p.Scheduler,
		SentDatagrams: p.SentDatagrams, ReceivedDatagrams: p.ReceivedDatagrams, Trains: p.Trains, DroppedPackets: p.DroppedPackets,
		KeyUpdates: p.KeyUpdates, PeerKeyUpdates: p.PeerKeyUpdates, EarlyData: p.EarlyData, Retried: p.Retried,
		Copies: Copies(p.Copies),
	}
	for i := range p.Paths {
		s.Paths = append(s.Paths, publicPath(&p.Paths[i]))
	}
	for i := range closed {
		s.ClosedPaths = append(s.ClosedPaths, ClosedPath{publicPath(&closed[i].PathStats), publicError(closed[i].Err)})
	}
	return s
}

func publicPath(q *proto.PathStats) PathStats {
	return PathStats{
		PathInfo: PathInfo{ID: PathID(q.ID), State: PathState(q.State), Local: q.Local, Remote: q.Remote, Backup: q.Backup},
		SRTT:     q.SRTT, MinRTT: q.MinRTT, LatestRTT: q.LatestRTT, RTTVar: q.RTTVar,
		CongestionWindow: int64(q.CongestionWindow), BytesInFlight: int64(q.BytesInFlight), PacingRate: q.PacingRate,
		MTU: int(q.MTU), ECN: q.ECN,
		SentPackets: q.SentPackets, ReceivedPackets: q.ReceivedPackets, LostPackets: q.LostPackets,
		SentBytes: q.SentBytes, ReceivedBytes: q.ReceivedBytes,
		ReinjectedBytes: q.ReinjectedBytes, Picks: q.Picks, Failures: q.Failures,
	}
}
