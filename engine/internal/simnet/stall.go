package simnet

import (
	"fmt"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// Stall is why an event loop gave up.
type Stall uint8

// The stalls.
const (
	// Idle: nothing is under way and nobody has a deadline, but Run was not to stop.
	Idle Stall = iota + 1
	// Spinning: events go on and on at one instant. A handler asks for a timeout that
	// has come without ever moving it, or a link has neither rate nor delay.
	Spinning
	// Spent: the event budget is used up.
	Spent
)

// String returns the stall in words.
func (s Stall) String() string {
	switch s {
	case Idle:
		return "nothing is left to happen"
	case Spinning:
		return "time stands still"
	case Spent:
		return "the event budget is spent"
	}
	return "unknown"
}

// StallError is returned by Run when going on would come to nothing.
type StallError struct {
	Stall  Stall
	At     clock.Time
	Events uint64 // so far
	Held   int    // packets under way
	Waits  []Wait // in the order of the nodes
}

// Wait is what a node waits for.
type Wait struct {
	Node    string
	Timeout clock.Time // clock.Never: none
	For     string     // in the handler's own words; empty when it has none
}

// Waiter is a Handler that can say what it waits for.
type Waiter interface {
	Waiting() string
}

// Error says what happened, when, and what each node waits for.
func (e *StallError) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "simulation stalled: %s at %v after %d events, %d packets under way", e.Stall, e.At.Sub(epoch), e.Events, e.Held)
	for _, w := range e.Waits {
		fmt.Fprintf(&s, "; %s waits for ", w.Node)
		switch {
		case w.For != "" && w.Timeout != clock.Never:
			fmt.Fprintf(&s, "%s, until %v", w.For, w.Timeout.Sub(epoch))
		case w.For != "":
			s.WriteString(w.For)
		case w.Timeout != clock.Never:
			fmt.Fprintf(&s, "its timeout at %v", w.Timeout.Sub(epoch))
		default:
			s.WriteString("nothing")
		}
	}
	return s.String()
}

// Elapsed returns the virtual time at which the loop gave up, since its start.
func (e *StallError) Elapsed() time.Duration { return e.At.Sub(epoch) }

func (n *Network) stalled(s Stall) error {
	e := &StallError{Stall: s, At: n.now, Events: n.events, Held: n.UnderWay()}
	for _, node := range n.nodes {
		if node.handler == nil {
			continue
		}
		w := Wait{Node: node.name, Timeout: node.timeout()}
		if waiter, ok := node.handler.(Waiter); ok {
			w.For = waiter.Waiting()
		}
		e.Waits = append(e.Waits, w)
	}
	return e
}
