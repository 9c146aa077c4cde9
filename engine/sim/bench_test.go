package sim

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// BenchmarkTransfer is a download of ten seconds at 40 Mbit/s, both sides computed
// on one core. times-real is virtual time over real time.
func BenchmarkTransfer(b *testing.B) {
	for _, loss := range []float64{0, 0.001} {
		b.Run("loss="+map[float64]string{0: "0", 0.001: "0.1%"}[loss], func(b *testing.B) {
			l := fast()
			l.Down = emulation.Impairments{Rate: 40e6, Delay: 10 * time.Millisecond, Loss: loss, Queue: emulation.Queue{Time: 60 * time.Millisecond}}
			c := download(l, 0)
			c.Bulk.Duration = 10 * time.Second
			var virtual time.Duration
			var packets, bytes uint64
			b.ReportAllocs()
			for b.Loop() {
				r, err := Run(b.Context(), c)
				if err != nil {
					b.Fatal(err)
				}
				virtual += r.SetUp + r.Elapsed
				packets += r.Links[0].Down.ArrivedPackets + r.Links[0].Up.ArrivedPackets
				bytes += uint64(r.Receiver.Bytes)
			}
			b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "times-real")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
			b.ReportMetric(float64(bytes)*8/1e6/virtual.Seconds(), "Mbit/s")
		})
	}
}
