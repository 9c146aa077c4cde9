package recovery

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// link has a rate and a queue that drops at its end, and loses packets at random.
type link struct {
	rate  float64        // byte/s
	queue wire.ByteCount // beyond what it carries
	loss  float64        // of packets
	mark  wire.ByteCount // queue from which on packets are marked CE; 0: none are

	random  *rand.Rand
	free    clock.Time // when it has sent all it was given
	deepest wire.ByteCount
}

func newLink(mbit float64) *link {
	return &link{rate: mbit * 1e6 / 8, random: rand.New(rand.NewPCG(1, 2))}
}

// take takes a packet in and returns when it is through.
func (l *link) take(now clock.Time) (through clock.Time, marked, ok bool) {
	l.free = max(l.free, now)
	waiting := wire.ByteCount(l.free.Sub(now).Seconds() * l.rate)
	if waiting > l.queue || l.random.Float64() < l.loss {
		return 0, false, false
	}
	l.deepest = max(l.deepest, waiting)
	l.free = l.free.Add(time.Duration(float64(dgram) / l.rate * 1e9))
	return l.free, l.mark > 0 && waiting > l.mark, true
}

// bottleneck is a path over a link, with a receiver that acknowledges every so many
// packets. A sender that always has data works through a Detector, with timers that
// are late.
type bottleneck struct {
	*link
	rtt   time.Duration
	every int           // packets per ACK frame
	late  time.Duration // of each timer

	d         *Detector
	now       clock.Time
	next      wire.PacketNumber
	delivered int
	ecn       Ack      // the receiver's counts
	phases    []string // that the controller went through
	out       Result
	received  []wire.Range // newest first
	fresh     int          // received since the last ACK frame
	arrivals  []arrival
	lost      int
}

// arrival is when a packet has arrived and its acknowledgment is back.
type arrival struct {
	at     clock.Time
	number wire.PacketNumber
	marked bool
}

func (b *bottleneck) send() {
	b.d.OnSent(SpaceApplication, Sent{
		Number: b.next, Time: b.now, Size: dgram, AckEliciting: true, InFlight: true, ECT: b.mark > 0,
	})
	if through, marked, ok := b.take(b.now); ok {
		b.arrivals = append(b.arrivals, arrival{through.Add(b.rtt), b.next, marked})
	} else {
		b.lost++
	}
	b.next++
}

// receive notes a packet at the receiver and returns the ranges to acknowledge, if it
// is time.
func (b *bottleneck) receive(n wire.PacketNumber) []wire.Range {
	if k := len(b.received); k > 0 && b.received[0].Largest == n-1 {
		b.received[0].Largest = n
	} else {
		b.received = append([]wire.Range{one(n)}, b.received[:min(k, 31)]...)
		b.fresh = b.every // a gap is acknowledged at once
	}
	if b.fresh++; b.fresh < b.every && len(b.arrivals) > 0 {
		return nil
	}
	b.fresh = 0
	return b.received
}

// run returns the goodput as a share of the link's rate.
func (b *bottleneck) run(t *testing.T, d time.Duration) float64 {
	t.Helper()
	return runTogether(t, d, b)[0]
}

// runTogether has several flows send for d, each as from its own time, and returns
// their shares.
func runTogether(t *testing.T, d time.Duration, flows ...*bottleneck) []float64 {
	t.Helper()
	end := flows[0].now.Add(d)
	before := make([]int, len(flows))
	for i, b := range flows {
		before[i] = b.delivered
	}
	for {
		first, at := flows[0], clock.Never
		for _, b := range flows {
			if due := b.due(); due < at {
				first, at = b, due
			}
		}
		if at >= end {
			break
		}
		first.now = max(first.now, at)
		first.step(t)
	}
	shares := make([]float64, len(flows))
	for i, b := range flows {
		b.now = end
		shares[i] = float64(b.delivered-before[i]) * float64(dgram) / d.Seconds() / b.rate
	}
	return shares
}

