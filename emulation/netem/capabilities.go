package netem

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Capabilities is what the backend can do, in the words of a topology file.
type Capabilities struct {
	Exact       []string        // done as asked
	Approximate []Approximation // done nearly as asked
	Missing     []Approximation // refused
	Seeded      bool            // the same seed gives the same random numbers (Linux 6.6)
}

// Approximation is an impairment and how what netem does differs from it.
type Approximation struct {
	Impairment string
	How        string
}

// capabilities returns what this package can do on a kernel.
func capabilities(seeded bool) Capabilities {
	return Capabilities{
		Exact: []string{"delay", "loss", "order"},
		Approximate: []Approximation{
			{"rate", "counted in whole bytes per second"},
			{"jitter", "uniform as asked, but lost to a packet that waits behind others, since netem delays before it serialises"},
			{"queue", "one limit in packets for queue and delay line together, worked out for packets of the link's MTU: smaller packets fill it with fewer bytes"},
		},
		Missing: []Approximation{
			{"mtu", "below the link's: netem drops no packet for its size"},
			{emulation.AllFeatures.Without(emulation.PlainFeatures).String(), "not yet translated to netem"},
		},
		Seeded: seeded,
	}
}

// What netem's parameters can hold.
const (
	// The kernel caps jitter at INT_MAX ns (sch_netem.c, netem_change).
	maxJitter = math.MaxInt32 * time.Nanosecond
	// Below it the rate in bytes per second is zero, which means unlimited.
	minRate emulation.Rate = 8
	// The rate that stands for none and keeps the order.
	unlimitedRate emulation.Rate = 1e12
)

// Check returns every reason why netem cannot do what imp asks of a link whose
// interfaces have the given MTU (bytes of IP packet), joined, or nil. What it
// does only approximately is no reason: Capabilities has that.
func Check(imp emulation.Impairments, mtu int) error {
	errs := []error{imp.Validate()}
	if mtu <= 0 {
		errs = append(errs, fmt.Errorf("the link's mtu %d is not positive", mtu))
	}
	if missing := imp.Features().Without(emulation.PlainFeatures); missing != 0 {
		errs = append(errs, fmt.Errorf("the netem backend cannot do: %v (--backend relay may)", missing))
	}
	if imp.MTU > 0 && imp.MTU < mtu {
		errs = append(errs, fmt.Errorf("netem drops no packet for its size: "+
			"mtu %d below the link's %d needs the relay (--backend relay)", imp.MTU, mtu))
	}
	if imp.Jitter > maxJitter {
		errs = append(errs, fmt.Errorf("netem's jitter ends at %v: %v needs the relay (--backend relay)", maxJitter, imp.Jitter))
	}
	if imp.Rate > 0 && imp.Rate < minRate {
		errs = append(errs, fmt.Errorf("netem's rate starts at %d bit/s, not %d", minRate, imp.Rate))
	}
	if imp.Rate >= unlimitedRate {
		errs = append(errs, fmt.Errorf("netem's rate ends below %d bit/s: leave the rate away for none, not %d", unlimitedRate, imp.Rate))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := limit(imp, mtu)
	return err
}
