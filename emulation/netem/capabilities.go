package netem

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Support says how well the backend does what is asked.
type Support uint8

// The levels.
const (
	Refused     Support = iota
	Approximate         // nearly as asked: Capability.How says what differs
	Exact               // as asked: in distribution, where it is random
)

// String returns the level's name.
func (s Support) String() string {
	switch s {
	case Exact:
		return "yes"
	case Approximate:
		return "nearly"
	}
	return "no"
}

// Capability is what the backend makes of one feature, or of several together.
type Capability struct {
	Features emulation.Features
	Support  Support
	How      string // what differs, or why not; "" where there is nothing to say
}

// Capabilities returns what the backend makes of each feature of the model, in the
// order of emulation.Features, and then of those that do not go together as they go
// alone. What it refuses the relay does.
func Capabilities() []Capability {
	return append(single(), together()...)
}

func single() []Capability {
	return []Capability{
		{emulation.FeatureRate, Approximate, "in whole bytes per second; waiting packets keep their departure times when it changes"},
		{emulation.FeatureDelay, Exact, ""},
		{emulation.FeatureJitter, Approximate, "netem delays before it serialises: jitter is lost to a packet that waits behind others; uniform jitter is one of 16384 values"},
		{emulation.FeatureLoss, Exact, ""},
		{emulation.FeatureQueue, Approximate, "drop-tail by one limit in packets of the link's MTU, which the delay line shares: smaller packets fill it with fewer bytes, and a burst into an idle link may use the line's part, too"},
		{emulation.FeatureMTU, Refused, "netem drops no packet for its size, and an interface's MTU counts for both directions"},
		{emulation.FeatureTooBig, Refused, "a bridge sends no ICMP"},
		{emulation.FeatureGilbertElliott, Exact, "each change starts the chain anew, in the good state"},
		{emulation.FeatureFourState, Exact, "each change starts the chain anew, in state 1"},
		{emulation.FeatureLoseEvery, Refused, "netem draws losses and counts no packets"},
		{emulation.FeatureLosePackets, Refused, "netem draws losses and counts no packets"},
		{emulation.FeatureDuplicate, Exact, ""},
		{emulation.FeatureCorrupt, Approximate, "flips a bit in what lies in one piece of the frame, headers included: of a TCP segment often only those"},
		{emulation.FeatureReorder, Approximate, "a packet that goes ahead skips queue and rate, too"},
		{emulation.FeatureDistribution, Approximate, "the model's own table; as jitter"},
		{emulation.FeatureSlot, Exact, ""},
		{emulation.FeatureCapacity, Refused, "netem has one rate"},
		{emulation.FeatureSteps, Refused, "netem has no clock of its own; a process can Change it, step by step (see Steady)"},
		{emulation.FeatureDropHead, Refused, "netem drops the packet that arrives, and a child qdisc sees packets only behind the delay"},
		{emulation.FeatureCoDel, Refused, "netem's packets wait with their departure times fixed, and a child qdisc sees them only behind the delay"},
		{emulation.FeatureMark, Refused, "netem marks in the place of random losses, not by the level of the queue"},
		{emulation.FeatureBlackhole, Exact, ""},
	}
}

