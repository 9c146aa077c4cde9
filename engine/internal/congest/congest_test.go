package congest

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const dgram wire.ByteCount = 1200

// flow is a sender with one Controller: packets of one datagram, acknowledged or lost
// in the order in which they were sent.
type flow struct {
	t        *testing.T
	c        Controller
	now      clock.Time
	sent     []clock.Time // by packet number
	done     int          // packets with a fate
	inFlight wire.ByteCount
	roundEnd int // packet whose acknowledgment starts the next round
	srtt     time.Duration
}

func newFlow(t *testing.T, name string) *flow {
	t.Helper()
	f := &flow{t: t, now: clock.Time(time.Second), srtt: 100 * time.Millisecond}
	c, err := New(name, Config{Datagram: dgram, Now: f.now})
	if err != nil {
		t.Fatal(err)
	}
	f.c = c
	return f
}

func (f *flow) advance(d time.Duration) { f.now = f.now.Add(d) }

func (f *flow) window() wire.ByteCount { return f.c.State().Window }

// send sends n packets, whatever the window is.
func (f *flow) send(n int) {
	for range n {
		f.inFlight += dgram
		f.c.OnSent(f.now, Sent{Bytes: dgram, InFlight: f.inFlight, Number: wire.PacketNumber(len(f.sent))})
		f.sent = append(f.sent, f.now)
	}
}

// fill sends until the window is full.
func (f *flow) fill() {
	for f.inFlight+dgram <= f.window() {
		f.send(1)
	}
}

// ack acknowledges the n oldest packets with one frame that gives an RTT sample.
func (f *flow) ack(n int, rtt time.Duration) {
	f.t.Helper()
	prior := f.inFlight
	f.done += n
	f.inFlight -= wire.ByteCount(n) * dgram
	start := f.done > f.roundEnd
	if start {
		f.roundEnd = len(f.sent)
	}
	f.c.OnAck(f.now, Ack{
		Bytes: wire.ByteCount(n) * dgram, Largest: wire.PacketNumber(f.done - 1), LargestSent: f.sent[f.done-1],
		PriorInFlight: prior, InFlight: f.inFlight,
		LatestRTT: rtt, MinRTT: rtt, SmoothedRTT: f.srtt, RoundStart: start,
	})
}

// ackAll acknowledges everything in flight with one frame.
func (f *flow) ackAll() { f.ack(len(f.sent)-f.done, f.srtt) }

// lose loses the n oldest packets.
func (f *flow) lose(n int) { f.loss(n, Loss{}) }

func (f *flow) loss(n int, l Loss) {
	f.done += n
	f.inFlight -= wire.ByteCount(n) * dgram
	l.Bytes = wire.ByteCount(n) * dgram
	l.Largest, l.LargestSent, l.InFlight = wire.PacketNumber(f.done-1), f.sent[f.done-1], f.inFlight
	f.c.OnLoss(f.now, l)
}

// run keeps the window full for a time, with an ACK for each packet as it would come
// back after an RTT of f.srtt.
func (f *flow) run(d time.Duration) {
	f.t.Helper()
	f.fill()
	for end := f.now.Add(d); f.now < end; f.fill() {
		f.advance(time.Duration(float64(f.srtt) * float64(dgram) / float64(f.window())))
		f.ack(1, f.srtt)
	}
}

// recover ends the recovery period that a loss began.
func (f *flow) recover() {
	f.t.Helper()
	f.advance(time.Millisecond)
	for f.c.State().Phase == Recovery {
		if f.done == len(f.sent) {
			f.send(1)
		}
		f.advance(time.Millisecond)
		f.fill()
		f.ack(1, f.srtt)
	}
}

func (f *flow) wantWindow(want wire.ByteCount) {
	f.t.Helper()
	if got := f.window(); got != want {
		f.t.Errorf("window = %d, want %d", got, want)
	}
}

func (f *flow) wantPhase(want string) {
	f.t.Helper()
	if got := f.c.State().Phase; got != want {
		f.t.Errorf("phase = %q, want %q", got, want)
	}
}

// each runs a test with every controller whose window is what RFC 9002 and losses make
// it: all but bbr.
func each(t *testing.T, test func(t *testing.T, f *flow)) {
	for _, name := range Names() {
		if name != "bbr" {
			t.Run(name, func(t *testing.T) { test(t, newFlow(t, name)) })
		}
	}
}

func TestSlowStartDoubles(t *testing.T) {
	each(t, func(t *testing.T, f *flow) {
		f.wantPhase(SlowStart)
		for _, want := range []wire.ByteCount{24000, 48000, 96000} {
			f.fill()
			f.advance(f.srtt)
			f.ackAll()
			f.wantWindow(want)
		}
	})
}

// RFC 9002, section 7.3.1: MUST exit slow start and enter a recovery period when a
// packet is lost or the ECN-CE count rises.
func TestCongestionEndsSlowStart(t *testing.T) {
	for _, tt := range []struct {
		name string
		loss Loss
	}{{"loss", Loss{}}, {"mark", Loss{CE: true}}} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, f *flow) {
				f.fill()
				f.advance(f.srtt)
				before := f.window()
				f.loss(1, tt.loss)
				f.wantPhase(Recovery)
				if s := f.c.State(); s.Window >= before || s.SSThresh != s.Window {
					t.Errorf("window %d, then %d with threshold %d: want less, and the threshold", before, s.Window, s.SSThresh)
				}
			})
		})
	}
}

