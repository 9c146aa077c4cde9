package emulation

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Time is an instant on the caller's monotonic clock, in nanoseconds. Its zero
// has no meaning of its own: only differences count.
type Time int64

// Add returns t moved by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the duration from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Rate is a capacity in bit/s. Zero means unlimited.
//
// As in the kernel's qdiscs, the bits counted are those of the link-layer frame
// as the interface hands it over: IP packet plus 14 bytes of Ethernet header,
// without preamble, checksum and gap.
type Rate int64

// ByteCount is a number of bytes.
type ByteCount int64

// Impairments is what one direction of a link does to packets. The zero value
// does nothing: a link whose two directions are zero needs no wire.
//
// What the pointers point to must not change after it was given. Two Impairments
// are == only when they share it; SameAs looks at the contents.
type Impairments struct {
	Rate   Rate          `json:"rate_bps,omitempty"`
	Delay  time.Duration `json:"delay_ns,omitempty"`  // one way, after the serialiser
	Jitter time.Duration `json:"jitter_ns,omitempty"` // the width of Distribution; never reorders
	Loss   float64       `json:"loss,omitempty"`      // probability in [0, 1], independent per packet
	Queue  Queue         `json:"queue,omitzero"`
	MTU    int           `json:"mtu,omitempty"` // largest IP packet that passes, bytes; 0 means any
	TooBig TooBig        `json:"too_big,omitempty"`

	// Losses beside Loss: a packet is lost when any of them says so.
	GilbertElliott GilbertElliott `json:"gilbert_elliott,omitzero"`
	FourState      FourState      `json:"four_state,omitzero"`
	LoseEvery      int            `json:"lose_every,omitempty"`   // the n-th arrival, the 2n-th and so on
	LosePackets    *PacketList    `json:"lose_packets,omitempty"` // by number of arrival

	Duplicate float64 `json:"duplicate,omitempty"` // probability that a packet is followed by a copy of itself
	Corrupt   float64 `json:"corrupt,omitempty"`   // probability that a packet, or a copy, gets one bit flipped
	Reorder   Reorder `json:"reorder,omitzero"`

	Distribution Distribution `json:"jitter_distribution,omitempty"`
	JitterTable  *Table       `json:"jitter_table,omitempty"`

	Blackhole bool `json:"blackhole,omitempty"` // nothing passes

	Slot     Slot      `json:"slot,omitzero"`
	Capacity *Trace    `json:"capacity_ms,omitempty"` // in place of Rate
	Steps    *Schedule `json:"steps,omitempty"`       // in place of Rate, Delay and Loss, where it sets them
}

// TooBig says what becomes of a packet that is larger than the MTU.
type TooBig uint8

// The ways: a black hole, or an ICMP message to the sender, which the Verdict asks
// the backend for.
const (
	TooBigSilent TooBig = iota
	TooBigICMP
	endOfTooBig
)

var tooBigNames = [endOfTooBig]string{"silent", "icmp"}

// String returns the way as it stands in JSON.
func (b TooBig) String() string { return nameOf(tooBigNames[:], int(b)) }

// MarshalText writes the way's name.
func (b TooBig) MarshalText() ([]byte, error) { return textOf(tooBigNames[:], int(b), "too big") }

// UnmarshalText reads a name that MarshalText writes.
func (b *TooBig) UnmarshalText(text []byte) error {
	i, err := indexOf(tooBigNames[:], string(text), "too big")
	*b = TooBig(i)
	return err
}

// Reorder lets packets go ahead of those before them: with the given probability a
// packet that leaves the serialiser takes no delay. After one that did, the next
// Gap-1 packets do not (netem's gap); Gaps 0 and 1 mean that each may.
type Reorder struct {
	Probability float64 `json:"probability,omitempty"`
	Gap         int     `json:"gap,omitempty"`
}

// MaxDelay keeps delays far from where nanoseconds overflow; a longer one is a
// slip of the unit.
const MaxDelay = time.Hour

// IsZero reports whether i leaves every packet alone.
func (i Impairments) IsZero() bool { return i == Impairments{} }

// SameAs reports whether i and o do the same, with what they point to.
func (i Impairments) SameAs(o Impairments) bool {
	if !sameList(i.LosePackets, o.LosePackets) || !sameList(i.JitterTable, o.JitterTable) ||
		!sameList(i.Capacity, o.Capacity) || !i.Steps.equal(o.Steps) {
		return false
	}
	o.LosePackets, o.JitterTable, o.Capacity, o.Steps = i.LosePackets, i.JitterTable, i.Capacity, i.Steps
	return i == o
}

