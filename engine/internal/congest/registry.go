package congest

import (
	"fmt"
	"strings"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Config is what a Controller is made with.
type Config struct {
	Datagram      wire.ByteCount // largest UDP payload, bytes; 0: 1200
	InitialWindow wire.ByteCount // bytes; 0: that of RFC 9002, section 7.2
	Now           clock.Time
}

// Names returns the names that New knows, sorted.
func Names() []string { return []string{"cubic", "newreno"} }

// New returns a new controller of that name.
func New(name string, c Config) (Controller, error) {
	switch name {
	case "newreno":
		return newNewReno(c), nil
	case "cubic":
		return newCubic(c), nil
	}
	return nil, fmt.Errorf("unknown congestion control %q: want one of %s", name, strings.Join(Names(), ", "))
}
