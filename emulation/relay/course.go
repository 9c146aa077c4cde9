package relay

import (
	"github.com/tquiclab/tquiclab/emulation"
)

// course is a direction's model and what changes it, from one arming of the clock to
// the next. Changes are given to the model at their own times, however late that is.
type course struct {
	direction *emulation.Direction
	player    *emulation.Player
	start     *start
	known     bool           // the start is
	begun     bool           // the direction has been told
	from      emulation.Time // the start, once known
	due       emulation.Time // when the start or the next change comes; never: not known
}

func newCourse(base emulation.Impairments, timeline emulation.Timeline, seed emulation.Seed, start *start) (*course, error) {
	direction, err := emulation.NewDirection(base, seed)
	if err != nil {
		return nil, err
	}
	return &course{direction: direction, player: emulation.NewPlayer(base, timeline), start: start, due: never}, nil
}

// playTo carries out all that is due by a time, and calls refused for what the model
// refuses: Timeline.Validate sees each change's first turn only, and not what a patch
// makes of it.
func (c *course) playTo(t emulation.Time, refused func(error)) {
	if !c.known {
		if c.from, c.known = c.start.at(); c.known {
			c.due = c.from
		}
	}
	for c.due <= t {
		if !c.begun {
			c.begun = true
			c.direction.Start(c.from)
		} else if at, imp, ok := c.player.Step(); ok {
			if err := c.direction.Set(c.from.Add(at), imp); err != nil {
				refused(err)
			}
		}
		c.plan()
	}
}

// plan finds out when the next change comes.
func (c *course) plan() {
	if !c.begun {
		return
	}
	c.due = never
	if at, ok := c.player.Next(); ok {
		c.due = c.from.Add(at)
	}
}

// patch changes the impairments at a time, up to which all changes were played.
func (c *course) patch(at emulation.Time, p emulation.Patch) error {
	err := c.direction.Set(at, c.player.Patch(p))
	c.plan() // a ramp may have ended
	return err
}
