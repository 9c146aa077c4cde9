package runner

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/results"
)

// agents are a trial's two children.
type agents struct {
	dialler, listener *agent.Process
}

// close ends both and returns when they are gone.
func (a *agents) close() error {
	var errs [2]error
	var both sync.WaitGroup
	for i, p := range []*agent.Process{a.dialler, a.listener} {
		if p != nil {
			both.Go(func() { errs[i] = p.Close() })
		}
	}
	both.Wait()
	return errors.Join(errs[:]...)
}

// trial runs one arm once. What goes wrong with it is in the Trial; the error is
// for what ends the run: the folder cannot be written, or an agent cannot be
// ended.
func (r *field) trial(ctx context.Context, p planned) (results.Trial, error) {
	series, err := r.Folder.Series(p.name())
	if err != nil {
		return results.Trial{}, err
	}
	m := measurement{planned: p, from: r.Experiment.From, to: r.Experiment.To, workload: r.Experiment.Workload}
	taken, err := r.startCapture(p)
	if err != nil {
		return results.Trial{}, errors.Join(err, series.Close())
	}
	dropped, err := r.followDrops(ctx, p)
	if err != nil {
		return results.Trial{}, errors.Join(err, series.Close(), r.endCapture(p, taken))
	}
	var pair agents
	m.failure = r.setUp(ctx, &m, taken.keyLog, &pair)
	var seriesErr error
	if m.failure == nil {
		seriesErr = r.transfer(ctx, &m, pair, series)
	}
	closeErr := pair.close()
	m.changes.stop()
	r.warnings = append(r.warnings, unlikeAsked(m.label(), p.arm.chosen, slices.Concat(m.sender.Stats, m.receiver.Stats))...)
	captureErr := r.endCapture(p, taken) // behind the agents: they write the secrets, and close
	return m.trial(), errors.Join(seriesErr, series.Close(), closeErr, captureErr, dropped.stop())
}

// setUp takes the agents as far as open sessions, without root where asked.
func (r *field) setUp(ctx context.Context, m *measurement, keyLog string, pair *agents) error {
	p := m.planned
	ctx, cancel := context.WithTimeoutCause(ctx, r.Patience, fmt.Errorf("set-up not over after %v", r.Patience))
	defer cancel()
	if err := r.usePaths(p.arm.paths...); err != nil {
		return err
	}
	qlog, err := r.qlogFolder(p)
	if err != nil {
		return err
	}
	if err := r.startAgents(ctx, pair); err != nil {
		return err
	}
	// Only now: the first packet of the handshake may start the clock.
	if m.changes, err = r.armClock(ctx, p); err != nil {
		return err
	}
	if err := r.connect(ctx, p.arm, traces{qlog, keyLog}, pair); err != nil {
		return err
	}
	if r.Drop == nil || needsRoot(r.Experiment.Workload) {
		return nil
	}
	return errors.Join(pair.dialler.Drop(ctx, *r.Drop), pair.listener.Drop(ctx, *r.Drop))
}

// startAgents starts both children at the same time.
func (r *field) startAgents(ctx context.Context, pair *agents) error {
	start := func(node string) (*agent.Process, error) {
		return agent.Start(ctx, node, r.Agent(), func(cmd *exec.Cmd) error { return r.Lab.Start(node, cmd) })
	}
	var errs [2]error
	var both sync.WaitGroup
	both.Go(func() { pair.dialler, errs[0] = start(r.dialler) })
	both.Go(func() { pair.listener, errs[1] = start(r.listener) })
	both.Wait()
	return errors.Join(errs[:]...)
}

// traces is where the agents write beside their answers: a folder of qlog files and
// a file of TLS secrets. Empty means that they do not.
type traces struct {
	qlog, keyLog string
}

// connect opens the sessions. Accepting and dialling run together, because an
// engine may need both to finish a handshake; the first to fail ends the other,
// and is the reason.
func (r *field) connect(ctx context.Context, a arm, to traces, pair *agents) error {
	listening, err := pair.listener.Listen(ctx, agent.Listen{
		Engine: a.Engine, Paths: paths(a, r.listener), Congestion: a.chosen.congestion, Scheduler: a.chosen.scheduler, QLOG: to.qlog, KeyLog: to.keyLog,
	})
	if err != nil {
		return err
	}
	remote := paths(a, r.dialler)
	if len(listening.Paths) != len(remote) {
		return fmt.Errorf("%s listens on %d paths, not on %d", a.Engine, len(listening.Paths), len(remote))
	}
	for i := range remote {
		remote[i].Remote = listening.Paths[i].Local
	}
	n := a.Connections
	return together(ctx,
		func(ctx context.Context) error {
			return pair.dialler.Dial(ctx, agent.Dial{
				Engine: a.Engine, Paths: remote, Congestion: a.chosen.congestion, Scheduler: a.chosen.scheduler, QLOG: to.qlog,
				KeyLog: to.keyLog, Certificate: listening.Certificate, Sessions: n, Streams: a.Streams,
			})
		},
		func(ctx context.Context) error { return pair.listener.Accept(ctx, n) })
}

// paths returns the node's ends of the arm's paths, any port. Those of a listener may
// share an address.
func paths(a arm, node string) []engine.Path {
	var ps []engine.Path
	for _, p := range a.paths {
		local := p.Remote
		if node == p.Nodes[0] {
			local = p.Local
		}
		ps = append(ps, engine.Path{Link: p.Name, Local: netip.AddrPortFrom(local, 0)})
	}
	return ps
}

