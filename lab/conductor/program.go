package conductor

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Turn says when something happens, as time after the start.
type Turn struct {
	At    time.Duration
	Every time.Duration // again and again after At; zero: once
	Times int           // how often in all, with Every; zero: without end
}

// Program goes through items that have their turns, in order of time; of two at one
// instant the one earlier in the list comes first. It holds no more than the items,
// however often they repeat. It is not safe for concurrent use.
type Program[T any] struct {
	items []programItem[T]
}

type programItem[T any] struct {
	what T
	turn Turn
	at   time.Duration // the next; math.MaxInt64: no more
	done int
}

// NewProgram returns a program at its start.
func NewProgram[T any](items []T, when func(T) Turn) *Program[T] {
	p := &Program[T]{items: make([]programItem[T], len(items))}
	for i, what := range items {
		turn := when(what)
		p.items[i] = programItem[T]{what: what, turn: turn, at: turn.At}
	}
	return p
}

// Next returns when the next item has its turn; false when none has any more.
func (p *Program[T]) Next() (time.Duration, bool) {
	at, _ := p.next()
	return at, at < math.MaxInt64
}

func (p *Program[T]) next() (at time.Duration, index int) {
	at = math.MaxInt64
	for i := range p.items {
		if p.items[i].at < at {
			at, index = p.items[i].at, i
		}
	}
	return at, index
}

// Take returns the next item and when its turn is, and goes on; false when nothing
// is left.
func (p *Program[T]) Take() (time.Duration, T, bool) {
	at, i := p.next()
	if at == math.MaxInt64 {
		var none T
		return 0, none, false
	}
	item := &p.items[i]
	item.done++
	item.at = math.MaxInt64
	t := item.turn
	if t.Every > 0 && (t.Times == 0 || item.done < t.Times) && at <= emulation.MaxTimeline {
		item.at = at + t.Every
	}
	return at, item.what, true
}

// ChangeTurn is when a change of a direction's timeline happens.
func ChangeTurn(c emulation.Change) Turn { return Turn{At: c.At, Every: c.Every, Times: c.Times} }