func (b *bottleneck) room() (allowed wire.ByteCount, next clock.Time) {
	allowed, next = b.d.Budget(b.now, 44*dgram)
	if b.d.ProbesDue(SpaceApplication) > 0 {
		allowed = max(allowed, dgram)
	}
	return allowed, next
}

// due returns when the flow has something to do.
func (b *bottleneck) due() clock.Time {
	allowed, next := b.room()
	if allowed >= dgram {
		return b.now
	}
	wake := max(b.now, min(next, b.d.Timeout()).Add(b.late))
	if len(b.arrivals) > 0 {
		wake = min(wake, max(b.now, b.arrivals[0].at))
	}
	return wake
}

// step does what is due now.
func (b *bottleneck) step(t *testing.T) {
	t.Helper()
	if allowed, _ := b.room(); allowed >= dgram {
		for range allowed / dgram {
			b.send()
		}
		return
	}
	b.out.Reset()
	if len(b.arrivals) == 0 || b.arrivals[0].at > b.now {
		b.d.HandleTimeout(b.now, &b.out)
		return
	}
	b.acknowledge(t)
}

// acknowledge has the next packet arrive.
func (b *bottleneck) acknowledge(t *testing.T) {
	t.Helper()
	b.out.Reset()
	a := b.arrivals[0]
	b.arrivals = b.arrivals[1:]
	b.delivered++
	if b.mark > 0 {
		b.ecn.HasECN = true
		if a.marked {
			b.ecn.CE++
		} else {
			b.ecn.ECT0++
		}
	}
	if ranges := b.receive(a.number); ranges != nil {
		frame := b.ecn
		frame.Largest = a.number
		if err := b.d.Ack(b.now, SpaceApplication, frame, seq(ranges), &b.out); err != nil {
			t.Fatal(err)
		}
		if phase := b.d.State().Phase; len(b.phases) == 0 || b.phases[len(b.phases)-1] != phase {
			b.phases = append(b.phases, phase)
		}
	}
}

// A sender that always has data fills a link, whatever the ACK frequency, with timers
// as late as they are.
func TestFillsABottleneck(t *testing.T) {
	tests := []struct {
		name  string
		mbit  float64
		rtt   time.Duration
		queue float64 // in RTTs' worth
		every int
		late  time.Duration
	}{
		{"10 Mbit/s 40 ms", 10, 40 * ms, 1, 2, 0},
		{"100 Mbit/s 20 ms", 100, 20 * ms, 1, 2, ms},
		{"100 Mbit/s 20 ms, few ACKs", 100, 20 * ms, 1, 32, ms},
		{"1 Gbit/s 5 ms, few ACKs", 1000, 5 * ms, 1, 32, ms},
		{"100 Mbit/s 20 ms, half a queue", 100, 20 * ms, 0.5, 10, ms},
	}
	for _, tt := range tests {
		// Coupled controllers are newreno over one path.
		for _, name := range []string{"newreno", "cubic", "bbr"} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				c, err := congest.New(name, congest.Config{Now: start})
				if err != nil {
					t.Fatal(err)
				}
				b := &bottleneck{
					link: newLink(tt.mbit), rtt: tt.rtt, every: tt.every, late: tt.late,
					d: New(Config{Side: wire.Server, Controller: c}), now: start,
				}
				b.d.HandshakeConfirmed()
				b.queue = wire.ByteCount(b.rate * tt.rtt.Seconds() * tt.queue)
				share := b.run(t, 3*time.Second)
				t.Logf("%.3f of the link, %d of %d packets lost, %+v", share, b.lost, b.next, b.d.State())
				if share < 0.85 || share > 1.001 {
					t.Errorf("goodput is %.3f of the link's rate, want 0.85 at least", share)
				}
				if float64(b.lost) > 0.05*float64(b.next) {
					t.Errorf("%d of %d packets lost, want a twentieth at most", b.lost, b.next)
				}
			})
		}
	}
}
