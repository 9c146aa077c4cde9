package emulation

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Discipline says which packet a queue drops, and when.
type Discipline uint8

// The disciplines. Head and CoDel drop packets that were accepted: see
// Direction.Discarded.
const (
	DropTail Discipline = iota // the arriving packet, when the queue is full
	DropHead                   // the oldest ones, when the queue is full
	CoDel                      // also what has waited too long (RFC 8289)
	endOfDisciplines
)

var disciplineNames = [endOfDisciplines]string{"drop-tail", "drop-head", "codel"}

// String returns the discipline as it stands in JSON.
func (d Discipline) String() string { return nameOf(disciplineNames[:], int(d)) }

// MarshalText writes the discipline's name.
func (d Discipline) MarshalText() ([]byte, error) { return textOf(disciplineNames[:], int(d), "queue") }

// UnmarshalText reads a name that MarshalText writes.
func (d *Discipline) UnmarshalText(text []byte) error {
	i, err := indexOf(disciplineNames[:], string(text), "queue")
	*d = Discipline(i)
	return err
}

// Limit is a filling level. At most one field is set; the zero value means none.
type Limit struct {
	Packets int           `json:"packets,omitempty"`
	Bytes   ByteCount     `json:"bytes,omitempty"`
	Time    time.Duration `json:"time_ns,omitempty"` // waiting time at the direction's rate
}

// Queue is the buffer in front of the serialiser. Of Packets, Bytes and Time at
// most one is set; none means no limit. A packet that would take the waiting
// packets past the limit makes the queue drop it or, with DropHead, the oldest.
// The packet in transmission does not count as waiting.
//
// Where the rate varies, Time is at its mean.
type Queue struct {
	Packets    int           `json:"packets,omitempty"`
	Bytes      ByteCount     `json:"bytes,omitempty"`
	Time       time.Duration `json:"time_ns,omitempty"` // waiting time at the direction's rate
	Discipline Discipline    `json:"discipline,omitempty"`
	// Target and Interval are CoDel's; zero means 5 ms and 100 ms (RFC 8289,
	// sections 4.3 and 4.4).
	Target   time.Duration `json:"target_ns,omitempty"`
	Interval time.Duration `json:"interval_ns,omitempty"`
	ECN      bool          `json:"ecn,omitempty"` // CoDel marks the packets that are capable of it, and drops the others
	// Mark is the level past which an arriving packet that is capable of ECN gets
	// the mark CE, as with the kernel's ce_threshold: others pass unharmed.
	Mark Limit `json:"mark,omitzero"`
}

// The defaults of CoDel (RFC 8289, sections 4.3 and 4.4).
const (
	codelTarget   = 5 * time.Millisecond
	codelInterval = 100 * time.Millisecond
)

func (q Queue) limit() Limit { return Limit{q.Packets, q.Bytes, q.Time} }

// validate returns what is wrong with the queue; waits says whether a packet ever
// waits in it and rate the mean rate, 0 for none.
func (q Queue) validate(waits bool, rate Rate) error {
	errs := []error{
		q.limit().validate("queue", rate),
		q.Mark.validate("queue mark", rate),
	}
	if q.Discipline >= endOfDisciplines {
		errs = append(errs, fmt.Errorf("queue has no discipline %d", q.Discipline))
	}
	if q != (Queue{}) && !waits {
		errs = append(errs, errors.New("a queue needs a rate: without one no packet ever waits"))
	}
	if q.Discipline == DropHead && q.limit() == (Limit{}) {
		errs = append(errs, errors.New("a drop-head queue needs a limit: without one it never drops"))
	}
	if q.Discipline != CoDel && (q.Target != 0 || q.Interval != 0 || q.ECN) {
		errs = append(errs, fmt.Errorf("queue target, interval and ecn are CoDel's, not those of %v", q.Discipline))
	}
	if q.Target < 0 || q.Interval < 0 || q.Target > MaxDelay || q.Interval > MaxDelay {
		errs = append(errs, fmt.Errorf("queue target %v and interval %v must lie within 0 and %v", q.Target, q.Interval, MaxDelay))
	}
	return errors.Join(errs...)
}

// in returns the limit in packets and in bytes, at a rate for what is in time.
func (l Limit) in(rate Rate) (packets int, bytes ByteCount) {
	packets, bytes = math.MaxInt, math.MaxInt64
	switch {
	case l.Packets > 0:
		packets = l.Packets
	case l.Bytes > 0:
		bytes = l.Bytes
	case l.Time > 0:
		bytes = bytesIn(l.Time, rate)
	}
	return packets, bytes
}

func (l Limit) validate(name string, rate Rate) error {
	var errs []error
	set := 0
	for _, on := range []bool{l.Packets != 0, l.Bytes != 0, l.Time != 0} {
		if on {
			set++
		}
	}
	if set > 1 {
		errs = append(errs, fmt.Errorf("%s has more than one of packets, bytes and time", name))
	}
	if l.Packets < 0 || l.Bytes < 0 || l.Time < 0 {
		errs = append(errs, fmt.Errorf("%s is negative", name))
	}
	if l.Time > 0 && rate == 0 {
		errs = append(errs, fmt.Errorf("%s in time needs a rate", name))
	}
	return errors.Join(errs...)
}
