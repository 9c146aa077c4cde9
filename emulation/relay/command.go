package relay

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	// orderLead is how far ahead the instant of a command lies, for the forwarders to
	// know of it before.
	orderLead = time.Millisecond
	// orderTries bounds how often a command is planned anew because its instant had come
	// before every forwarder knew.
	orderTries = 10
	// orderPatience bounds how long a forwarder may take to carry out an order.
	orderPatience = 5 * time.Second

	// The clock starts at most so long ago, and so far ahead.
	maxStartAge  = 10 * time.Second
	maxStartLead = 24 * time.Hour
)

// Setting is a change to a link that is in force until the timeline sets the same
// fields, or the clock is armed anew.
type Setting struct {
	Link  string          `json:"link"`
	Way   string          `json:"way,omitempty"` // up or down; empty: both
	Patch emulation.Patch `json:"patch"`
}

// ways returns the directions that s names.
func (s Setting) ways() ([]int, error) {
	switch s.Way {
	case "":
		return []int{0, 1}, nil
	case directionNames[0]:
		return []int{0}, nil
	case directionNames[1]:
		return []int{1}, nil
	}
	return nil, fmt.Errorf("link %s: way %q is unknown: want up, down or nothing for both", s.Link, s.Way)
}

// lanes of a relay are numbered: wire by wire, up before down.
func (r *relay) forwarder(lane int) *forwarder { return r.wires[lane/2].directions[lane%2] }

func (r *relay) name(lane int) string {
	return "link " + r.wires[lane/2].link + " " + directionNames[lane%2]
}

// set carries out the settings, all at one instant, or none of them.
func (r *relay) set(settings []Setting) error {
	patches, err := r.patches(settings)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	orders := map[int]*order{}
	for lane, p := range patches {
		if r.forwarder(lane).hasEnded() {
			return fmt.Errorf("%s: its interface is gone", r.name(lane))
		}
		orders[lane] = &order{patch: p, done: make(chan error, 1)}
	}
	before := map[int]*mirror{} // the change
	at, err := r.command(orders, func(at emulation.Time) error {
		var errs []error
		for lane, p := range patches {
			m := r.mirrors[lane].clone()
			m.playTo(at)
			if err := m.check(p); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.name(lane), err))
			}
			before[lane] = m
		}
		return errors.Join(errs...)
	})
	if at == never {
		return err // nobody has done anything
	}
	for lane, p := range patches {
		before[lane].patch(at, p)
		r.mirrors[lane] = before[lane]
	}
	return err
}

// patches returns what the settings do to each lane.
func (r *relay) patches(settings []Setting) (map[int]emulation.Patch, error) {
	patches := map[int]emulation.Patch{}
	var errs []error
	for _, s := range settings {
		link := r.find(s.Link)
		ways, err := s.ways()
		switch {
		case link < 0:
			errs = append(errs, fmt.Errorf("link %q has no wire here", s.Link))
		case err != nil:
			errs = append(errs, err)
		case s.Patch.IsZero() || s.Patch.Fields&^emulation.AllFields != 0:
			errs = append(errs, fmt.Errorf("link %s: the change changes nothing", s.Link))
		default:
			for _, way := range ways {
				lane := 2*link + way
				patches[lane] = patches[lane].And(s.Patch)
			}
		}
	}
	if len(settings) == 0 {
		errs = append(errs, errors.New("no change"))
	}
	return patches, errors.Join(errs...)
}

// find returns the index of a link's wire, or -1.
func (r *relay) find(link string) int {
	for i, w := range r.wires {
		if w.link == link {
			return i
		}
	}
	return -1
}

// arm makes every direction begin anew: with the spec's impairments, a fresh model
// seeded from seed, and the clock not started.
func (r *relay) arm(seed uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	// What "up" waits for has come: the next packet starts the clock, or a client.
	start := newStart(r.startKind != StartManual)
	orders := map[int]*order{}
	for lane := range r.mirrors {
		f := r.forwarder(lane)
		if f.hasEnded() {
			continue
		}
		if f.read().older > maxOlder {
			return fmt.Errorf("%s: packets of %d earlier rounds are still held: wait until they have left", r.name(lane), maxOlder)
		}
		c, err := r.wires[lane/2].newCourse(lane%2, seed, start)
		if err != nil {
			return err
		}
		orders[lane] = &order{arm: c, done: make(chan error, 1)}
	}
	at, err := r.command(orders, func(emulation.Time) error { return nil })
	if at == never {
		return err
	}
	for lane := range r.mirrors {
		r.mirrors[lane] = newMirror(r.wires[lane/2].spec, lane%2, start)
	}
	close(r.start.Swap(start).over)
	r.watch(start)
	return err
}

// command has the forwarders carry out their orders at one instant, which it returns:
// never when none of them will. ready is asked whether they can be, at a time; it may
// be asked more than once. It waits until all have done it.
func (r *relay) command(orders map[int]*order, ready func(at emulation.Time) error) (emulation.Time, error) {
	instant := &atomic.Int64{}
	instant.Store(int64(never))
	for lane, o := range orders {
		o.instant = instant
		if !r.forwarder(lane).model.orders.CompareAndSwap(nil, o) {
			r.withdraw(orders)
			return never, fmt.Errorf("%s: it has yet to carry out an earlier change: try again", r.name(lane))
		}
	}
	lead := orderLead
	for range orderTries {
		at := r.clock.now().Add(lead)
		if err := ready(at); err != nil {
			r.withdraw(orders)
			return never, err
		}
		if r.clock.now() < at.Add(-orderLead/2) {
			instant.Store(int64(at)) // for all at once
			return at, r.await(orders)
		}
		lead *= 2
	}
	r.withdraw(orders)
	return never, errors.New("this machine is too busy to check a change in time: try again")
}

// withdraw takes back orders whose instant has not been decided.
func (r *relay) withdraw(orders map[int]*order) {
	for lane, o := range orders {
		r.forwarder(lane).model.orders.CompareAndSwap(o, nil)
	}
}

// await waits until the orders have been carried out. One that is not stays with its
// forwarder.
func (r *relay) await(orders map[int]*order) error {
	for lane := range orders {
		r.forwarder(lane).wake()
	}
	var errs []error
	late := time.After(orderPatience)
	for lane, o := range orders {
		select {
		case err := <-o.done:
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.name(lane), err))
			}
		case <-r.forwarder(lane).ended: // with its interface
		case <-late:
			return fmt.Errorf("%s: its thread has not done it within %v, and will when it can", r.name(lane), orderPatience)
		}
	}
	return errors.Join(errs...)
}

// begin starts the clock at a time, or now when that is 0.
func (r *relay) begin(at emulation.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.now()
	if at == 0 {
		at = now
	}
	if at < now.Add(-maxStartAge) || at > now.Add(maxStartLead) {
		return fmt.Errorf("start at %d ns: want a time on CLOCK_MONOTONIC from %v ago to %v ahead", at, maxStartAge, maxStartLead)
	}
	s := r.start.Load()
	if !s.set(at) {
		at, _ := s.at()
		return fmt.Errorf("the clock runs since %d ns: arm it to start anew", at)
	}
	return nil
}

// watch tells the forwarders when the clock starts, so that they wake up for their
// timelines.
func (r *relay) watch(s *start) {
	r.watching.Go(func() {
		select {
		case <-s.known:
			for lane := range r.mirrors {
				r.forwarder(lane).wake()
			}
		case <-s.over:
		case <-r.closing:
		}
	})
}
