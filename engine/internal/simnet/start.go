package simnet

import (
	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// OnStart plans a call of f for when the network's clock starts, or at once when it
// runs.
func (n *Network) OnStart(f func()) {
	if n.started {
		n.At(n.now, f)
		return
	}
	n.onStart = append(n.onStart, f)
}

// Start starts the clock from which traces, steps and timelines count, unless it runs:
// with the first packet on any link at the latest.
func (n *Network) Start() {
	if n.started {
		return
	}
	n.started = true
	start := n.now
	for _, d := range n.directions {
		d.model.Start(emulation.Time(start))
		n.planChange(d, start)
	}
	for _, f := range n.onStart {
		f()
	}
	n.onStart = nil
}

// planChange plans the next change of a direction's timeline.
func (n *Network) planChange(d *direction, start clock.Time) {
	at, ok := d.player.Next()
	if !ok {
		return
	}
	n.At(start.Add(at), func() {
		at, imp, _ := d.player.Step()
		if err := d.model.Set(emulation.Time(start.Add(at)), imp); err != nil {
			// Timeline.Validate saw each change's first turn; what a patch makes of a later one
			// is left out, as the other backends do.
			d.counters.Refused++
		}
		n.reclaim(d)
		n.planChange(d, start)
	})
}
