package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/sim"
	"github.com/tquiclab/tquiclab/engine/workload"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// simulation is the venue in virtual time: each trial is a lab of its own in this
// process, whose links do to packets what the model says, exactly.
type simulation struct {
	*run
	shown time.Time // when progress was last told
}

// newSimulation refuses what cannot be simulated.
func newSimulation(r *run, arms []arm) (*simulation, error) {
	s := &simulation{run: r}
	var errs []error
	for _, a := range arms {
		if !slices.Contains(sim.Engines(), a.Engine) {
			errs = append(errs, fmt.Errorf("%s cannot be simulated, only %s can: %w", a.Engine, strings.Join(sim.Engines(), ", "), engine.ErrUnsupported))
			continue
		}
		c, err := s.config(planned{round: 1, arm: a})
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.label(), err))
		}
	}
	return s, errors.Join(errs...)
}

// begin implements venue: nothing breaks here.
func (s *simulation) begin(ctx context.Context) (context.Context, error) { return ctx, nil }

// end implements venue. The model is what was asked for: there is nothing to
// calibrate, and no lateness.
func (s *simulation) end(context.Context) []string { return nil }

// simulatedKeepAlive is what the engine tquic has in a lab.
const simulatedKeepAlive = 10 * time.Second

// config returns what one trial simulates. Each round has its own luck; all arms of
// a round have the same, and the first that of the topology's seed.
func (s *simulation) config(p planned) (sim.Config, error) {
	w := s.Experiment.Workload
	c := sim.Config{
		Seed:        s.roundSeed(p),
		Bulk:        workload.Bulk{Seed: s.Seed + uint64(p.round), Bytes: w.Bytes, Duration: w.Duration, Streams: w.Streams},
		Sender:      sim.Server,
		Connections: w.Connections,
		Congestion:  p.arm.Congestion,
		Scheduler:   p.arm.Scheduler,
		KeepAlive:   simulatedKeepAlive,
		SetUp:       s.Patience,
		Bound:       transferBound(w, p.arm.paths, s.Experiment.To, s.Patience),
	}
	if w.Timed() {
		c.Bound = timedBound(w, s.Patience)
		if w.Kind == topologies.Handshake {
			c.Handshake = new(handshakeOf(w, s.Seed+uint64(p.round)))
		} else {
			c.Paced = new(pacedOf(w, s.Seed+uint64(p.round)))
		}
	}
	if s.Experiment.From == s.dialler {
		c.Sender = sim.Client
	}
	var errs []error
	for _, path := range p.arm.paths {
		errs = append(errs, s.simulable(path))
		c.Links = append(c.Links, s.link(path))
	}
	for _, t := range p.arm.trunks() {
		c.Trunks = append(c.Trunks, s.trunk(t))
	}
	return c, errors.Join(errs...)
}

// trial implements venue.
func (s *simulation) trial(ctx context.Context, p planned) (results.Trial, error) {
	series, err := s.Folder.Series(p.name())
	if err != nil {
		return results.Trial{}, err
	}
	m := measurement{planned: p, from: s.Experiment.From, to: s.Experiment.To, workload: s.Experiment.Workload}
	var sampled samples
	var dropped simulatedDrops
	if s.Drops {
		if dropped.series, err = s.Folder.Series(p.name() + dropsSuffix); err != nil {
			return results.Trial{}, errors.Join(err, series.Close())
		}
	}
	m.failure = s.simulate(ctx, &m, &dropped, func(at sampler.Sample, received int64, said []engine.Stats) {
		sampled.add(series, at, received)
		sampled.addPaths(series, at.At, agent.PerLink(said))
		s.show(p, at, received)
	})
	s.warnings = append(s.warnings, unlikeAsked(m.label(), p.arm.chosen, m.sender.Stats)...)
	return m.trial(), errors.Join(sampled.err, series.Close(), dropped.close())
}

