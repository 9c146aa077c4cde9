package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// run is the state of one call of Run.
type run struct {
	Config
	lab   *Lab
	sides [2]party      // by Side
	clock time.Duration // when the links' clock started
	began time.Duration
	start []LinkCounters // when the transfer began
}

// Run simulates one transfer. The error says that it could not be simulated or did
// not come to its end; the Report says how far it came. A transfer that ended but is
// not intact is no error: see Report.Err. An error wraps engine.ErrUnsupported when
// the transfer is none for a simulation.
func Run(ctx context.Context, c Config) (report Report, err error) {
	if err := c.Validate(); err != nil {
		return Report{}, err
	}
	if c.Connections == 0 {
		c.Connections = 1
	}
	if c.SetUp == 0 {
		c.SetUp = defaultSetUp
	}
	r := &run{Config: c}
	if err := r.build(); err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, r.lab.Close()) }()
	if err := r.connect(ctx); err != nil {
		return r.report(err), err
	}
	err = r.transfer(ctx)
	return r.report(err), err
}

// build makes the lab.
func (r *run) build() error {
	for side := range r.sides {
		r.sides[side] = r.party(Side(side))
	}
	var err error
	r.lab, err = NewLab(LabConfig{
		Links: r.Links, Trunks: r.Trunks, Seed: r.Seed, Congestion: r.Congestion, Streams: r.streams(),
		Paths: r.paths(), Scheduler: r.Scheduler, NoReinject: r.NoReinject, AskAcks: r.AskAcks,
		KeepAlive: r.KeepAlive, QLOG: r.QLOG, Dropped: r.Dropped,
	}, r.sides[Client], r.sides[Server])
	if err == nil {
		r.lab.network.OnStart(func() { r.clock = r.lab.Elapsed() })
	}
	return err
}

// streams is how many streams each connection has.
func (c Config) streams() int {
	switch {
	case c.Paced != nil:
		return c.Paced.Streams
	case c.Handshake != nil:
		return 1
	}
	return c.Bulk.Streams
}

// connect opens the connections. Like a real trial's, they are open on both sides
// before the transfer begins.
func (r *run) connect(ctx context.Context) error {
	for range r.Connections {
		if _, err := r.dial(); err != nil {
			return err
		}
	}
	open := func() bool {
		return len(r.sides[Client].sessions()) == r.Connections && len(r.sides[Server].sessions()) == r.Connections
	}
	if err := r.lab.Run(ctx, r.SetUp, func() bool { return open() || r.failed() != nil }); err != nil {
		return err
	}
	if err := r.failed(); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	if !open() {
		return fmt.Errorf("set-up not over after %v", r.SetUp)
	}
	return nil
}

// dial begins to open a connection over all links.
func (r *run) dial() (*Conn, error) {
	var links []string
	for _, l := range r.Links {
		links = append(links, l.Name)
	}
	return r.lab.Client.Dial(links...)
}

// transfer moves the data.
func (r *run) transfer(ctx context.Context) error {
	r.began = r.lab.Elapsed()
	r.start = r.lab.counters()
	until := time.Duration(0)
	if r.Bound > 0 {
		until = r.began + r.Bound
	}
	r.sides[Server].begin()
	r.sides[Client].begin()
	if r.Sample != nil {
		r.lab.At(r.began+sampleEvery, r.sample)
	}
	both := func() bool { return r.sides[Client].finished() && r.sides[Server].finished() }
	if err := r.lab.Run(ctx, until, func() bool { return both() || r.failed() != nil }); err != nil {
		return err
	}
	if err := r.failed(); err != nil {
		return err
	}
	if !both() {
		return fmt.Errorf("transfer not over after %v", r.Bound)
	}
	return nil
}

// failed returns what ended the transfer early, or nil.
func (r *run) failed() error {
	return errors.Join(r.sides[Client].failure(), r.sides[Server].failure())
}

// sample tells how far the transfer is, and plans the next time.
func (r *run) sample() {
	s := Sample{At: r.lab.Elapsed() - r.began, Received: r.receiver().bytes(), Links: r.moved(), Stats: r.stats()}
	r.Sample(s)
	r.lab.At(r.lab.Elapsed()+sampleEvery, r.sample)
}

func (r *run) sender() party   { return r.sides[r.Sender] }
func (r *run) receiver() party { return r.sides[1-r.Sender] }

// moved returns what the links did since the transfer began.
func (r *run) moved() []LinkCounters {
	all := r.lab.counters()
	for i := range r.start {
		all[i] = all[i].since(r.start[i])
	}
	return all
}

// report sums up. err is what ended the transfer early.
func (r *run) report(err error) Report {
	out := Report{
		Sender: r.sender().report(err), Receiver: r.receiver().report(err),
		SetUp: r.lab.Elapsed(), Events: r.lab.Events(),
	}
	if r.start != nil {
		out.Links, out.SetUp, out.Elapsed = r.moved(), r.began, r.lab.Elapsed()-r.began
		out.BeganNS, out.Clock = int64(r.lab.epoch.Add(r.began)), r.clock-r.began
	}
	out.Stats = r.stats()
	return out
}

// stats returns what the sender's connections say of themselves.
func (r *run) stats() []engine.Stats {
	var all []engine.Stats
	for _, c := range r.sender().sessions() {
		all = append(all, c.Stats())
	}
	return all
}
