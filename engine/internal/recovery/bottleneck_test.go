package recovery

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// bottleneck is a link with a rate, a delay and a queue that drops at its end, and a
// receiver that acknowledges every so many packets. A sender that always has data
// works through a Detector, with timers that are late.
type bottleneck struct {
	rate  float64 // byte/s
	rtt   time.Duration
	queue wire.ByteCount // beyond what the link carries
	every int            // packets per ACK frame
	late  time.Duration  // of each timer

	d        *Detector
	now      clock.Time
	next     wire.PacketNumber
	free     clock.Time   // when the link has sent all it was given
	received []wire.Range // newest first
	fresh    int          // received since the last ACK frame
	arrivals []arrival
	lost     int
}

// arrival is when a packet has arrived and its acknowledgment is back.
type arrival struct {
	at     clock.Time
	number wire.PacketNumber
}

func (b *bottleneck) send() {
	b.d.OnSent(SpaceApplication, Sent{Number: b.next, Time: b.now, Size: dgram, AckEliciting: true, InFlight: true})
	b.free = max(b.free, b.now)
	if wire.ByteCount(b.free.Sub(b.now).Seconds()*b.rate) <= b.queue {
		b.free = b.free.Add(time.Duration(float64(dgram) / b.rate * 1e9))
		b.arrivals = append(b.arrivals, arrival{b.free.Add(b.rtt), b.next})
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
	var out Result
	delivered, end := 0, b.now.Add(d)
	for b.now < end {
		allowed, next := b.d.Budget(b.now, 44*dgram)
		if b.d.ProbesDue(SpaceApplication) > 0 {
			allowed = max(allowed, dgram)
		}
		if allowed >= dgram {
			for range allowed / dgram {
				b.send()
			}
			continue
		}
		wake := min(next, b.d.Timeout()).Add(b.late)
		out.Reset()
		if len(b.arrivals) > 0 && b.arrivals[0].at <= wake {
			a := b.arrivals[0]
			b.arrivals = b.arrivals[1:]
			b.now = max(b.now, a.at)
			delivered++
			if ranges := b.receive(a.number); ranges != nil {
				if err := b.d.Ack(b.now, SpaceApplication, Ack{Largest: a.number}, seq(ranges), &out); err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		b.now = wake
		b.d.HandleTimeout(b.now, &out)
	}
	return float64(delivered) * float64(dgram) / d.Seconds() / b.rate
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
		for _, name := range congest.Names() {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				c, err := congest.New(name, congest.Config{Now: start})
				if err != nil {
					t.Fatal(err)
				}
				b := &bottleneck{
					rate: tt.mbit * 1e6 / 8, rtt: tt.rtt, every: tt.every, late: tt.late,
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
