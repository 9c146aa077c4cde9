package sim

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/workload"
)

// traffic is one host's books over the workload.
type traffic interface {
	// dial and serve return the flow of a stream that this host, or the other, opened.
	dial(role workload.Role, sessions int, at workload.Place) (streamFlow, error)
	serve() streamFlow
	// start says that every stream of the dialler is open.
	start()
	report(err error) workload.Report
}

// streamFlow is a workload's part of one stream: a *workload.Flow or a
// *workload.PacedFlow.
type streamFlow interface {
	Pending() []byte
	Wrote(n int)
	Read(data []byte) error
	End() error
	Ending() bool
	Done() bool
	Waiting() string
}

// traffic returns a host's books.
func (r *run) traffic(now func() int64, p *workload.Progress) traffic {
	if r.Paced != nil {
		return &pacedTraffic{workload.NewPacedExchange(now, p), *r.Paced}
	}
	return &bulkTraffic{workload.NewExchange(now, p), r.Bulk}
}

type bulkTraffic struct {
	*workload.Exchange
	plan workload.Bulk
}

func (t *bulkTraffic) dial(role workload.Role, sessions int, at workload.Place) (streamFlow, error) {
	f, err := t.Dial(t.plan, role, sessions, at)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (t *bulkTraffic) serve() streamFlow                { return t.Serve() }
func (t *bulkTraffic) start()                           {}
func (t *bulkTraffic) report(err error) workload.Report { return t.Report(err) }

type pacedTraffic struct {
	*workload.PacedExchange
	plan workload.Paced
}

func (t *pacedTraffic) dial(role workload.Role, sessions int, at workload.Place) (streamFlow, error) {
	f, err := t.Dial(t.plan, role, sessions, at)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (t *pacedTraffic) serve() streamFlow                { return t.Serve() }
func (t *pacedTraffic) start()                           { t.Start() }
func (t *pacedTraffic) report(err error) workload.Report { return t.Report(err) }

// clocked is the part of a host that goes by the clock; the zero value does nothing.
type clocked struct {
	after   func(time.Duration, func()) // calls back in virtual time
	now     func() int64
	paced   *workload.PacedExchange
	started bool
	over    bool // nobody waits for what is missing
}

// watch starts all flows once the exchange has, and gives up in time.
func (b *bulk) watch() {
	c := &b.clocked
	if c.paced == nil || c.started {
		return
	}
	at, ok := c.paced.Overdue()
	if !ok {
		return
	}
	c.started = true
	c.after(time.Duration(at-c.now()), func() {
		if !b.finished() {
			c.paced.GiveUp()
			c.over = true
		}
	})
	for _, f := range b.flows {
		b.write(f.stream)
	}
}

// wait plans the next look at a flow that has something to write later.
func (b *bulk) wait(f *flow) {
	p, ok := f.streamFlow.(*workload.PacedFlow)
	if !ok || f.waiting {
		return
	}
	at, ok := p.Due()
	if !ok {
		return
	}
	f.waiting = true
	b.clocked.after(time.Duration(at-b.clocked.now()), func() {
		f.waiting = false
		if b.err == nil {
			b.write(f.stream)
		}
	})
}
