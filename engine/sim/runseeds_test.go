package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/simnet"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// TestRunSeeds moves data with Run over links that do what a seed makes up: loss,
// jitter, short queues, duplicates, corruption, reordering, blackouts, a shrinking
// MTU, a NAT that rebinds. Whatever it is, every byte arrives.
func TestRunSeeds(t *testing.T) {
	const ordinary = 20
	for seed := range seedRange(t, ordinary) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := seededConfig(seed)
			r, err := Run(t.Context(), c)
			if err != nil || r.Err() != nil || r.Receiver.Bytes != c.Bulk.Bytes {
				t.Errorf("%d of %d bytes after %v: %v, %v\nlink: %+v\n%s",
					r.Receiver.Bytes, c.Bulk.Bytes, r.Elapsed, err, r.Err(), c.Links[0], replay("TestRunSeeds", seed))
			}
		})
	}
}

// seededConfig makes up a transfer.
func seededConfig(seed uint64) Config {
	rng := rand.New(rand.NewPCG(seed, 0))
	l := fast()
	l.MTU = 1300 + rng.IntN(8000)
	for _, imp := range []*emulation.Impairments{&l.Up, &l.Down} {
		*imp = emulation.Impairments{
			Rate:  emulation.Rate(1e6 * (1 + rng.IntN(20))),
			Delay: time.Duration(rng.IntN(100)) * time.Millisecond,
			Loss:  maybe(rng, 0.05),
			Queue: emulation.Queue{Packets: 10 + rng.IntN(200)},
		}
		imp.Jitter = time.Duration(rng.Int64N(int64(imp.Delay) + 1))
	}
	for way := range l.faults {
		l.faults[way] = seededFaults(rng, simnet.Way(way))
	}
	c := Config{
		Links: []Link{l}, Seed: seed, Sender: Side(rng.IntN(2)), Connections: 1 + rng.IntN(2),
		Bulk:      workload.Bulk{Seed: seed, Bytes: 1 + rng.Int64N(4<<20), Streams: 1 + rng.IntN(5)},
		KeepAlive: 2 * time.Second, Bound: 10 * time.Minute,
	}
	c.Congestion = pick(draw{rng}, congest.Names()...)
	return c
}

// maybe returns a number up to most, or half the time 0.
func maybe(rng *rand.Rand, most float64) float64 {
	return max(0, (2*rng.Float64()-1)*most)
}

func seededFaults(rng *rand.Rand, way simnet.Way) simnet.Faults {
	// Not in the handshake, which no rebinding survives (RFC 9000, section 9).
	at := func() clock.Time {
		return clock.Time(time.Second).Add(2*time.Second + time.Duration(rng.Int64N(int64(5*time.Second))))
	}
	f := simnet.Faults{
		Duplicate: maybe(rng, 0.1), Corrupt: maybe(rng, 0.02), Reorder: maybe(rng, 0.2),
		MaxWait: time.Duration(1+rng.IntN(50)) * time.Millisecond,
	}
	if rng.IntN(3) == 0 {
		from := at()
		f.Blackouts = append(f.Blackouts, simnet.Blackout{From: from, To: from.Add(time.Duration(1 + rng.Int64N(int64(3*time.Second))))})
	}
	if rng.IntN(3) == 0 {
		f.MTUs = append(f.MTUs, simnet.MTUChange{At: at(), MTU: 1280 + rng.IntN(300)})
	}
	if way == simnet.Up && rng.IntN(3) == 0 { // the client is behind the NAT
		for range 1 + rng.IntN(2) {
			f.Rebindings = append(f.Rebindings, simnet.Rebinding{At: at(), Ports: uint16(1 + rng.IntN(1000))})
		}
	}
	return f
}
