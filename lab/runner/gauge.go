package runner

import (
	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/topologies"
)

// gauge is an interface whose counters tell what a path carries one way: those of
// what came in, or of what went out.
type gauge struct {
	sampler.Interface
	out bool
}

func (g gauge) bytes(t sampler.Totals) uint64 {
	if g.out {
		return t[g.Interface].TxBytes
	}
	return t[g.Interface].RxBytes
}

func (g gauge) packets(t sampler.Totals) uint64 {
	if g.out {
		return t[g.Interface].TxPackets
	}
	return t[g.Interface].RxPackets
}

// rate returns what the gauge counts at the moment, in bit/s.
func (g gauge) rate(s sampler.Sample) float64 {
	if g.out {
		return s.Rates[g.Interface].Tx
	}
	return s.Rates[g.Interface].Rx
}

// first is the dialler's interface of a path, last the listener's. Several paths may
// end on one interface, but each begins on its own.
func first(p topologies.Path) sampler.Interface {
	return sampler.Interface{Node: p.Nodes[0], Link: p.Links[0].Name}
}

func last(p topologies.Path) sampler.Interface {
	return sampler.Interface{Node: p.Nodes[len(p.Nodes)-1], Link: p.Links[len(p.Links)-1].Name}
}

// interfaces returns every interface at an end of the paths, each once.
func interfaces(paths []topologies.Path) (all []sampler.Interface) {
	seen := map[sampler.Interface]bool{}
	for _, p := range paths {
		for _, i := range []sampler.Interface{first(p), last(p)} {
			if !seen[i] {
				seen[i] = true
				all = append(all, i)
			}
		}
	}
	return all
}

// at returns the interfaces of the arm's paths at one of their two ends.
func (a arm) at(node string) (all []sampler.Interface) {
	for _, i := range interfaces(a.paths) {
		if i.Node == node {
			all = append(all, i)
		}
	}
	return all
}

// endsTogether reports whether two of the arm's paths share the listener's interface:
// its counters then tell nothing of each path.
func (a arm) endsTogether() bool { return len(interfaces(a.paths)) < 2*len(a.paths) }

// arriving returns where to read what each path brought to the node: at the node
// itself, or at the dialler where paths end together.
func (a arm) arriving(node string) (gauges []gauge) {
	for _, p := range a.paths {
		switch {
		case first(p).Node == node:
			gauges = append(gauges, gauge{first(p), false})
		case a.endsTogether():
			gauges = append(gauges, gauge{first(p), true})
		default:
			gauges = append(gauges, gauge{last(p), false})
		}
	}
	return gauges
}

// leaving returns where to read what the node sent over each path: at the node itself,
// or at the dialler where paths end together.
func (a arm) leaving(node string) (gauges []gauge) {
	for _, p := range a.paths {
		switch {
		case first(p).Node == node:
			gauges = append(gauges, gauge{first(p), true})
		case a.endsTogether():
			gauges = append(gauges, gauge{first(p), false})
		default:
			gauges = append(gauges, gauge{last(p), true})
		}
	}
	return gauges
}

// crossings returns how many of the arm's paths cross each link.
func (a arm) crossings() map[string]int {
	n := map[string]int{}
	for _, p := range a.paths {
		for _, l := range p.Links {
			n[l.Name]++
		}
	}
	return n
}