// together returns what differs in combination.
func together() []Capability {
	return []Capability{
		{emulation.FeatureSlot | emulation.FeatureRate, Approximate, "netem's slots come behind the rate: a burst leaves all at once, and the time to the next one counts from there"},
		{emulation.FeatureSlot | emulation.FeatureDelay, Approximate, "netem's slots come behind the delay and are planned while it runs: the wait for one may be over sooner"},
		{emulation.FeatureFourState | emulation.FeatureLoss, Refused, "netem has one loss model (Gilbert-Elliott takes independent loss in, four states do not)"},
		{emulation.FeatureGilbertElliott | emulation.FeatureDuplicate, Refused, "netem's chain also moves for each copy, and a packet that is copied loses only its copy"},
		{emulation.FeatureFourState | emulation.FeatureDuplicate, Refused, "netem's chain also moves for each copy, and a packet that is copied loses only its copy"},
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
	// Half of it is a jitter.
	maxSlotRange = 2 * maxJitter
)

// Check returns every reason why netem cannot do what imp asks of a link whose
// interfaces have the given MTU (bytes of IP packet), joined, or nil. What it
// does only nearly is no reason: Capabilities has that.
func Check(imp emulation.Impairments, mtu int) error {
	errs := []error{imp.Validate(), checkFeatures(imp, mtu), checkRange(imp)}
	if mtu <= 0 {
		errs = append(errs, fmt.Errorf("the link's mtu %d is not positive", mtu))
	}
	if imp.Slot != (emulation.Slot{}) && imp.Rate == 0 && imp.Delay > 0 && imp.Queue != (emulation.Queue{}) {
		errs = append(errs, errors.New("netem cannot tell a queue from a delay line without a rate: "+
			"slots with a delay and a queue need a rate, or the relay (--backend relay)"))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := translate(imp, mtu, 0)
	return err
}

// CheckSteps is Check for impairments that may have steps, for who takes them one by
// one (Steady).
func CheckSteps(imp emulation.Impairments, mtu int) error {
	if imp.Steps == nil {
		return Check(imp, mtu)
	}
	if err := imp.Validate(); err != nil {
		return err
	}
	for _, step := range imp.Steps.Steps {
		steady, err := Steady(imp, step)
		if err == nil {
			err = Check(steady, mtu)
		}
		if err != nil {
			return fmt.Errorf("step at %v: %w", step.At, err)
		}
	}
	return nil
}

// Steady returns what imp is during one of its steps. A step of the rate to zero, in
// which packets wait, is an error: netem would send them at the pace of their
// arrival, or lose them.
//
// Queue in time keeps its packets: they are those at the mean rate, as in the model.
func Steady(imp emulation.Impairments, step emulation.Step) (emulation.Impairments, error) {
	if imp.Steps == nil {
		return imp, nil
	}
	columns, mean := imp.Steps.Columns, imp.MeanRate()
	imp.Steps = nil
	if columns&emulation.StepRate != 0 {
		if step.Rate == 0 {
			return imp, errors.New("netem cannot make packets wait for the end of an outage (--backend relay can)")
		}
		imp.Rate = step.Rate
		imp.Queue = queueAt(imp.Queue, mean)
	}
	if columns&emulation.StepDelay != 0 {
		imp.Delay = step.Delay
	}
	if columns&emulation.StepLoss != 0 {
		imp.Loss = step.Loss
	}
	return imp, nil
}

// queueAt returns a queue in time as one in bytes, at a rate.
func queueAt(q emulation.Queue, r emulation.Rate) emulation.Queue {
	if q.Time > 0 {
		q.Bytes = emulation.ByteCount(min(q.Time.Seconds()*float64(r)/8, 1<<62))
		q.Time = 0
	}
	return q
}

// Nearly returns what the backend does only nearly of what imp asks: nothing means
// that imp is done as asked.
func Nearly(imp emulation.Impairments) []Capability {
	asked := imp.Features()
	return slices.DeleteFunc(Capabilities(), func(c Capability) bool {
		return c.Support != Approximate || c.Features.Without(asked) != 0
	})
}

// checkFeatures says which features netem has not.
func checkFeatures(imp emulation.Impairments, mtu int) error {
	asked := imp.Features()
	if imp.MTU >= mtu && imp.TooBig == emulation.TooBigSilent {
		asked &^= emulation.FeatureMTU // the link's own does it
	}
	var errs []error
	for _, c := range Capabilities() {
		if c.Support == Refused && c.Features.Without(asked) == 0 {
			names := strings.ReplaceAll(c.Features.String(), ", ", " with ")
			errs = append(errs, fmt.Errorf("the netem backend cannot do %s: %s (--backend relay may)", names, c.How))
		}
	}
	return errors.Join(errs...)
}

// checkRange says what netem's parameters cannot hold.
func checkRange(imp emulation.Impairments) error {
	var errs []error
	if imp.Jitter > maxJitter {
		errs = append(errs, fmt.Errorf("netem's jitter ends at %v: %v needs the relay (--backend relay)", maxJitter, imp.Jitter))
	}
	if imp.Rate > 0 && imp.Rate < minRate {
		errs = append(errs, fmt.Errorf("netem's rate starts at %d bit/s, not %d", minRate, imp.Rate))
	}
	if imp.Rate >= unlimitedRate {
		errs = append(errs, fmt.Errorf("netem's rate ends below %d bit/s: leave the rate away for none, not %d", unlimitedRate, imp.Rate))
	}
	if s := imp.Slot; s.Max-s.Min > maxSlotRange || s.Packets > math.MaxInt32 || s.Bytes > math.MaxInt32 {
		errs = append(errs, fmt.Errorf("netem's slots vary by %v and carry %d packets or bytes at the most (--backend relay has no such limit)", maxSlotRange, math.MaxInt32))
	}
	if imp.Reorder.Gap > math.MaxInt32 {
		errs = append(errs, fmt.Errorf("netem's reorder gap ends at %d", math.MaxInt32))
	}
	return errors.Join(errs...)
}
