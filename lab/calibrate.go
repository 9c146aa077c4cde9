package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/calibrate"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// CalibrateConfig says what to calibrate.
type CalibrateConfig struct {
	Form  calibrate.Form
	Links []string // names; empty: all that have a wire
	// Progress, which may be nil, is called when a link is done, from one goroutine at a
	// time.
	Progress func(done, of int)
}

// probedAtOnce is how much wire rate is probed at a time, both directions of each link
// together: beyond it the probes would measure each other.
const probedAtOnce emulation.Rate = 400e6

// lateLimit is how late the user-space backend may be at the 99th percentile.
const lateLimit = time.Millisecond

// Calibrate measures what the lab's wires do to packets and holds it against the
// topology. It returns a verdict on each direction of each link that has a wire, in
// topology order; the lab must be idle meanwhile. An error says that some could not be
// measured.
//
// It arms the lab's clock before and after: the timeline begins with the probes, and
// then waits for its start again; what was changed by hand is gone.
func (l *Lab) Calibrate(ctx context.Context, c CalibrateConfig) ([]results.Calibration, error) {
	links, err := l.toCalibrate(c.Links)
	if err != nil {
		return nil, err
	}
	if len(links) == 0 {
		return nil, nil
	}
	before, err := l.beginProbes(ctx)
	if err != nil {
		return nil, fmt.Errorf("calibrate %s: %w", l.Name(), err)
	}
	verdicts := make([][2]results.Calibration, len(links))
	errs := make([]error, len(links))
	var mu sync.Mutex
	done := 0
	for _, group := range probeGroups(links) {
		var probing sync.WaitGroup
		for _, i := range group {
			probing.Go(func() {
				verdicts[i], errs[i] = l.calibrateLink(ctx, links[i], c.Form)
				mu.Lock()
				defer mu.Unlock()
				if done++; c.Progress != nil {
					c.Progress(done, len(links))
				}
			})
		}
		probing.Wait()
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("calibrate %s: %w", l.Name(), err)
	}
	after, err := l.Wires(ctx)
	if err := errors.Join(err, l.Arm(ctx, l.state.Topology.Seed)); err != nil {
		return nil, fmt.Errorf("calibrate %s: %w", l.Name(), err)
	}
	var all []results.Calibration
	for i := range verdicts {
		blame(&verdicts[i], links[i].Name, before, after)
		all = append(all, verdicts[i][:]...)
	}
	return all, nil
}

// beginProbes arms the clock, starts one that would wait for that, and reads the
// counters.
func (l *Lab) beginProbes(ctx context.Context) ([]WireStatus, error) {
	if err := l.Arm(ctx, l.state.Topology.Seed); err != nil {
		return nil, err
	}
	if l.state.Topology.Start == topologies.StartManual {
		if err := l.StartClock(ctx); err != nil && !errors.Is(err, ErrNoClock) {
			return nil, err
		}
	}
	return l.Wires(ctx)
}

// probesBegan returns when the clock started, CLOCK_MONOTONIC in ns; 0 where there is
// none.
func (l *Lab) probesBegan(ctx context.Context) (int64, error) {
	at, ok, err := l.started(ctx)
	if err != nil || !ok {
		return 0, err
	}
	return at, nil
}

// toCalibrate returns the links with a wire, or those of the names.
func (l *Lab) toCalibrate(names []string) ([]topologies.Link, error) {
	var links []topologies.Link
	known := map[string]bool{}
	for _, link := range l.state.Topology.Links {
		known[link.Name] = true
		if link.Impaired() && (len(names) == 0 || slices.Contains(names, link.Name)) {
			links = append(links, link)
		}
	}
	var errs []error
	for _, name := range names {
		switch {
		case !known[name]:
			errs = append(errs, fmt.Errorf("lab %s has no link %q", l.Name(), name))
		case !slices.ContainsFunc(links, func(link topologies.Link) bool { return link.Name == name }):
			errs = append(errs, fmt.Errorf("link %s has no wire: nothing was asked of it that could be measured", name))
		}
	}
	return links, errors.Join(errs...)
}

// probeGroups returns the links' indexes in groups that are probed at the same time.
func probeGroups(links []topologies.Link) [][]int {
	var groups [][]int
	var sum emulation.Rate
	for i, l := range links {
		rate := l.Up.MeanRate() + l.Down.MeanRate()
		if len(groups) == 0 || sum+rate > probedAtOnce {
			groups, sum = append(groups, nil), 0
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], i)
		sum += rate
	}
	return groups
}

