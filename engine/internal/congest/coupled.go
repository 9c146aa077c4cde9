package congest

import (
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Group is the congestion control of one connection's paths. With a coupled name the
// controllers that it makes share how fast their windows grow: together they take no
// more of a bottleneck than one flow would, and leave the more congested path. It has
// one owner, that of its controllers.
type Group struct {
	name     string
	coupling coupling // zero for controllers that are not coupled
	paths    []*newReno
	made     uint64
}

// coupling is how a path's congestion avoidance depends on the others.
type coupling struct {
	// share is by how much of NewReno's increase r's window grows. The paths are those
	// with a known RTT, two or more, r among them.
	share func(r *newReno, paths []*newReno) float64
	// reduced is r's window after a loss; nil: half.
	reduced func(r *newReno, paths []*newReno) wire.ByteCount
}

func couplingOf(name string) coupling {
	switch name {
	case "lia":
		return coupling{share: liaShare}
	case "olia":
		return coupling{share: oliaShare}
	case "balia":
		return coupling{share: baliaShare, reduced: baliaReduced}
	}
	return coupling{}
}

// NewGroup returns a Group without paths for a name of Names.
func NewGroup(name string) (*Group, error) {
	if !slices.Contains(Names(), name) {
		return nil, unknown(name)
	}
	return &Group{name: name, coupling: couplingOf(name)}, nil
}

// New returns the controller of another path, which counts until it is removed.
func (g *Group) New(c Config) Controller {
	g.made++
	made, err := New(g.name, c.withRandom(g.made))
	if err != nil {
		panic("congest: a Group of an unknown name: " + err.Error()) // NewGroup made it
	}
	if r, ok := made.(*newReno); ok && g.coupling.share != nil {
		r.group = g
		g.paths = append(g.paths, r)
	}
	return made
}

// Remove takes the controller of a closed path out. It works on by itself. One that is
// not of the Group is left alone.
func (g *Group) Remove(c Controller) {
	r, ok := c.(*newReno)
	if i := slices.Index(g.paths, r); ok && i >= 0 {
		g.paths = slices.Delete(g.paths, i, i+1)
		r.group = nil
	}
}

// linked is what other paths' controllers need to know of one.
type linked struct {
	srtt time.Duration // 0: not known
	// Bytes acknowledged since the last loss, and between the last two.
	sinceLoss, betweenLosses wire.ByteCount
}

func (l *linked) ack(a Ack) {
	if a.MinRTT > 0 { // else the smoothed RTT is a guess
		l.srtt = a.SmoothedRTT
	}
	l.sinceLoss += a.Bytes
}

func (l *linked) lose() { l.betweenLosses, l.sinceLoss = l.sinceLoss, 0 }

// known reports whether r can be compared with others.
func (r *newReno) known() bool { return r.srtt > 0 && r.window > 0 }

// rate is the window per RTT, byte/s: x_r.
func (r *newReno) rate() float64 { return float64(r.window) / r.srtt.Seconds() }

// alone reports whether there is no other path to couple r with.
func (r *newReno) alone() bool {
	if r.group == nil || !r.known() {
		return true
	}
	for _, p := range r.group.paths {
		if p != r && p.known() {
			return false
		}
	}
	return true
}

// share is by how much of NewReno's increase the window grows. RFC 9002, section
// 7.3.3: MUST limit the increase to one datagram for each window that is
// acknowledged, whatever the coupling.
func (r *newReno) share() float64 {
	if r.alone() {
		return 1
	}
	return min(r.group.coupling.share(r, r.group.paths), 1)
}

// reduced is the window after a loss.
func (r *newReno) reduced() wire.ByteCount {
	if r.alone() || r.group.coupling.reduced == nil {
		return r.window / 2
	}
	return r.group.coupling.reduced(r, r.group.paths)
}
