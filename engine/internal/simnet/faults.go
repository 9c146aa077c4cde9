package simnet

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// Faults is what tests do to one way of a link, beyond its impairments. The zero
// value does nothing.
type Faults struct {
	Duplicate float64 // probability that a packet comes twice
	Corrupt   float64 // probability that one bit of the payload is flipped
	Reorder   float64 // probability that a packet is held back, for others to overtake it
	// MaxWait bounds how long a reordered packet, or the second of a duplicate, is held
	// back: uniform in [0, MaxWait].
	MaxWait time.Duration
	// Blackouts are times in which nothing that is sent arrives.
	Blackouts []Blackout
	// MTUs are the times at which the path's MTU changes. What is larger vanishes
	// without a word.
	MTUs []MTUChange
	// Rebindings are those of a NAT in front of the sender: what the receiver takes the
	// sender's address for.
	Rebindings []Rebinding
}

// Blackout is a time span, without its end.
type Blackout struct {
	From, To clock.Time
}

// MTUChange makes the path's MTU so many bytes of IP packet, from a time on.
type MTUChange struct {
	At  clock.Time
	MTU int
}

// faults is Faults at work.
type faults struct {
	Faults
	nat    nat
	random *rand.Rand
}

// newFaults returns nil when f does nothing.
func newFaults(f Faults, seed emulation.Seed) (*faults, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	if f.isZero() {
		return nil, nil
	}
	f.MTUs = slices.SortedStableFunc(slices.Values(f.MTUs), func(a, b MTUChange) int { return cmp.Compare(a.At, b.At) })
	return &faults{Faults: f, nat: newNAT(f.Rebindings), random: rand.New(rand.NewChaCha8(seed))}, nil
}

// SetFaults changes what happens to one way of the link from now on. Its randomness
// goes on where it was, and a NAT keeps its flows. An error leaves all as it is.
func (l *Link) SetFaults(w Way, f Faults) error {
	d := l.directions[w]
	next, err := newFaults(f, emulation.NewSeed(l.network.seed, l.name, w.String()+" faults"))
	if err != nil {
		return fmt.Errorf("link %s, %s: %w", l.name, w, err)
	}
	switch old := d.faults; {
	case old == nil:
	case next == nil:
		next = &faults{nat: nat{flows: old.nat.flows}, random: old.random}
	default:
		next.nat.flows, next.random = old.nat.flows, old.random
	}
	d.faults = next
	return nil
}

func (f Faults) isZero() bool {
	return f.Duplicate == 0 && f.Corrupt == 0 && f.Reorder == 0 &&
		len(f.Blackouts) == 0 && len(f.MTUs) == 0 && len(f.Rebindings) == 0
}

func (f Faults) validate() error {
	var errs []error
	for _, p := range []float64{f.Duplicate, f.Corrupt, f.Reorder} {
		if !(p >= 0 && p <= 1) {
			errs = append(errs, fmt.Errorf("%v is not a probability", p))
		}
	}
	if f.MaxWait < 0 || (f.Reorder > 0 && f.MaxWait == 0) {
		errs = append(errs, fmt.Errorf("a wait of up to %v reorders nothing", f.MaxWait))
	}
	for _, b := range f.Blackouts {
		if b.To <= b.From {
			errs = append(errs, errors.New("a blackout ends before it begins"))
		}
	}
	for _, m := range f.MTUs {
		if m.MTU < 1 {
			errs = append(errs, fmt.Errorf("mtu %d", m.MTU))
		}
	}
	for _, r := range f.Rebindings {
		if r.Ports == 0 && !r.Address.IsValid() {
			errs = append(errs, errors.New("a rebinding that changes nothing"))
		}
	}
	return errors.Join(errs...)
}

func (f *faults) draw(probability float64) bool { return f.random.Float64() < probability }

// wait draws how long to hold a packet back.
func (f *faults) wait() time.Duration { return time.Duration(f.random.Float64() * float64(f.MaxWait)) }

func (f *faults) black(now clock.Time) bool {
	for _, b := range f.Blackouts {
		if b.From <= now && now < b.To {
			return true
		}
	}
	return false
}

// mtu returns the path's MTU.
func (f *faults) mtu(now clock.Time) int {
	mtu := math.MaxInt
	for _, m := range f.MTUs {
		if m.At <= now {
			mtu = m.MTU
		}
	}
	return mtu
}

// delay holds a packet back.
func (n *Network) delay(d *direction, p packet, wait time.Duration) {
	n.seq++
	n.late.push(n.now.Add(wait), n.seq, delayed{d, p})
}
