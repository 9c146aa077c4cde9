package workload

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// PacedExchange is one side's books over a paced exchange: its streams, its start, and
// what was delivered when. Paced.Request and ServePaced keep one of their own; an owner
// with its own clock, such as a simulation's, makes one and drives its PacedFlows
// itself. Safe for concurrent use, as are its flows.
type PacedExchange struct {
	meter

	mu      sync.Mutex
	plan    pacedRequest // the first one's, which all share but for their place
	role    Role
	table   []byte
	flows   []*PacedFlow // those that know their request
	seen    map[int64]bool
	started bool
	start   int64
	ended   int64 // when nobody waited any more; 0: not yet

	delivered, late int64
	gapFrom, gap    int64
	latency         latencies
}

// NewPacedExchange returns the books of an exchange of which nothing has happened. now
// is read when something does, in nanoseconds, above zero, the same clock on both
// sides. p may be nil.
func NewPacedExchange(now func() int64, p *Progress) *PacedExchange {
	if p == nil {
		p = new(Progress)
	}
	x := &PacedExchange{seen: map[int64]bool{}, latency: newLatencies()}
	x.now, x.progress = now, p
	return x
}

// Dial returns the dialler's side of one stream of w over so many sessions, on which
// the dialler does what role says. Start lets them go.
func (x *PacedExchange) Dial(w Paced, role Role, sessions int, at Place) (*PacedFlow, error) {
	r := pacedRequest{Paced: w, role: role, session: uint32(at.Session), stream: uint32(at.Stream), sessions: uint32(sessions)}
	f := &PacedFlow{books: x, dialler: true, wake: make(chan struct{}, 1)}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := f.enter(r, role); err != nil {
		return nil, err
	}
	f.stage = flowData
	f.head = r.append(nil)
	return f, nil
}

// Serve returns the listener's side of a stream that the dialler opened.
func (x *PacedExchange) Serve() *PacedFlow {
	return &PacedFlow{books: x, wake: make(chan struct{}, 1)}
}

// Start is the dialler's: every stream is open, the clock starts. A listener's starts
// once the requests of all streams are in.
func (x *PacedExchange) Start() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.begin()
}

// begin starts the clock. x.mu is held.
func (x *PacedExchange) begin() {
	if x.started {
		return
	}
	x.started = true
	x.start = x.meter.begin()
	x.gapFrom = x.start
	for _, f := range x.flows {
		f.rouse()
	}
}

// enter takes a request up. x.mu is held.
func (x *PacedExchange) enter(f *PacedFlow, r pacedRequest, role Role) error {
	if len(x.flows) == 0 {
		x.plan, x.role, x.table = r, role, newTable(r.Seed)
	}
	if r.Paced != x.plan.Paced || r.sessions != x.plan.sessions || role != x.role {
		return fmt.Errorf("request for stream %d of session %d contradicts an earlier one", r.stream, r.session)
	}
	if x.seen[r.number()] {
		return fmt.Errorf("request for stream %d of session %d came twice", r.stream, r.session)
	}
	x.seen[r.number()] = true
	x.flows = append(x.flows, f)
	if !f.dialler && int64(len(x.flows)) == r.all() {
		x.begin()
	}
	return nil
}

// deliver counts a message that is there whole. x.mu is held.
func (x *PacedExchange) deliver(due int64) {
	now := x.now()
	x.delivered++
	x.latency.add(now - due)
	if x.plan.Kind == CBR && now-due > int64(x.plan.Deadline) {
		x.late++
	}
	if x.started { // a message may overtake the request of another stream
		x.gap = max(x.gap, now-x.gapFrom)
	}
	x.gapFrom = now
}

// Overdue returns when this side stops to wait for what is missing, once the exchange
// has started. The sender waits longer: what its peer still takes must not be cut off.
func (x *PacedExchange) Overdue() (at int64, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at = x.start + int64(x.plan.Duration+x.plan.Drain)
	if x.role == Send {
		at += int64(senderGrace)
	}
	return at, x.started
}

const senderGrace = 2 * time.Second

// GiveUp says that nobody waits any more. What is missing is lost.
func (x *PacedExchange) GiveUp() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended == 0 {
		x.ended = x.now()
	}
}

// cut reports whether a stream that broke now only says that the peer waits no longer:
// this side has sent, or should have, all there was.
func (x *PacedExchange) cut() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ended != 0 || x.role == Send && x.started && x.now() >= x.start+int64(x.plan.Duration)
}

// Report sums up, in session and stream order. err is what ended the exchange early.
func (x *PacedExchange) Report(err error) Report {
	x.mu.Lock()
	defer x.mu.Unlock()
	flows := slices.Clone(x.flows)
	slices.SortFunc(flows, func(a, b *PacedFlow) int { return int(a.request.number() - b.request.number()) })
	var streams []StreamReport
	for _, f := range flows {
		s := f.report
		if x.ended != 0 && x.role == Receive {
			s.Intact = s.Reason == "" // what came was right
		}
		streams = append(streams, s)
	}
	r := x.report(x.role, streams, err)
	if x.role != Receive || len(flows) == 0 {
		return r
	}
	p, err := x.pacedReport()
	if err != nil {
		r.Intact, r.Reason, r.Error = false, err.Error(), err.Error()
	}
	r.Paced = &p
	return r
}

func (x *PacedExchange) pacedReport() (PacedReport, error) {
	p := PacedReport{Kind: x.plan.Kind, Messages: x.plan.Count, Delivered: x.delivered, Late: x.late, MaxGap: time.Duration(x.gap)}
	if x.started && x.delivered < p.Messages {
		now := x.ended
		if now == 0 {
			now = x.now()
		}
		p.MaxGap = max(p.MaxGap, time.Duration(now-x.gapFrom))
		if x.plan.Kind == RPC {
			x.addUnanswered(now)
		}
	}
	var err error
	p.Latency, err = x.latency.summary()
	return p, err
}

// addUnanswered takes the requests up that wait in vain, so that the percentiles are
// no better for them. It is called once, at the end: the report is the last.
func (x *PacedExchange) addUnanswered(now int64) {
	for _, f := range x.flows {
		for k := f.got; k < f.request.messages(); k++ {
			if waited := now - x.start - x.plan.due(f.request.index(k)); waited > 0 {
				x.latency.add(waited)
			}
		}
	}
}

var errOverdue = errors.New("nobody waits any more")
