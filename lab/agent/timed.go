package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// Timed asks the child to take its part in a workload that goes by the clock: requests
// or frames over all its sessions, or further sessions beside its first, which then only
// says when all is over. Exactly one of Paced and Handshake is set; both sides get the
// same.
type Timed struct {
	Side      Side                `json:"side"`
	Role      workload.Role       `json:"role"` // of this child: 1 sends, 2 receives
	Paced     *workload.Paced     `json:"paced,omitempty"`
	Handshake *workload.Handshake `json:"handshake,omitempty"`
}

// Timed runs the child's side of a workload that goes by the clock, like Bulk.
func (p *Process) Timed(ctx context.Context, t Timed, progress func(Progress)) (Transfer, error) {
	var r Transfer
	err := p.call(ctx, opTimed, t, &r, progress)
	return r, err
}

// timed runs this side of the workload.
func (c *child) timed(ctx context.Context, id uint64, p Timed) (Transfer, error) {
	if len(c.sessions) == 0 {
		return Transfer{}, errors.New("timed: there is no session: listen and accept, or dial, comes first")
	}
	if (p.Paced == nil) == (p.Handshake == nil) {
		return Transfer{}, errors.New("timed: it needs either paced or handshake")
	}
	if _, ok := c.sessions[0].(engine.Generator); ok {
		return Transfer{}, fmt.Errorf("timed: %w: an engine with traffic of its own has bulk only", engine.ErrUnsupported)
	}
	return c.measured(id, func(progress *workload.Progress) (workload.Report, error) {
		switch {
		case p.Side == Dialler && p.Paced != nil:
			return p.Paced.Request(ctx, c.sessions, p.Role, progress)
		case p.Side == Dialler:
			if c.redial == nil {
				return workload.Report{}, errors.New("timed: this agent has not dialled")
			}
			return p.Handshake.Request(ctx, c.sessions[0], p.Role, c.redial, progress)
		case p.Side == Listener && p.Paced != nil:
			return workload.ServePaced(ctx, c.sessions, progress)
		case p.Side == Listener:
			if c.listener == nil {
				return workload.Report{}, errors.New("timed: this agent does not listen")
			}
			return p.Handshake.Serve(ctx, c.sessions[0], p.Role, c.listener.Accept, progress)
		}
		return workload.Report{}, fmt.Errorf("unknown side %q: known are %s, %s", string(p.Side), Dialler, Listener)
	})
}

// measured runs a workload with everything around it that is measured.
func (c *child) measured(id uint64, work func(*workload.Progress) (workload.Report, error)) (Transfer, error) {
	var progress workload.Progress
	defer c.report(id, &progress)()
	before, err := readMeter()
	if err != nil {
		return Transfer{}, err
	}
	report, err := work(&progress)
	if err != nil && report.Error == "" { // it did not even begin
		return Transfer{}, err
	}
	after, err := readMeter()
	if err != nil {
		return Transfer{}, err
	}
	usage, err := after.since(before)
	if err != nil {
		return Transfer{}, err
	}
	t := Transfer{Report: report, Usage: usage, Stats: make([]engine.Stats, len(c.sessions))}
	for i, s := range c.sessions {
		t.Stats[i] = s.Stats()
	}
	return t, nil
}
