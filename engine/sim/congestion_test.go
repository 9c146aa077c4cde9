package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// wifi is the link of that name in the topology lte-wifi: 0.1 % of the packets are
// lost at random.
func wifi() Link {
	l := fast()
	l.Name = "wifi"
	way := emulation.Impairments{
		Delay: 8 * time.Millisecond, Jitter: 2 * time.Millisecond, Loss: 0.001, Queue: emulation.Queue{Time: 100 * time.Millisecond},
	}
	l.Up, l.Down = way, way
	l.Up.Rate, l.Down.Rate = 30e6, 60e6
	return l
}

// withLoss is l with that share of its packets lost, both ways.
func withLoss(l Link, loss float64) Link {
	l.Up.Loss, l.Down.Loss = loss, loss
	return l
}

// goodputs are those of downloads of 10 s with the seeds from 1 on, sorted, in bit/s.
func goodputs(t testing.TB, l Link, congestion string, seeds int) (out []float64) {
	t.Helper()
	for seed := range seeds {
		r, err := Run(t.Context(), Config{
			Links: []Link{l}, Seed: uint64(seed) + 1, Sender: Server, Congestion: congestion,
			Bulk: workload.Bulk{Seed: 1, Duration: 10 * time.Second, Streams: 1},
		})
		if err != nil || r.Err() != nil {
			t.Fatalf("%s, seed %d: %v, %v", congestion, seed+1, err, r.Err())
		}
		out = append(out, r.Goodput())
	}
	slices.Sort(out)
	return out
}

// With packets lost at random bbr does not take the losses for congestion: it fills
// most of the link, where cubic cannot.
func TestBBRAtRandomLoss(t *testing.T) {
	for _, tt := range []struct {
		name string
		link Link
	}{{"wifi", wifi()}, {"lte with 0.1 % loss", withLoss(lte(), 0.001)}} {
		t.Run(tt.name, func(t *testing.T) {
			bbr, cubic := goodputs(t, tt.link, "bbr", 3)[1], goodputs(t, tt.link, "cubic", 3)[1]
			if bbr < 1.5*cubic || bbr < 0.8*float64(tt.link.Down.Rate) {
				t.Errorf("medians of three: bbr %.1f, cubic %.1f Mbit/s over a link of %.0f; want half as much again, and 0.8 of the link",
					bbr/1e6, cubic/1e6, float64(tt.link.Down.Rate)/1e6)
			}
		})
	}
}

// Every control moves data over one path.
func TestEveryCongestionControl(t *testing.T) {
	for _, name := range congest.Names() {
		t.Run(name, func(t *testing.T) {
			c := download(fast(), 2<<20)
			c.Congestion = name
			r, err := Run(t.Context(), c)
			if err != nil || r.Err() != nil {
				t.Fatalf("%v, %v", err, r.Err())
			}
			if g := r.Goodput(); g < 20e6 || g > 40e6 {
				t.Errorf("goodput %.1f Mbit/s, want 20 to the link's 40", g/1e6)
			}
			if got := r.Stats[0].Congestion; got != name {
				t.Errorf("control %q in use, want %q", got, name)
			}
		})
	}
}

// BenchmarkCongestion gives the median, least and largest goodput over 11 seeds.
func BenchmarkCongestion(b *testing.B) {
	const seeds = 11
	for _, bench := range []struct {
		link string
		l    Link
	}{
		{"lte", lte()}, {"wifi", wifi()}, {"lte,loss=0.1%", withLoss(lte(), 0.001)}, {"wifi,loss=1%", withLoss(wifi(), 0.01)},
	} {
		for _, name := range congest.Names() {
			b.Run("link="+bench.link+"/control="+name, func(b *testing.B) {
				var got []float64
				for b.Loop() {
					got = goodputs(b, bench.l, name, seeds)
				}
				b.ReportMetric(got[seeds/2]/1e6, "Mbit/s")
				b.ReportMetric(got[0]/1e6, "least-Mbit/s")
				b.ReportMetric(got[seeds-1]/1e6, "most-Mbit/s")
			})
		}
	}
}
