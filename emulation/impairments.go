package emulation

import (
	"errors"
	"fmt"
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

// Queue is the limit of the buffer in front of the serialiser. At most one
// field is set; the zero value means no limit. A packet that would take the
// waiting packets past the limit is dropped on arrival (drop-tail). The packet
// in transmission does not count as waiting.
type Queue struct {
	Packets int           `json:"packets,omitempty"`
	Bytes   ByteCount     `json:"bytes,omitempty"`
	Time    time.Duration `json:"time_ns,omitempty"` // waiting time at the direction's rate
}

// Impairments is what one direction of a link does to packets. The zero value
// does nothing: a link whose two directions are zero needs no wire.
type Impairments struct {
	Rate   Rate          `json:"rate_bps,omitempty"`
	Delay  time.Duration `json:"delay_ns,omitempty"`  // one way, after the serialiser
	Jitter time.Duration `json:"jitter_ns,omitempty"` // uniform in [Delay-Jitter, Delay+Jitter], never reorders
	Loss   float64       `json:"loss,omitempty"`      // probability in [0, 1], independent per packet
	Queue  Queue         `json:"queue,omitzero"`
	MTU    int           `json:"mtu,omitempty"` // largest IP packet that passes, bytes; 0 means any
}

// MaxDelay keeps delays far from where nanoseconds overflow; a longer one is a
// slip of the unit.
const MaxDelay = time.Hour

// IsZero reports whether i leaves every packet alone.
func (i Impairments) IsZero() bool { return i == Impairments{} }

// Validate returns every reason why i cannot be emulated, joined, or nil.
func (i Impairments) Validate() error {
	var errs []error
	if i.Rate < 0 {
		errs = append(errs, fmt.Errorf("rate %d bit/s is negative", i.Rate))
	}
	if i.Delay < 0 {
		errs = append(errs, fmt.Errorf("delay %v is negative", i.Delay))
	}
	if i.Delay > MaxDelay {
		errs = append(errs, fmt.Errorf("delay %v is longer than %v", i.Delay, MaxDelay))
	}
	if i.Jitter < 0 {
		errs = append(errs, fmt.Errorf("jitter %v is negative", i.Jitter))
	}
	if i.Jitter > i.Delay {
		errs = append(errs, fmt.Errorf("jitter %v exceeds the delay %v", i.Jitter, i.Delay))
	}
	if !(i.Loss >= 0 && i.Loss <= 1) {
		errs = append(errs, fmt.Errorf("loss %v is not a probability", i.Loss))
	}
	set := 0
	for _, on := range []bool{i.Queue.Packets != 0, i.Queue.Bytes != 0, i.Queue.Time != 0} {
		if on {
			set++
		}
	}
	if set > 1 {
		errs = append(errs, errors.New("queue has more than one of packets, bytes and time"))
	}
	if i.Queue.Packets < 0 || i.Queue.Bytes < 0 || i.Queue.Time < 0 {
		errs = append(errs, errors.New("queue is negative"))
	}
	if set > 0 && i.Rate == 0 {
		errs = append(errs, errors.New("a queue needs a rate: without one no packet ever waits"))
	}
	if i.MTU < 0 {
		errs = append(errs, fmt.Errorf("mtu %d is negative", i.MTU))
	}
	return errors.Join(errs...)
}
