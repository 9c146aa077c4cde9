package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

const (
	// drainTime is how long after the last message was due the missing ones may come.
	drainTime = 10 * time.Second
	// sessionBound is how long one session of a handshake workload may take.
	sessionBound = 10 * time.Second
)

// checkWorkload returns every reason why the workload cannot run.
func checkWorkload(w topologies.Workload) []error {
	var errs []error
	switch w.Kind {
	case topologies.Bulk:
		if (w.Duration > 0) == (w.Bytes > 0) || w.Duration < 0 || w.Bytes < 0 {
			errs = append(errs, fmt.Errorf("run: a bulk workload needs either a duration or bytes: it has %v and %d", w.Duration, w.Bytes))
		}
	case topologies.RPC, topologies.CBR:
		errs = append(errs, pacedOf(w, 0).Validate())
	case topologies.Handshake:
		errs = append(errs, handshakeOf(w, 0).Validate())
	default:
		errs = append(errs, fmt.Errorf("run: unknown workload %q: known are %s", w.Kind, strings.Join(topologies.Kinds(), ", ")))
	}
	if w.Streams < 1 || w.Connections < 1 {
		errs = append(errs, fmt.Errorf("run: a workload needs a stream and a connection: it has %d and %d", w.Streams, w.Connections))
	}
	return errs
}

// pacedOf is the exchange of a workload of requests or frames.
func pacedOf(w topologies.Workload, seed uint64) workload.Paced {
	p := workload.Paced{
		Kind: workload.RPC, Seed: seed, Duration: w.Duration, Drain: drainTime,
		Size: int(w.Size), Response: int(w.Response), Deadline: w.Deadline, Streams: w.Streams,
	}
	if w.Kind == topologies.CBR {
		p.Kind = workload.CBR
	}
	if w.Size > 0 {
		p.Count = w.Messages()
	}
	return p
}

func handshakeOf(w topologies.Workload, seed uint64) workload.Handshake {
	return workload.Handshake{Seed: seed, Parallel: w.Parallel, Duration: w.Duration, Bound: sessionBound}
}

// exchange runs the trial's workload on both sides.
func (r *field) exchange(ctx context.Context, m *measurement, pair agents, received *atomic.Int64, said *pathReports) error {
	if !r.Experiment.Workload.Timed() {
		return r.bulk(ctx, m, pair, received, said)
	}
	return r.timed(ctx, m, pair, received)
}

// timedBound is how long a workload that goes by the clock may take before it is given
// up: it gives itself up earlier.
func timedBound(w topologies.Workload, patience time.Duration) time.Duration {
	return w.Duration + max(drainTime, 2*sessionBound) + patience
}

