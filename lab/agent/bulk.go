package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// progressInterval is the time between two progress events.
const progressInterval = 100 * time.Millisecond

// bulk runs this side of a bulk transfer over all sessions. The usage spans the
// workload alone: not the handshakes before it, not the encoding of the reply.
func (c *child) bulk(ctx context.Context, id uint64, p Bulk) (Transfer, error) {
	if len(c.sessions) == 0 {
		return Transfer{}, errors.New("bulk: there is no session: listen and accept, or dial, comes first")
	}
	var progress workload.Progress
	stop := c.report(id, &progress)
	defer stop()

	before, err := readMeter()
	if err != nil {
		return Transfer{}, err
	}
	var report workload.Report
	var foreign foreign
	switch generator, ok := c.sessions[0].(engine.Generator); {
	case ok:
		report, foreign, err = c.generate(ctx, generator, p)
	case p.Side == Dialler:
		b := workload.Bulk{Seed: p.Seed, Bytes: p.Bytes, Duration: p.Duration, Streams: p.Streams}
		report, err = b.Request(ctx, c.sessions, p.Role, &progress)
	case p.Side == Listener:
		report, err = workload.Serve(ctx, c.sessions, &progress)
	default:
		err = fmt.Errorf("unknown side %q: known are %s, %s", string(p.Side), Dialler, Listener)
	}
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
	t := Transfer{Report: report, Usage: foreign.addTo(usage), Stats: c.stats()}
	return t, nil
}

// stats returns each session's statistics as they stand.
func (c *child) stats() []engine.Stats {
	all := make([]engine.Stats, len(c.sessions))
	for i, s := range c.sessions {
		all[i] = s.Stats()
	}
	return all
}

// report sends progress every progressInterval until the returned function is
// called, which waits for the last event to be queued.
func (c *child) report(id uint64, progress *workload.Progress) (stop func()) {
	began := time.Now()
	end := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			body, err := json.Marshal(Progress{
				At:    time.Since(began),
				Bytes: progress.Bytes(),
				Paths: PerLink(c.stats()),
			})
			if err == nil { // integers and names always encode
				c.out.event(reply{ID: id, Event: eventProgress, Result: body})
			}
		}
	})
	return func() {
		close(end)
		ticking.Wait()
	}
}
