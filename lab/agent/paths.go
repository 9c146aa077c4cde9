package agent

import (
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// PerLink sums sessions' statistics up by link, in the order in which the links come
// first: counts, windows and bytes in flight add up, the round-trip time is the mean
// of those that know it.
func PerLink(sessions []engine.Stats) []engine.PathStats {
	var all []engine.PathStats
	index := map[string]int{}
	measured := map[string]time.Duration{} // sessions that know a round-trip time
	for _, s := range sessions {
		for _, p := range s.Paths {
			i, ok := index[p.Link]
			if !ok {
				i = len(all)
				index[p.Link] = i
				all = append(all, engine.PathStats{Link: p.Link})
			}
			if p.SRTT > 0 {
				measured[p.Link]++
			}
			add(&all[i], p)
		}
	}
	for i := range all {
		if n := measured[all[i].Link]; n > 0 {
			all[i].SRTT /= n
		}
	}
	return all
}

func add(to *engine.PathStats, p engine.PathStats) {
	to.SRTT += p.SRTT
	to.CongestionWindow += p.CongestionWindow
	to.BytesInFlight += p.BytesInFlight
	to.SentPackets += p.SentPackets
	to.ReceivedPackets += p.ReceivedPackets
	to.LostPackets += p.LostPackets
	to.ReinjectedBytes += p.ReinjectedBytes
	to.Picks += p.Picks
	to.Dead = to.Dead || p.Dead
}