// RFC 9002, section 7.3.2: the window is reduced once per recovery period, and does
// not change within it.
func TestOneReductionPerRoundTrip(t *testing.T) {
	each(t, func(t *testing.T, f *flow) {
		f.fill()
		f.advance(f.srtt)
		f.lose(1)
		reduced := f.window()
		f.advance(f.srtt / 10)
		f.lose(2)
		f.wantWindow(reduced)
		f.ack(2, f.srtt)
		f.wantWindow(reduced)
		f.wantPhase(Recovery)

		f.send(1) // within the period: its acknowledgment ends it
		f.advance(f.srtt)
		f.ack(len(f.sent)-f.done, f.srtt)
		if got := f.c.State().Phase; got == Recovery {
			t.Errorf("still in recovery after a packet sent within it was acknowledged")
		}
		f.send(1)
		f.lose(1)
		if f.window() >= reduced {
			t.Errorf("window = %d after a loss in the next period, want less than %d", f.window(), reduced)
		}
	})
}

// RFC 9002, section 7.2: the window does not fall below two datagrams.
func TestMinimumWindow(t *testing.T) {
	each(t, func(t *testing.T, f *flow) {
		for range 20 {
			f.advance(time.Millisecond)
			f.send(1)
			f.lose(1)
		}
		f.wantWindow(2 * dgram)
	})
}

// RFC 9002, section 7.6.2: persistent congestion MUST reduce the window to the
// minimum. Slow start follows, up to the threshold.
func TestPersistentCongestion(t *testing.T) {
	each(t, func(t *testing.T, f *flow) {
		f.fill()
		f.advance(f.srtt)
		f.loss(10, Loss{Persistent: true})
		f.wantWindow(2 * dgram)
		f.wantPhase(SlowStart)
		thresh := f.c.State().SSThresh
		f.fill()
		f.advance(f.srtt)
		f.ackAll()
		f.wantWindow(4 * dgram)
		f.fill()
		f.advance(f.srtt)
		f.ackAll()
		f.wantWindow(min(8*dgram, thresh))
	})
}

// RFC 9002, section 7.8: SHOULD NOT increase an underutilized window.
func TestUnderusedWindowStays(t *testing.T) {
	each(t, func(t *testing.T, f *flow) {
		for range 5 {
			f.send(5)
			f.advance(f.srtt)
			f.ackAll()
		}
		f.wantWindow(10 * dgram)
		f.wantPhase(ApplicationLimited)

		f.fill()
		f.advance(f.srtt)
		f.lose(1)
		f.recover()
		for range 2 { // the window was full a round trip ago
			f.advance(f.srtt)
			f.ackAll()
			f.send(1)
		}
		before := f.window()
		for range 100 {
			f.advance(f.srtt)
			f.ackAll()
			f.send(1)
		}
		f.wantWindow(before)
		f.wantPhase(ApplicationLimited)
	})
}

// What was in flight before a pause does not count as use of the window after it.
func TestPauseForgetsUse(t *testing.T) {
	each(t, func(t *testing.T, f *flow) {
		f.fill()
		f.advance(f.srtt)
		f.ackAll()
		f.wantWindow(20 * dgram)
		f.advance(10 * time.Second)
		f.send(1)
		f.advance(f.srtt)
		f.ackAll()
		f.wantWindow(20 * dgram)
	})
}

// RFC 9002, section 7.2.
func TestInitialWindow(t *testing.T) {
	tests := []struct {
		name              string
		datagram, initial wire.ByteCount
		want              wire.ByteCount
	}{
		{"ten of the smallest", 1200, 0, 12000},
		{"unset is the smallest", 0, 0, 12000},
		{"ten of 1472", 1472, 0, 14720},
		{"limited", 1500, 0, 14720},
		{"two of a jumbo frame", 9000, 0, 18000},
		{"configured", 1200, 50000, 50000},
		{"configured too small", 1200, 1, 2400},
	}
	for _, tt := range tests {
		for _, name := range Names() {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				c, err := New(name, Config{Datagram: tt.datagram, InitialWindow: tt.initial, Now: 1})
				if err != nil {
					t.Fatal(err)
				}
				if got := c.State().Window; got != tt.want {
					t.Errorf("window = %d, want %d", got, tt.want)
				}
			})
		}
	}
}

// RFC 9002, section 7.2: the initial window SHOULD be recalculated when the datagram
// size changes; a window that was found stays, above the minimum.
func TestSetDatagram(t *testing.T) {
	each(t, func(t *testing.T, f *flow) {
		f.c.(DatagramSizer).SetDatagram(1472)
		f.wantWindow(14720)
		f.fill()
		f.advance(f.srtt)
		f.ackAll()
		before := f.window()
		f.c.(DatagramSizer).SetDatagram(9000)
		f.wantWindow(max(before, 18000))
		for range 5 {
			f.advance(time.Millisecond)
			f.send(1)
			f.lose(1)
		}
		f.wantWindow(18000)
	})
}

func TestAllocations(t *testing.T) {
	for _, name := range Names() {
		f := newFlow(t, name)
		f.sent = make([]clock.Time, 0, 100_000)
		if n := testing.AllocsPerRun(100, func() {
			f.send(3)
			f.advance(f.srtt)
			if o, ok := f.c.(PacketLossObserver); ok {
				o.OnPacketLost(f.now, LostPacket{Number: wire.PacketNumber(f.done), Bytes: dgram, TxInFlight: 3 * dgram, LostSince: dgram})
			}
			f.lose(1)
			f.ack(2, f.srtt)
			_ = f.c.State()
		}); n != 0 {
			t.Errorf("%s: %v allocations per round, want 0", name, n)
		}
	}
}
