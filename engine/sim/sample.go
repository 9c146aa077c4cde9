package sim

import (
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
)

// sampleEvery is the virtual time between two samples.
const sampleEvery = 100 * time.Millisecond

// Sample is how far a transfer is.
type Sample struct {
	At       time.Duration // since the transfer began
	Received int64         // payload bytes, in order and checked
	// Links is what the links did since the transfer began, in Config's order, and behind
	// them the trunks. It is the receiver's to keep.
	Links []LinkCounters
	// Stats is what the sender's connections say of themselves, one each.
	Stats []engine.Stats
}

// since returns what was counted between two readings. What is held is the later
// one's.
func (c LinkCounters) since(before LinkCounters) LinkCounters {
	return LinkCounters{Link: c.Link, Up: since(c.Up, before.Up), Down: since(c.Down, before.Down)}
}

func since(after, before emulation.Counters) emulation.Counters {
	d := after
	d.ArrivedPackets -= before.ArrivedPackets
	d.ArrivedBytes -= before.ArrivedBytes
	d.DuplicatedPackets -= before.DuplicatedPackets
	d.DuplicatedBytes -= before.DuplicatedBytes
	d.DepartedPackets -= before.DepartedPackets
	d.DepartedBytes -= before.DepartedBytes
	d.DroppedBytes -= before.DroppedBytes
	for i := range d.Dropped {
		d.Dropped[i] -= before.Dropped[i]
	}
	d.MarkedPackets -= before.MarkedPackets
	d.CorruptedPackets -= before.CorruptedPackets
	d.ReorderedPackets -= before.ReorderedPackets
	return d
}
