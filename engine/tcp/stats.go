package tcp

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine"
)

// Measure reads TCP_INFO into the statistics of the only path. A retransmitted
// segment counts as one that the sender declared lost.
func Measure(c *net.TCPConn, paths []engine.Path) []engine.PathStats {
	stats := make([]engine.PathStats, len(paths))
	control(c, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		stats[0] = FromInfo(info)
	})
	return stats
}

// FromInfo returns what a tcp_info says, for whole segments as they are on the wire.
func FromInfo(info *unix.TCPInfo) engine.PathStats {
	return engine.PathStats{
		SRTT:        time.Duration(info.Rtt) * time.Microsecond,
		SentPackets: uint64(info.Segs_out),
		LostPackets: uint64(info.Total_retrans),
	}
}

// merge adds the counts of a connection to a sum over the session's. The round-trip
// time is that of the connection that sent most.
func merge(sum, add []engine.PathStats, most []uint64) {
	for i, a := range add {
		s := &sum[i]
		if a.SentPackets >= most[i] && a.SRTT > 0 {
			most[i], s.SRTT = a.SentPackets, a.SRTT
		}
		s.SentPackets += a.SentPackets
		s.LostPackets += a.LostPackets
		s.ReinjectedBytes += a.ReinjectedBytes
		s.Dead = s.Dead || a.Dead
	}
}
