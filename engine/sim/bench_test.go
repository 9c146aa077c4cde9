package sim

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// lte is the link of that name in the topology lte-wifi.
func lte() Link {
	l := fast()
	l.Name, l.MTU = "lte", 1400
	way := emulation.Impairments{Delay: 35 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.0001, Queue: emulation.Queue{Time: 300 * time.Millisecond}}
	l.Up, l.Down = way, way
	l.Up.Rate, l.Down.Rate = 12e6, 40e6
	return l
}

// BenchmarkRun is how much quicker than real time a bulk transfer of 10 s is: seconds
// of virtual time in a second.
func BenchmarkRun(b *testing.B) {
	for _, bench := range []struct {
		name string
		link Link
	}{{"link=lte", lte()}, {"link=fast", fast()}} {
		b.Run(bench.name, func(b *testing.B) {
			c := Config{Links: []Link{bench.link}, Seed: 1, Bulk: workload.Bulk{Seed: 1, Duration: 10 * time.Second, Streams: 1}, Sender: Server}
			var virtual time.Duration
			var events uint64
			for b.Loop() {
				r, err := Run(b.Context(), c)
				if err != nil || r.Err() != nil {
					b.Fatal(err, r.Err())
				}
				b.SetBytes(r.Receiver.Bytes)
				virtual += r.SetUp + r.Elapsed
				events += r.Events
			}
			b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "virtual-s/s")
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
