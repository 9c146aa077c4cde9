package relay

import (
	"fmt"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// startLead is how long ago a packet may have come in that a forwarder has yet to
// start the clock with.
const startLead = time.Second

// mirror goes through a direction's timeline as its forwarder does, from the same start
// and with the same patches, so that a change can be held against what will be in force
// without asking the forwarder's thread.
type mirror struct {
	player *emulation.Player
	start  *start
}

func newMirror(w Wire, way int, start *start) *mirror {
	return &mirror{player: emulation.NewPlayer(w.direction(way)), start: start}
}

func (m *mirror) clone() *mirror { return &mirror{player: m.player.Clone(), start: m.start} }

// playTo takes all changes up to a time, if the clock runs.
func (m *mirror) playTo(t emulation.Time) {
	from, ok := m.start.at()
	if !ok {
		return
	}
	for at, ok := m.player.Next(); ok && from.Add(at) <= t; at, ok = m.player.Next() {
		m.player.Step()
	}
}

// patch notes that the forwarder has applied a patch at a time. A packet may have
// started the clock shortly before, and with it the beginning of the timeline: all
// forwarders have seen it when they have applied the patch.
func (m *mirror) patch(at emulation.Time, p emulation.Patch) {
	m.playTo(at)
	m.player.Patch(p)
}

// check returns why a patch is impossible at a time, up to which the mirror has been
// played. While the clock does not run, a packet may start it at any moment: then the
// patch must be possible whatever of the timeline's beginning comes before it.
func (m *mirror) check(p emulation.Patch) error {
	if err := m.player.Impairments().With(p).Validate(); err != nil {
		return err
	}
	if _, ok := m.start.at(); ok {
		return nil
	}
	ahead := m.player.Clone()
	for at, ok := ahead.Next(); ok && at <= startLead; at, ok = ahead.Next() {
		_, imp, _ := ahead.Step()
		if err := imp.With(p).Validate(); err != nil {
			return fmt.Errorf("%v after the start: %w", at, err)
		}
	}
	return nil
}