// timed runs a workload that goes by the clock on both sides.
func (r *field) timed(ctx context.Context, m *measurement, pair agents, received *atomic.Int64) error {
	w := r.Experiment.Workload
	bound := timedBound(w, r.Patience)
	ctx, cancel := context.WithTimeoutCause(ctx, bound, fmt.Errorf("%s not over after %v", w.Kind, bound))
	defer cancel()
	side := func(p *agent.Process, node string, s agent.Side, into *agent.Transfer) func(context.Context) error {
		t := timedWorkload(w, r.Seed+uint64(m.round))
		t.Side, t.Role = s, workload.Receive
		progress := func(at agent.Progress) { received.Store(at.Bytes) }
		if node == m.from {
			t.Role, progress = workload.Send, nil
		}
		return func(ctx context.Context) (err error) {
			if *into, err = p.Timed(ctx, t, progress); err != nil {
				return err
			}
			if into.Report.Error != "" {
				return fmt.Errorf("agent on %s: %s: %s", node, w.Kind, into.Report.Error)
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
	if n := m.receiver.Report.Bytes; n > 0 {
		received.Store(n)
	}
	return err
}

func timedWorkload(w topologies.Workload, seed uint64) agent.Timed {
	if w.Kind == topologies.Handshake {
		return agent.Timed{Handshake: new(handshakeOf(w, seed))}
	}
	return agent.Timed{Paced: new(pacedOf(w, seed))}
}

// needsRoot reports whether the agents go on opening sockets while the workload runs: for
// that some engines need the right to choose their congestion control.
func needsRoot(w topologies.Workload) bool { return w.Kind == topologies.Handshake }

// checkTimed refuses engines that move nothing but bulk data.
func checkTimed(c Config, arms []arm) error {
	if !c.Experiment.Workload.Timed() {
		return nil
	}
	var errs []error
	for _, a := range arms {
		if e, err := c.Engines.Lookup(a.Engine); err == nil && e.Capabilities().BulkOnly {
			errs = append(errs, fmt.Errorf("%s cannot run a workload of kind %s: %w: it makes its own traffic, which is bulk", a.label(), c.Experiment.Workload.Kind, engine.ErrUnsupported))
		}
	}
	return errors.Join(errs...)
}

// addTimed fills in what a workload that goes by the clock came to, also where it broke.
func (m *measurement) addTimed(t *results.Trial, w topologies.Workload) {
	if p := m.receiver.Report.Paced; p != nil {
		t.Latency, t.LatencyHDR = latency(p.Latency), p.Latency.HDR
		if p.Kind == workload.RPC {
			t.RPC = &results.RPC{Requests: p.Messages, Answered: p.Delivered, Unanswered: p.Lost(), GapMaxMS: ms(p.MaxGap)}
			if t.DurationS > 0 {
				t.RPC.AnsweredPerS = float64(p.Delivered) / t.DurationS
			}
		} else {
			t.CBR = &results.CBR{
				Frames: p.Messages, Delivered: p.Delivered, Late: p.Late, Lost: p.Lost(),
				DeadlineMS: ms(w.Deadline), GapMaxMS: ms(p.MaxGap),
			}
		}
	}
	for _, side := range []agent.Transfer{m.sender, m.receiver} {
		h := side.Report.Handshake
		if h == nil {
			continue
		}
		t.Latency, t.LatencyHDR = latency(h.FirstByte), h.FirstByte.HDR
		t.Handshake = &results.Handshake{
			Done: h.Done, Failed: h.Failed, Parallel: w.Parallel, Dial: latency(h.Dial), DialHDR: h.Dial.HDR,
			GapMaxMS: ms(h.MaxGap), Reason: h.Reason,
		}
		if s := h.Elapsed.Seconds(); s > 0 {
			t.Handshake.PerS = float64(h.Done) / s
		}
	}
}

// judgeTimed says whether a workload that came to its end counts: what arrived was right,
// and something did. That messages are missing is a figure and no failure.
func (m *measurement) judgeTimed(t *results.Trial, w topologies.Workload) {
	s, r := m.sender.Report, m.receiver.Report
	t.Bytes = r.Bytes
	t.StallMaxMS, t.Stalls = ms(r.MaxGap), m.stalls()
	lost := r.Paced != nil && r.Paced.Lost() > 0
	switch {
	case !r.Intact:
		t.Error = "not intact: the receiver says: " + r.Reason
	case !s.Intact && !lost: // a sender whose peer waits no longer has no verdict
		t.Error = "not intact: the sender says: " + s.Reason
	case r.Bytes == 0:
		t.Error = "nothing arrived"
		if h := handshakeReport(s, r); h != nil && h.Reason != "" {
			t.Error = "no session had an answer: " + h.Reason
		}
	default:
		t.Intact = true
	}
	if d := float64(r.LastNS-s.StartNS) / 1e9; r.Bytes > 0 && d > 0 {
		t.DurationS = d
		t.GoodputBPS = float64(r.Bytes) * 8 / d
	}
	m.addTimed(t, w)
}

// handshakeReport returns the dialler's report, whichever side that is.
func handshakeReport(reports ...workload.Report) *workload.HandshakeReport {
	for _, r := range reports {
		if r.Handshake != nil {
			return r.Handshake
		}
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// latency returns nil where nothing was measured.
func latency(l workload.Latency) *results.Latency {
	if l.Count == 0 {
		return nil
	}
	return &results.Latency{P50: ms(l.P50), P90: ms(l.P90), P99: ms(l.P99), P999: ms(l.P999), Max: ms(l.Max)}
}

// outcomeText is what a good trial came to, in short.
func outcomeText(t results.Trial) string {
	p99 := ""
	if t.Latency != nil {
		p99 = fmt.Sprintf("p99 %.1f ms, ", t.Latency.P99)
	}
	switch {
	case t.RPC != nil:
		return fmt.Sprintf("%d of %d unanswered, %sintact", t.RPC.Unanswered, t.RPC.Requests, p99)
	case t.CBR != nil:
		return fmt.Sprintf("%d late and %d lost of %d frames, %sintact", t.CBR.Late, t.CBR.Lost, t.CBR.Frames, p99)
	case t.Handshake != nil:
		return fmt.Sprintf("%.1f sessions/s, %d failed, %sintact", t.Handshake.PerS, t.Handshake.Failed, p99)
	}
	return rateText(t.GoodputBPS) + ", intact"
}
