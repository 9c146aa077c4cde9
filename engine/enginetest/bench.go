package enginetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// Benchmark measures goodput over loopback, dialler to listener in one process: an
// iteration is 64 MiB on one stream of a session that is up. The pattern and its
// check are part of it.
func Benchmark(b *testing.B, e engine.Engine, o Options) {
	const size = 64 << 20
	creds, err := newCredentials()
	if err != nil {
		b.Fatal(err)
	}
	c := newBench(b, e, o, creds)
	d, a := c.pair(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		transfer(b, c, []engine.Session{d}, []engine.Session{a}, workload.Bulk{Seed: 1, Bytes: size, Streams: 1}, workload.Send)
	}
}

// shapedSeconds is how long an iteration of BenchmarkTwoPaths sends.
const shapedSeconds = 5

// BenchmarkTwoPaths measures one stream over two links of unequal rate, shaped by tbf
// at both ends, from listener to dialler. It reports goodput and what part of the
// links' sum that is, headers counted as waste.
func BenchmarkTwoPaths(b *testing.B, e engine.Engine) {
	for _, mbits := range [][pathCount]int{{30, 60}, {60, 30}, {20, 100}} {
		b.Run(fmt.Sprintf("mbits=%d+%d", mbits[0], mbits[1]), func(b *testing.B) {
			sum := float64(mbits[0] + mbits[1])
			var goodput float64
			runs := 0
			for b.Loop() {
				n := newTwoNodes(b)
				for i, m := range mbits {
					n.shape(b, i, fmt.Sprintf("%dmbit", m))
				}
				paths := n.listen(b, e.Name(), 1, "")
				n.start(b, e.Name(), paths, workload.Bulk{Seed: 1, Duration: shapedSeconds * time.Second, Streams: 1}, workload.Receive)
				d, l := n.finish(b)
				goodput += float64(d.Report.Bytes) * 8e3 / float64(d.Report.LastNS-l.Report.StartNS)
				runs++
				b.Logf("sender: %+v, longest gap %v", l.Stats[0].Paths, d.Report.MaxGap)
			}
			goodput /= float64(runs)
			b.ReportMetric(goodput, "Mbit/s")
			b.ReportMetric(100*goodput/sum, "%sum")
		})
	}
}
