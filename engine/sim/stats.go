package sim

import (
	"slices"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
)

// Stats returns the connection's statistics so far: one part for each link that it
// has had a path over, in the order of Dial's links or else of its path IDs.
func (c *Conn) Stats() engine.Stats {
	s := c.proto.Stats()
	out := engine.Stats{Congestion: s.Congestion, Scheduler: s.Scheduler, Copied: new(s.Copies.Total())}
	for _, r := range c.routes {
		out.Paths = append(out.Paths, engine.PathStats{Link: r.link.Name})
	}
	for _, p := range s.Paths {
		c.addStats(&out, p)
	}
	return out
}

// addStats adds a path's statistics to those of its link. Of several paths that a
// link has carried one after the other the counts add up; the rest is the last one's.
func (c *Conn) addStats(out *engine.Stats, p proto.PathStats) {
	link := c.linkOf(p)
	i := slices.IndexFunc(out.Paths, func(q engine.PathStats) bool { return q.Link == link })
	if i < 0 {
		i = len(out.Paths)
		out.Paths = append(out.Paths, engine.PathStats{Link: link})
	}
	sum := &out.Paths[i]
	if p.SRTT > 0 {
		sum.SRTT = p.SRTT
	}
	sum.CongestionWindow, sum.BytesInFlight = uint64(p.CongestionWindow), uint64(p.BytesInFlight)
	sum.SentPackets += p.SentPackets
	sum.ReceivedPackets += p.ReceivedPackets
	sum.LostPackets += p.LostPackets
	sum.ReinjectedBytes += p.ReinjectedBytes
	sum.Picks += p.Picks
	sum.Dead = sum.Dead || p.Failures > 0
}

// linkOf returns the name of the link that a path goes over.
func (c *Conn) linkOf(p proto.PathStats) string {
	if name := c.host.lab.linkOf(p.Local.Addr(), p.Remote.Addr()); name != "" {
		return name
	}
	return c.link
}