// farewell is how long one side may go on after the other failed: its own view
// of the failure may come a moment later.
const farewell = 2 * time.Second

// errOtherSide marks errors that only say that the other side failed.
var errOtherSide = errors.New("the other side failed")

// together runs the functions at the same time and returns their errors joined,
// in the order in which they came: the first is most likely the reason. Those
// that still run a farewell after it are ended, and say nothing of their own.
func together(ctx context.Context, fs ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	failed := make(chan error, len(fs))
	var all sync.WaitGroup
	for _, f := range fs {
		all.Go(func() {
			if err := f(ctx); err != nil {
				failed <- err
				time.AfterFunc(farewell, func() { cancel(errOtherSide) })
			}
		})
	}
	all.Wait()
	close(failed)
	var errs []error
	for err := range failed {
		if !errors.Is(err, errOtherSide) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// transfer moves the data, with all counters read before and after it. The error
// is about the series; what goes wrong with the transfer is in m.
func (r *field) transfer(ctx context.Context, m *measurement, pair agents, series *results.Series) error {
	var received atomic.Int64
	var said pathReports
	var sampled samples
	sink := func(s sampler.Sample) {
		sampled.add(series, s, received.Load())
		sampled.addPaths(series, s.At, said.take())
		sampled.addWires(ctx, r.Lab, series, m.wiresStart, s.At)
		now := r.progressAt(m.planned, s, received.Load())
		now.Changes = m.changes.take()
		sampled.addChanges(series, now.Changes)
		r.Progress(now)
	}
	var err error
	if m.stealStart, err = r.Steal(); err != nil {
		m.failure = err
		return nil
	}
	if m.wiresStart, err = r.Lab.Wires(ctx); err != nil {
		m.failure = fmt.Errorf("read the wires' counters: %w", err)
		return nil
	}
	m.began = journal.Now()
	m.changes.begin(m.began)
	s, err := sampler.Start(r.counters, sink)
	if err != nil {
		m.failure = err
		return nil
	}
	if err := r.startClock(ctx); err != nil {
		_, stopErr := s.Stop()
		m.failure = errors.Join(err, stopErr)
		return nil
	}
	m.failure = r.exchange(ctx, m, pair, &received, &said)
	m.received = received.Load()
	m.changes.stop() // the last sample has all
	m.totals, err = s.Stop()
	m.failure = errors.Join(m.failure, err)
	r.readAfter(ctx, m)
	return sampled.err
}

// readAfter takes the counters after a transfer, for as long as ctx lets it.
func (r *field) readAfter(ctx context.Context, m *measurement) {
	ctx, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	wires, err := r.Lab.Wires(ctx)
	if err != nil {
		m.failure = errors.Join(m.failure, fmt.Errorf("read the wires' counters: %w", err))
	} else {
		m.wires = wiresSince(m.wiresStart, wires)
	}
	stealEnd, err := r.Steal()
	if err != nil {
		m.failure = errors.Join(m.failure, err)
	}
	m.stolen = max(stealEnd-m.stealStart, 0)
}

// bulk runs the transfer on both sides.
func (r *field) bulk(ctx context.Context, m *measurement, pair agents, received *atomic.Int64, said *pathReports) error {
	w := r.Experiment.Workload
	bound := transferBound(w, m.arm.paths, m.to, r.Patience)
	ctx, cancel := context.WithTimeoutCause(ctx, bound, fmt.Errorf("transfer not over after %v", bound))
	defer cancel()
	side := func(p *agent.Process, node string, s agent.Side, into *agent.Transfer) func(context.Context) error {
		b := agent.Bulk{Side: s, Role: workload.Receive, Seed: r.Seed + uint64(m.round), Bytes: w.Bytes, Duration: w.Duration, Streams: w.Streams}
		progress := func(at agent.Progress) { received.Store(at.Bytes) }
		if node == m.from {
			b.Role, progress = workload.Send, said.report
		}
		return func(ctx context.Context) (err error) {
			if *into, err = p.Bulk(ctx, b, progress); err != nil {
				return err
			}
			if into.Report.Error != "" {
				return fmt.Errorf("agent on %s: bulk: %s", node, into.Report.Error)
			}
			return nil
		}
	}
	dialler, listener := &m.sender, &m.receiver
	if r.dialler != m.from {
		dialler, listener = listener, dialler
	}
	err := together(ctx,
		side(pair.dialler, r.dialler, agent.Dialler, dialler),
		side(pair.listener, r.listener, agent.Listener, listener))
	if err == nil {
		received.Store(m.receiver.Report.Bytes)
	}
	return err
}

// samples writes a trial's series, on the sampler's goroutine. err is read once
// the sampler has stopped.
type samples struct {
	err error // the first one
}

// received is a line of a series: what the receiver's engine has delivered.
type received struct {
	T     float64 `json:"t_ms"`
	Bytes int64   `json:"received_bytes"`
}

func (s *samples) add(series *results.Series, sample sampler.Sample, bytes int64) {
	for _, record := range sample.Records {
		s.write(series, record)
	}
	s.write(series, received{T: milliseconds(sample.At), Bytes: bytes})
}

func (s *samples) write(series *results.Series, v any) {
	if err := series.Append(v); err != nil && s.err == nil {
		s.err = err
	}
}

// wire finds a link's counters, or returns nil: a link without impairments has none.
func wire(all []lab.WireStatus, link string) *lab.WireStatus {
	for i := range all {
		if all[i].Link == link {
			return &all[i]
		}
	}
	return nil
}