// calibrateLink probes both directions of a link at the same time.
func (l *Lab) calibrateLink(ctx context.Context, link topologies.Link, f calibrate.Form) ([2]results.Calibration, error) {
	verdicts := [2]results.Calibration{{Link: link.Name, Direction: "up"}, {Link: link.Name, Direction: "down"}}
	var errs [2]error
	var both sync.WaitGroup
	for i := range verdicts {
		both.Go(func() {
			errs[i] = l.probe(ctx, link, &verdicts[i], f)
		})
	}
	both.Wait()
	return verdicts, errors.Join(errs[:]...)
}

// probe fills in the verdict on one direction.
func (l *Lab) probe(ctx context.Context, link topologies.Link, c *results.Calibration, f calibrate.Form) error {
	from := 0
	if c.Direction == "down" {
		from = 1
	}
	ends, headers, err := l.openEnds(link)
	if err != nil {
		return fmt.Errorf("link %s %s: %w", c.Link, c.Direction, err)
	}
	verdict, err := calibrate.Probe(ctx, ends[from], ends[1-from], calibrate.Request{
		Impairments: link.Direction(c.Direction), Timeline: l.state.Topology.Timeline(c.Link, c.Direction),
		MTU: link.MTU, Headers: headers,
	}, f, l.probesBegan)
	if err := errors.Join(err, ends[0].Close(), ends[1].Close()); err != nil {
		return fmt.Errorf("link %s %s: %w", c.Link, c.Direction, err)
	}
	for _, check := range verdict.Checks {
		c.Checks = append(c.Checks, results.CalibrationCheck(check))
	}
	c.OK = verdict.OK()
	return nil
}

// openEnds opens a socket at each endpoint of the link, in its node, and returns what
// the headers of their packets take.
func (l *Lab) openEnds(link topologies.Link) ([2]*calibrate.End, int, error) {
	var ends [2]*calibrate.End
	if len(link.Addresses[0]) == 0 || len(link.Addresses[1]) == 0 {
		return ends, 0, errors.New("it has no address at both ends")
	}
	for i, node := range link.Endpoints {
		err := l.Do(node, func() (err error) {
			ends[i], err = calibrate.Listen(link.Addresses[i][0].Addr())
			return err
		})
		if err != nil {
			return ends, 0, errors.Join(err, closeEnds(ends))
		}
	}
	if err := calibrate.Connect(ends[0], ends[1]); err != nil {
		return ends, 0, errors.Join(err, closeEnds(ends))
	}
	return ends, probeHeaders(link.Addresses[0][0].Addr()), nil
}

func closeEnds(ends [2]*calibrate.End) error {
	var errs []error
	for _, e := range ends {
		if e != nil {
			errs = append(errs, e.Close())
		}
	}
	return errors.Join(errs...)
}

// probeHeaders returns the bytes of an IP header without options and of UDP's.
func probeHeaders(a netip.Addr) int {
	const udp = 8
	if a.Is4() {
		return 20 + udp
	}
	return 40 + udp
}

// blame adds what the backend says of itself: packets that it lost, and how late it
// was.
func blame(verdicts *[2]results.Calibration, link string, before, after []WireStatus) {
	was, is := wireOf(before, link), wireOf(after, link)
	for i, d := range [2][2]DirectionStatus{{was.Up, is.Up}, {was.Down, is.Down}} {
		c := &verdicts[i]
		lost := float64(d[1].BackendLost - min(d[0].BackendLost, d[1].BackendLost))
		add(c, results.CalibrationCheck{Name: "backend", Unit: "packets", Got: lost, OK: lost == 0})
		if late := d[1].LatenessP99; late > 0 {
			limit := float64(lateLimit) / 1e6
			add(c, results.CalibrationCheck{Name: "lateness", Unit: "ms", Got: float64(late) / 1e6, High: limit, OK: late <= lateLimit})
		}
	}
}

func add(c *results.Calibration, check results.CalibrationCheck) {
	c.Checks = append(c.Checks, check)
	c.OK = c.OK && check.OK
}

func wireOf(all []WireStatus, link string) WireStatus {
	for _, w := range all {
		if w.Link == link {
			return w
		}
	}
	return WireStatus{}
}
