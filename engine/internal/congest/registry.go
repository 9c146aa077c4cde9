package congest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Config is what a Controller is made with.
type Config struct {
	Datagram      wire.ByteCount // largest UDP payload, bytes; 0: 1200
	InitialWindow wire.ByteCount // bytes; 0: that of RFC 9002, section 7.2
	Now           clock.Time
	// Random draws the waits of bbr between its probes, which must differ between paths.
	// nil: a generator with Now as its seed.
	Random func() uint64
}

// withRandom returns c with a source of random numbers: a generator seeded with Now and
// stream.
func (c Config) withRandom(stream uint64) Config {
	if c.Random == nil {
		c.Random = rand.NewPCG(uint64(c.Now), stream).Uint64
	}
	return c
}

// Names returns the names that New knows, sorted.
func Names() []string { return []string{"balia", "bbr", "cubic", "lia", "newreno", "olia"} }

// New returns a new controller of that name, for one path by itself: a coupled one is
// NewReno then (Group couples).
func New(name string, c Config) (Controller, error) {
	switch name {
	case "newreno", "lia", "olia", "balia":
		return newNewReno(c), nil
	case "bbr":
		return newBBR(c.withRandom(0)), nil
	case "cubic":
		return newCubic(c), nil
	}
	return nil, unknown(name)
}

func unknown(name string) error {
	return fmt.Errorf("unknown congestion control %q: want one of %s", name, strings.Join(Names(), ", "))
}
