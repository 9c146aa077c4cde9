package workload

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Exchange is one side's books over a bulk transfer: which streams there are, and
// what they came to. Request and Serve keep one of their own; an owner with its own
// clock, such as a simulation's, makes one and drives its Flows itself.
type Exchange struct {
	meter

	mu      sync.Mutex
	role    Role
	tables  map[uint64][]byte
	seen    map[[2]uint32]bool
	streams []*StreamReport
}

// NewExchange returns the books of a transfer of which nothing has happened. now is
// read when something does, in nanoseconds, above zero. p may be nil.
func NewExchange(now func() int64, p *Progress) *Exchange {
	if p == nil {
		p = new(Progress)
	}
	x := &Exchange{tables: map[uint64][]byte{}, seen: map[[2]uint32]bool{}}
	x.now, x.progress = now, p
	return x
}

// Place says which stream of a transfer one is.
type Place struct {
	Session, Stream int // Stream is within its session
}

// Dial returns the dialler's side of one stream of b over so many sessions, on which
// the dialler does what role says.
func (x *Exchange) Dial(b Bulk, role Role, sessions int, at Place) (*Flow, error) {
	r := b.request(role, sessions, at.Session, at.Stream)
	f := &Flow{books: x, dialler: true}
	if err := f.enter(r, role); err != nil {
		return nil, err
	}
	f.stage = flowData
	f.out = r.append(nil)
	f.head = len(f.out)
	return f, nil
}

// Serve returns the listener's side of a stream that the dialler opened: what is to
// be done on it the dialler's request will say.
func (x *Exchange) Serve() *Flow { return &Flow{books: x} }

// Report sums up, in session and stream order. err is what ended the transfer early.
func (x *Exchange) Report(err error) Report {
	x.mu.Lock()
	defer x.mu.Unlock()
	reports := make([]StreamReport, len(x.streams))
	for i, s := range x.streams {
		reports[i] = *s
	}
	slices.SortFunc(reports, func(a, b StreamReport) int {
		return (a.Session-b.Session)*maxStreams + a.Stream - b.Stream
	})
	return x.report(x.role, reports, err)
}

// enter puts the request's stream into the books and returns its report and pattern.
func (x *Exchange) enter(r request, role Role) (*StreamReport, pattern, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.role == 0 {
		x.role = role
	}
	id := [2]uint32{r.session, r.stream}
	if x.role != role || x.seen[id] {
		return nil, pattern{}, fmt.Errorf("request for stream %d of session %d contradicts an earlier one", r.stream, r.session)
	}
	x.seen[id] = true
	if x.tables[r.seed] == nil {
		if len(x.tables) > 0 {
			return nil, pattern{}, errors.New("requests of one transfer have different seeds")
		}
		x.tables[r.seed] = newTable(r.seed)
	}
	s := &StreamReport{Session: int(r.session), Stream: int(r.stream)}
	x.streams = append(x.streams, s)
	return s, pattern{table: x.tables[r.seed], seed: r.seed, stream: r.number()}, nil
}