func sameList[L ~[]E, E comparable](a, b *L) bool {
	return a == b || a != nil && b != nil && slices.Equal(*a, *b)
}

// MeanRate returns the rate or, where it varies, its mean; 0 means unlimited.
func (i Impairments) MeanRate() Rate {
	switch {
	case i.Capacity != nil:
		return i.Capacity.MeanRate()
	case i.stepped(StepRate):
		return i.Steps.MeanRate()
	}
	return i.Rate
}

// stepped reports whether a schedule sets all of the columns.
func (i Impairments) stepped(c StepColumns) bool { return i.Steps != nil && i.Steps.Columns&c == c }

// Validate returns every reason why i cannot be emulated, joined, or nil.
func (i Impairments) Validate() error { return i.validate(&Impairments{}, i.MeanRate()) }

// validate is Validate where what i shares with known has been found valid: a ramp
// does not look through a trace with each of its steps. The rate is the mean one.
func (i *Impairments) validate(known *Impairments, rate Rate) error {
	errs := []error{
		i.validateRate(known),
		i.validateDelay(),
		i.validateJitter(),
		probabilities(named{"loss", i.Loss}, named{"duplicate", i.Duplicate}, named{"corrupt", i.Corrupt},
			named{"reorder", i.Reorder.Probability}),
		i.validateLoss(known),
		i.Queue.validate(i.waits(), rate),
		i.Slot.validate(),
	}
	if i.MTU < 0 {
		errs = append(errs, fmt.Errorf("mtu %d is negative", i.MTU))
	}
	if i.TooBig >= endOfTooBig {
		errs = append(errs, fmt.Errorf("there is no way %d to treat packets that are too big", i.TooBig))
	}
	if i.TooBig != TooBigSilent && i.MTU == 0 {
		errs = append(errs, errors.New("a message that a packet is too big needs an mtu"))
	}
	return errors.Join(errs...)
}

// waits reports whether a packet may have to wait for another.
func (i Impairments) waits() bool {
	return i.Rate != 0 || i.Capacity != nil || i.stepped(StepRate) || i.Slot != (Slot{})
}

func (i *Impairments) validateRate(known *Impairments) error {
	var errs []error
	if i.Rate < 0 {
		errs = append(errs, fmt.Errorf("rate %d bit/s is negative", i.Rate))
	}
	given := 0
	for _, on := range []bool{i.Rate != 0, i.Capacity != nil, i.stepped(StepRate)} {
		if on {
			given++
		}
	}
	if given > 1 {
		errs = append(errs, errors.New("more than one of rate, capacity trace and steps of the rate"))
	}
	if i.Capacity != nil && i.Capacity != known.Capacity {
		errs = append(errs, i.Capacity.Validate())
	}
	if i.Steps != nil && i.Steps != known.Steps {
		errs = append(errs, i.Steps.Validate())
	}
	return errors.Join(errs...)
}

func (i Impairments) validateDelay() error {
	var errs []error
	if i.Delay < 0 {
		errs = append(errs, fmt.Errorf("delay %v is negative", i.Delay))
	}
	if i.Delay > MaxDelay {
		errs = append(errs, fmt.Errorf("delay %v is longer than %v", i.Delay, MaxDelay))
	}
	if i.Delay != 0 && i.stepped(StepDelay) {
		errs = append(errs, errors.New("both a delay and steps of the delay"))
	}
	if i.Reorder.Gap < 0 {
		errs = append(errs, fmt.Errorf("reorder gap %d is negative", i.Reorder.Gap))
	}
	if i.Reorder.Gap != 0 && i.Reorder.Probability == 0 {
		errs = append(errs, errors.New("a reorder gap needs a probability"))
	}
	if i.Reorder.Probability != 0 && i.Delay == 0 && !i.stepped(StepDelay) {
		errs = append(errs, errors.New("reordering needs a delay: without one no packet can go ahead of another"))
	}
	return errors.Join(errs...)
}

func (i *Impairments) validateLoss(known *Impairments) error {
	errs := []error{i.GilbertElliott.validate(), i.FourState.validate()}
	if i.GilbertElliott != (GilbertElliott{}) && i.FourState != (FourState{}) {
		errs = append(errs, errors.New("both gilbert-elliott and four-state loss"))
	}
	if i.Loss != 0 && i.stepped(StepLoss) {
		errs = append(errs, errors.New("both a loss and steps of the loss"))
	}
	if i.LoseEvery < 0 {
		errs = append(errs, fmt.Errorf("lose every %d: want a positive number", i.LoseEvery))
	}
	if i.LosePackets != nil && i.LosePackets != known.LosePackets {
		errs = append(errs, i.LosePackets.validate())
	}
	return errors.Join(errs...)
}
