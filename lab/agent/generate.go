package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// foreign is what a program that is not this one used.
type foreign struct {
	cpu  time.Duration
	peak int64
}

// addTo returns the usage of both. Of two peaks the larger counts: the program does the
// work, this one waits.
func (f foreign) addTo(u Usage) Usage {
	u.CPU += f.cpu
	u.PeakRSS = max(u.PeakRSS, f.peak)
	return u
}

// generate has a transport that makes its own traffic move it. Nobody looked at the
// bytes then, which the report says.
func (c *child) generate(ctx context.Context, g engine.Generator, p Bulk) (workload.Report, foreign, error) {
	if len(c.sessions) > 1 {
		return workload.Report{}, foreign{}, fmt.Errorf("bulk: %d sessions: %w: an engine with traffic of its own has one", len(c.sessions), engine.ErrUnsupported)
	}
	r := workload.Report{Role: p.Role, Unchecked: true}
	done, err := g.Generate(ctx, engine.Transfer{Sends: p.Role == workload.Send, Bytes: p.Bytes, Duration: p.Duration, Streams: p.Streams})
	if err != nil {
		r.Error, r.Reason = err.Error(), err.Error()
		return r, foreign{}, err
	}
	r.Intact = true
	r.Bytes, r.StartNS, r.FirstNS, r.LastNS = done.Bytes, done.StartNS, done.StartNS, done.LastNS
	return r, foreign{done.CPU, done.PeakRSS}, nil
}