func (s *simulation) simulate(ctx context.Context, m *measurement, dropped *simulatedDrops, sink func(sampler.Sample, int64, []engine.Stats)) error {
	c, err := s.config(m.planned)
	if err != nil {
		return err
	}
	if c.QLOG, err = s.qlogFolder(m.planned); err != nil {
		return err
	}
	var before sampler.Sample
	c.Sample = func(v sim.Sample) {
		at := s.sample(m.arm, v, before)
		before = at
		sink(at, v.Received, v.Stats)
	}
	if dropped.series != nil {
		c.Dropped = func(d sim.Drop) { dropped.add(d, s.way(m.arm, d)) }
	}
	report, err := sim.Run(ctx, c)
	m.sender.Report, m.receiver.Report = report.Sender, report.Receiver
	m.sender.Stats = report.Stats
	m.received = report.Receiver.Bytes
	if m.began = report.BeganNS; m.began != 0 {
		m.clockTMS = new(ms(report.Clock))
	}
	if len(report.Links) > 0 {
		m.totals = s.totals(m.arm, report.Links)
	}
	for i, c := range m.arm.simulated() {
		if c.link().Impaired() && i < len(report.Links) {
			m.wires = append(m.wires, wireOf(c, report.Links[i]))
		}
	}
	return err
}

// progressEvery is the real time between two reports of progress: virtual time flies.
const progressEvery = 100 * time.Millisecond

func (s *simulation) show(p planned, at sampler.Sample, received int64) {
	if now := time.Now(); now.Sub(s.shown) >= progressEvery {
		s.shown = now
		s.Progress(s.progressAt(p, at, received))
	}
}

// totals returns what the interfaces at both ends of the arm's paths would have counted.
func (s *simulation) totals(a arm, links []sim.LinkCounters) sampler.Totals {
	t := sampler.Totals{}
	for i, c := range a.simulated() {
		if c.path.Nodes[c.at] == s.dialler {
			t[sampler.Interface{Node: s.dialler, Link: links[i].Link}] = ends(links[i].Up, links[i].Down)
		}
		if c.path.Nodes[c.at+1] == s.listener {
			t[sampler.Interface{Node: s.listener, Link: links[i].Link}] = ends(links[i].Down, links[i].Up)
		}
	}
	return t
}

// ends returns an interface's counters from its link's two directions.
func ends(out, in emulation.Counters) sampler.Counters {
	return sampler.Counters{
		TxPackets: out.ArrivedPackets, TxBytes: out.ArrivedBytes,
		RxPackets: in.DepartedPackets, RxBytes: in.DepartedBytes,
	}
}

// sample makes a sampler's sample of a simulated one.
func (s *simulation) sample(a arm, v sim.Sample, before sampler.Sample) sampler.Sample {
	out := sampler.Sample{At: v.At, Rates: map[sampler.Interface]sampler.Rates{}}
	t := s.totals(a, v.Links)
	seconds := (v.At - before.At).Seconds()
	i := 0
	for _, l := range v.Links {
		for _, node := range []string{s.Experiment.From, s.Experiment.To} {
			at := sampler.Interface{Node: node, Link: l.Link}
			if _, ends := t[at]; !ends {
				continue // at a router
			}
			r := sampler.Record{T: float64(v.At.Microseconds()) / 1e3, Interface: at, Counters: t[at]}
			moved := r.Counters
			if i < len(before.Records) {
				moved = moved.Sub(before.Records[i].Counters)
			}
			out.Records = append(out.Records, r)
			out.Rates[at] = sampler.Rates{Rx: float64(moved.RxBytes) * 8 / seconds, Tx: float64(moved.TxBytes) * 8 / seconds}
			i++
		}
	}
	return out
}

// wireOf returns what the wire in the middle of the link would have counted, turned back
// to the topology's directions.
func wireOf(c crossed, counted sim.LinkCounters) lab.WireStatus {
	w := lab.WireStatus{Link: c.link().Name, Up: directionStatus(counted.Up), Down: directionStatus(counted.Down)}
	if c.up() == "down" {
		w.Up, w.Down = w.Down, w.Up
	}
	return w
}

func directionStatus(c emulation.Counters) lab.DirectionStatus {
	d := lab.DirectionStatus{
		ArrivedPackets: c.ArrivedPackets, PassedPackets: c.DepartedPackets, PassedBytes: c.DepartedBytes,
		HeldPackets: c.HeldPackets, Dropped: map[string]uint64{},
	}
	for reason, n := range c.Dropped {
		if n > 0 {
			d.Dropped[emulation.DropReason(reason).String()] = n
		}
	}
	return d
}
