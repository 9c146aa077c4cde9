package runner

import (
	"context"
	"errors"
	"sync"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/sim"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/results"
)

// dropsSuffix sets the series of a trial's drops apart from its samples.
const dropsSuffix = "-drops"

// drops follows what a lab's wires drop during one trial; nil follows nothing.
type drops struct {
	series *results.Series
	end    context.CancelFunc
	done   sync.WaitGroup
	err    error // once done
}

// followDrops begins to write a trial's drops, one a line, before its first packet.
func (r *field) followDrops(ctx context.Context, p planned) (*drops, error) {
	if !r.Drops {
		return nil, nil
	}
	series, err := r.Folder.Series(p.name() + dropsSuffix)
	if err != nil {
		return nil, err
	}
	following, end := context.WithCancel(context.WithoutCancel(ctx))
	d := &drops{series: series, end: end}
	ready := make(chan struct{})
	begun := sync.OnceFunc(func() { close(ready) })
	d.done.Go(func() {
		defer begun()
		err := r.Lab.Drops(following, begun, func(drop lab.Drop) error { return series.Append(drop) })
		if following.Err() == nil {
			d.err = err // not the end that it was told
		}
	})
	<-ready
	return d, nil
}

// stop ends the following. What the wires dropped a moment before may not be in.
func (d *drops) stop() error {
	if d == nil {
		return nil
	}
	d.end()
	d.done.Wait()
	return errors.Join(d.err, d.series.Close())
}

// simulatedDrops are the drops of a trial in virtual time. Without a series it has
// none.
type simulatedDrops struct {
	series *results.Series
	err    error // the first one
}

// add writes a drop on one way of its link.
func (s *simulatedDrops) add(d sim.Drop, way string) {
	since := int64(d.At)
	err := s.series.Append(lab.Drop{
		At: emulation.Time(d.At), SinceStart: &since, Link: d.Link, Way: way,
		Reason: d.Reason.String(), Size: d.Size, QueuedPackets: d.QueuedPackets, QueuedBytes: d.QueuedBytes,
	})
	if s.err == nil {
		s.err = err
	}
}

func (s *simulatedDrops) close() error {
	if s.series == nil {
		return nil
	}
	return errors.Join(s.err, s.series.Close())
}
