package lab

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab/conductor"
	"github.com/tquiclab/tquiclab/lab/journal"
)

// Follow tells what changes in a lab, as it happens. It is not safe for concurrent
// use.
type Follow struct {
	lab    *Lab
	reader *journal.Reader
	// scores are the timelines that the relay plays: it does so exactly, so what it has
	// done follows from when its clock started.
	scores  []*followed
	since   int64  // CLOCK_MONOTONIC; what was before is left out
	started *int64 // of the round that is followed; nil: not known yet
	unsaid  bool   // that it started
}

// followed is the timeline of one direction.
type followed struct {
	link, way string
	timeline  emulation.Timeline
	turns     *conductor.Program[emulation.Change]
}

// maxFollowed bounds what one call returns of a timeline that repeats.
const maxFollowed = 10_000

// Follow returns a follower that begins with what changes from now on.
func (l *Lab) Follow() (*Follow, error) {
	f := l.follow()
	f.since = journal.Now()
	return f, f.reader.SkipToEnd()
}

// History returns all that has changed since the lab came up; of timelines that the
// relay plays, since its clock started last.
func (l *Lab) History(ctx context.Context) ([]journal.Entry, error) {
	return l.follow().Next(ctx, journal.Now())
}

func (l *Lab) follow() *Follow {
	f := &Follow{lab: l, reader: journal.NewReader(l.host.journal(l.Name()))}
	if l.state.Backend != BackendRelay {
		return f
	}
	for _, t := range l.wired() {
		for _, way := range []string{"up", "down"} {
			if timeline := l.state.Topology.Timeline(t.Name, way); len(timeline) > 0 {
				f.scores = append(f.scores, &followed{link: t.Name, way: way, timeline: timeline})
			}
		}
	}
	return f
}

// Next returns the changes that took effect since the last call and not after until
// (CLOCK_MONOTONIC, ns), in order. Those by hand come in even when they are later. An
// error may come beside what could be read.
func (f *Follow) Next(ctx context.Context, until int64) ([]journal.Entry, error) {
	entries, err := f.reader.Next()
	played, err2 := f.played(ctx, until)
	entries = append(entries, played...)
	slices.SortStableFunc(entries, func(a, b journal.Entry) int { return cmp.Compare(a.At, b.At) })
	return entries, errors.Join(err, err2)
}

// played returns what the relay's timelines did.
func (f *Follow) played(ctx context.Context, until int64) ([]journal.Entry, error) {
	if len(f.scores) == 0 {
		return nil, nil
	}
	if f.started == nil {
		at, ok, err := f.lab.started(ctx)
		if err != nil || !ok {
			return nil, err
		}
		f.started, f.unsaid = &at, f.lab.state.Conductor == nil && at >= f.since
		for _, s := range f.scores {
			s.turns = conductor.NewProgram(s.timeline, conductor.ChangeTurn)
		}
	}
	entries := f.start()
	for _, s := range f.scores {
		entries = s.take(entries, *f.started, until)
	}
	return slices.DeleteFunc(entries, func(e journal.Entry) bool { return e.At < f.since }), nil
}

// start returns that the clock started, unless a conductor has said so.
func (f *Follow) start() []journal.Entry {
	if !f.unsaid {
		return nil
	}
	f.unsaid = false
	return []journal.Entry{{At: *f.started, Since: new(time.Duration(0)), By: journal.Timeline, Kind: journal.Start}}
}

// take appends what has had its turn.
func (s *followed) take(entries []journal.Entry, started, until int64) []journal.Entry {
	for range maxFollowed {
		at, ok := s.turns.Next()
		if !ok || started+int64(at) > until {
			break
		}
		_, change, _ := s.turns.Take()
		entries = append(entries, journal.Entry{
			At: started + int64(at), Since: &at, By: journal.Timeline, Kind: journal.Set,
			Link: s.link, Way: s.way, Set: &change.Patch, Ramp: change.Ramp,
		})
	}
	return entries
}

// ClockStatus is the clock of a lab's timeline.
type ClockStatus struct {
	Running bool          `json:"running"`
	Since   time.Duration `json:"since_ns,omitempty"` // its start
	At      int64         `json:"at_ns,omitempty"`    // of its start, CLOCK_MONOTONIC
}

// Clock returns the state of the lab's clock.
func (l *Lab) Clock(ctx context.Context) (ClockStatus, error) {
	at, ok, err := l.started(ctx)
	if err != nil || !ok {
		return ClockStatus{}, err
	}
	return ClockStatus{Running: true, Since: time.Duration(journal.Now() - at), At: at}, nil
}
