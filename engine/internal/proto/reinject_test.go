package proto

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// On suspicion, what a path owes is sent again as far as the bound on extra traffic allows,
// the oldest first; the rest follows with the probe timeout.
func TestSuspicionKeepsTheBound(t *testing.T) {
	b := newBond(t, 2, "roundrobin", []line{{delay: 30 * time.Millisecond, rate: 2e6}, {delay: 30 * time.Millisecond, rate: 2e6}})
	b.openAll()
	x := newTransfer(b.pair, wire.Client, 1, 4_000_000)
	b.carriesFor(x, 300*time.Millisecond)
	c := b.client()
	p := c.pathByID(1)
	const room = 20_000
	b.lines[1].down = true
	// As if so much had been sent again before, whatever is sent until then.
	allowed := func() uint64 {
		return uint64(max(reinjectLeast, wire.ByteCount(reinjectShare*float64(c.streams.counts.Sent))))
	}
	var before, under uint64
	b.run(time.Minute, func() bool {
		if !p.vitals.suspect {
			c.stats.reinjected = allowed() - room
			before, under = c.stats.reinjected, uint64(p.det.BytesInFlight())
		}
		return p.vitals.suspect
	})
	if under < 3*room {
		t.Fatalf("%d bytes under way: the test tests nothing", under)
	}
	most := uint64(room) + uint64(p.mtu.size()) + (allowed() - before - room)
	if again := c.stats.reinjected - before; again == 0 || again > most {
		t.Errorf("%d of %d bytes are sent again on suspicion, want some and %d at most", again, under, most)
	}
	log := &p.spaces[recovery.SpaceApplication].log
	if i := log.first; log.next > i && log.at(i).kind == refStream && log.at(i).copied != copySent {
		t.Error("not the oldest first")
	}
	b.run(time.Minute, x.done)
	b.over()
}
