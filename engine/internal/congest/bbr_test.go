package congest

import (
	"math"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// model is a bbr that knows its path: 1.2 MB/s and 100 ms, 100 datagrams, in state
// Cruise.
func model() *bbr {
	b := newBBR(Config{Datagram: dgram, Now: clock.Time(time.Second), Random: func() uint64 { return 0 }})
	b.maxBWFilter[1], b.bw = 1.2e6, 1.2e6
	b.minRTT, b.probeRTTMinDelay = 100*ms, 100*ms
	b.fullBWReached, b.timed = true, true
	b.cwnd = 200 * dgram
	b.state = bbrCruise
	b.cycleStamp, b.probeWait = clock.Time(time.Second), 2*time.Second
	return b
}

func near(t *testing.T, what string, got, want wire.ByteCount) {
	t.Helper()
	if got < want-1 || got > want+1 {
		t.Errorf("%s = %d, want %d", what, got, want)
	}
}

func wantState(t *testing.T, b *bbr, want bbrState) {
	t.Helper()
	if b.state != want {
		t.Errorf("state %s, want %s", bbrModes[b.state].phase, bbrModes[want].phase)
	}
}

// draft-ietf-ccwg-bbr, section 5.6.2: 2.77 times the initial window per RTT, which is
// 1 ms until it is known.
func TestBBRInitialPacing(t *testing.T) {
	c, err := New("bbr", Config{Now: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.State().PacingRate, int64(2.77*12000/0.001); got != want {
		t.Errorf("pacing rate = %d, want %d", got, want)
	}
	if s := c.State(); s.Phase != "startup" || s.SSThresh != 0 {
		t.Errorf("state %+v, want startup without a threshold", s)
	}
	c.OnSent(1, Sent{Bytes: dgram, InFlight: dgram})
	c.OnAck(clock.Time(50*ms), Ack{
		Bytes: dgram, LargestSent: 1, PriorInFlight: dgram, Delivered: dgram, LatestRTT: 50 * ms, MinRTT: 50 * ms, SmoothedRTT: 50 * ms,
	})
	if got, want := c.State().PacingRate, int64(2.77*12000/0.05); got != want {
		t.Errorf("pacing rate with an RTT of 50 ms = %d, want %d", got, want)
	}
}

// Section 5.6.4.2, by hand: 1.2 MB/s times 100 ms is 100 datagrams.
func TestBBRInflight(t *testing.T) {
	b := model()
	near(t, "bdp", b.bdp(), 100*dgram)
	near(t, "inflight(2)", b.inflight(b.bw, 2), 200*dgram)
	b.state = bbrUp
	near(t, "inflight(1.25) in Up", b.inflight(b.bw, 1.25), 127*dgram)
	b.bw = 1
	b.state = bbrCruise
	b.sendQuantum = 0
	near(t, "inflight of a slow path", b.inflight(b.bw, 1), 4*dgram)
	b.sendQuantum = 9 * dgram
	near(t, "inflight with a quantum of 9", b.inflight(b.bw, 1), 9*dgram)
	b.minRTT = noRTT
	near(t, "inflight without an RTT", b.inflight(1.2e6, 1), 10*dgram)
	near(t, "bdp without an RTT", b.bdp(), 0)
}

// Section 5.3.3.9: a headroom of 15 %, of a datagram at least.
func TestBBRHeadroom(t *testing.T) {
	tests := []struct{ longterm, want wire.ByteCount }{
		{noVolume, noVolume},
		{100 * dgram, 85 * dgram},
		{6 * dgram, 5 * dgram},
		{4 * dgram, 4 * dgram}, // section 5.6.4.3: at least
	}
	for _, tt := range tests {
		b := model()
		b.inflightLongterm = tt.longterm
		if got := b.inflightWithHeadroom(); got != tt.want {
			t.Errorf("of %d, %d may be used, want %d", tt.longterm, got, tt.want)
		}
	}
}

// Section 5.5.10.2: (0.02 * 99 - 1.5) / 0.98 = 0.4898 of the packet were too much, with
// one and a half lost before it among 99 in flight.
func TestBBRInflightAtLoss(t *testing.T) {
	p := LostPacket{Bytes: dgram, TxInFlight: 100 * dgram, LostSince: 5 * dgram / 2}
	near(t, "inflight at the loss", inflightAtLoss(p), 119387)
}

// Section 5.5.10.2: more than 2 % lost while probing ends Up and bounds the volume.
func TestBBRLossInUp(t *testing.T) {
	lost := LostPacket{Number: 7, Bytes: dgram, TxInFlight: 120 * dgram, LostSince: 2 * dgram}
	b := model()
	b.state, b.isProbeSample = bbrUp, true
	b.OnPacketLost(2e9, lost)
	wantState(t, b, bbrUp) // 1.67 %
	lost.Number, lost.LostSince = 8, 3*dgram
	b.OnPacketLost(2e9, lost)
	wantState(t, b, bbrDown)
	// 119 before it, (0.02*119 - 2)/0.98 of it.
	near(t, "long-term volume", b.inflightLongterm, 143265)
	if !b.prevTooHigh || b.isProbeSample {
		t.Error("the probe is not remembered as too high, once")
	}

	// Never below Beta times the target: 0.7 * 100.
	b = model()
	b.state, b.isProbeSample = bbrUp, true
	b.OnPacketLost(2e9, LostPacket{Bytes: dgram, TxInFlight: 20 * dgram, LostSince: dgram})
	near(t, "long-term volume", b.inflightLongterm, 70*dgram)

	// Without data it says nothing of the volume.
	b = model()
	b.state, b.isProbeSample = bbrUp, true
	b.OnPacketLost(2e9, LostPacket{Bytes: dgram, TxInFlight: 20 * dgram, LostSince: dgram, AppLimited: true})
	wantState(t, b, bbrDown)
	if b.inflightLongterm != noVolume {
		t.Errorf("long-term volume = %d, want none", b.inflightLongterm)
	}
}

// Section 5.5.10.3: a round trip with losses in Cruise takes the short-term model to
// what was delivered, at most by 30 %.
func TestBBRLowerBounds(t *testing.T) {
	tests := []struct {
		name           string
		latest         float64
		volume         wire.ByteCount
		rate           float64
		inflight       wire.ByteCount
		alreadyLowered bool
	}{
		{"delivered most", 1.0e6, 180 * dgram, 1.0e6, 180 * dgram, false},
		{"delivered little", 0.1e6, 10 * dgram, 0.84e6, 140 * dgram, false},
		{"again", 0.1e6, 10 * dgram, 0.588e6, 98 * dgram, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := model()
			if tt.alreadyLowered {
				b.bwShortterm, b.inflightShortterm = 0.84e6, 140*dgram
			}
			b.isLossInRound, b.lossRoundStart = true, true
			b.bwLatest, b.inflightLatest = tt.latest, tt.volume
			b.updateCongestionSignals(&Ack{})
			if math.Abs(b.bwShortterm-tt.rate) > 1 {
				t.Errorf("short-term rate = %.0f, want %.0f", b.bwShortterm, tt.rate)
			}
			near(t, "short-term volume", b.inflightShortterm, tt.inflight)
		})
	}
	// Not while it probes.
	for _, state := range []bbrState{bbrStartup, bbrRefill, bbrUp} {
		b := model()
		b.state = state
		b.isLossInRound, b.lossRoundStart = true, true
		b.updateCongestionSignals(&Ack{})
		if b.bwShortterm != noRate || b.inflightShortterm != noVolume {
			t.Errorf("the short-term model is bounded in %s", bbrModes[state].phase)
		}
	}
}

// draft-ietf-ccwg-bbr, section 3.7: MUST treat CE marks as congestion.
func TestBBRMarks(t *testing.T) {
	b := model()
	b.OnLoss(2e9, Loss{CE: true, LargestSent: 2e9 - 1, Delivered: 100})
	if !b.isLossInRound || !b.recovering {
		t.Error("a mark in Cruise is not taken for a loss")
	}

	b = model()
	b.state, b.isProbeSample = bbrUp, true
	a := Ack{CE: 2, Rate: RateSample{TxInFlight: 110 * dgram}}
	b.noteMarks(2e9, &a)
	wantState(t, b, bbrUp) // 1.8 %
	a.CE = 1
	b.noteMarks(2e9, &a)
	wantState(t, b, bbrDown)
	near(t, "long-term volume", b.inflightLongterm, 110*dgram)

	b = model()
	b.state, b.fullBWReached = bbrStartup, false
	b.recovering, b.lossRoundStart = true, true
	b.marked, b.inflightLatest = 3*dgram, 120*dgram
	b.checkStartupDone(&Ack{})
	wantState(t, b, bbrDrain)
}

// Section 5.3.1.3: Startup ends for losses when more than 2 % are lost, in six
// stretches, over a round trip of recovery.
func TestBBRStartupHighLoss(t *testing.T) {
	tests := []struct {
		name       string
		numbers    []wire.PacketNumber
		lost       wire.ByteCount
		recovering bool
		want       bbrState
	}{
		{"six stretches", []wire.PacketNumber{1, 3, 5, 7, 9, 11}, 6 * dgram, true, bbrDrain},
		{"five stretches", []wire.PacketNumber{1, 3, 5, 6, 7, 9, 10, 12}, 8 * dgram, true, bbrStartup},
		{"2 %", []wire.PacketNumber{1, 3, 5, 7, 9, 11}, 2 * dgram, true, bbrStartup},
		{"no round trip of recovery", []wire.PacketNumber{1, 3, 5, 7, 9, 11}, 6 * dgram, false, bbrStartup},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := model()
			b.state, b.fullBWReached = bbrStartup, false
			for _, n := range tt.numbers {
				b.OnPacketLost(2e9, LostPacket{Number: n, Bytes: dgram, TxInFlight: 100 * dgram, LostSince: dgram})
			}
			b.recovering, b.lossRoundStart, b.inflightLatest = tt.recovering, true, 130*dgram
			b.checkStartupDone(&Ack{Rate: RateSample{Lost: tt.lost, TxInFlight: 100 * dgram}})
			wantState(t, b, tt.want)
			if tt.want == bbrDrain {
				near(t, "long-term volume", b.inflightLongterm, 130*dgram)
			}
		})
	}
}

// Section 5.3.1.2: three round trips with less than a quarter more each, with rates
// that the sender did not limit.
func TestBBRFullPipe(t *testing.T) {
	b := newBBR(Config{Now: 1, Random: func() uint64 { return 0 }})
	b.roundStart = true
	for i, step := range []struct {
		rate    int64
		limited bool
		count   int
	}{
		{1000, false, 0},
		{1250, false, 0}, // a quarter more
		{1562, false, 1},
		{1562, true, 1}, // limited by the sender
		{0, false, 1},   // no sample
		{1000, false, 2},
		{1563, false, 0}, // grows again
		{1563, false, 1},
		{1563, false, 2},
		{1563, false, 3},
	} {
		b.checkFullBW(&Ack{AppLimited: step.limited, Rate: RateSample{Rate: step.rate}})
		if b.fullBWCount != step.count || b.fullBWReached != (step.count == 3) {
			t.Fatalf("step %d: count %d, full %v, want %d", i, b.fullBWCount, b.fullBWReached, step.count)
		}
	}
}

// Section 5.3.3.5: the bound grows by 1, 2, 4 ... datagrams per window acknowledged in
// the round trips of Up.
func TestBBRRaisesTheBound(t *testing.T) {
	b := model()
	b.cwnd, b.inflightLongterm, b.limited[0] = 64*dgram, 64*dgram, true
	b.startUp(&Ack{})
	for round, want := range []wire.ByteCount{65, 67, 71, 79} {
		for range b.inflightLongterm / dgram {
			b.probeLongtermUpward(&Ack{Bytes: dgram})
			b.cwnd = b.inflightLongterm
		}
		if got := b.inflightLongterm; got != want*dgram {
			t.Errorf("bound after %d round trips = %d datagrams, want %d", round+1, got/dgram, want)
		}
		b.raiseLongtermSlope()
	}
	// Not when something else limits the sender.
	before := b.inflightLongterm
	b.limited = [2]bool{}
	b.probeLongtermUpward(&Ack{Bytes: 1000 * dgram})
	if b.inflightLongterm != before {
		t.Error("the bound was raised and is not in use")
	}
}

// Sections 5.3.3.6 and 5.3.3.8: after a probe that went too high the next one stops at
// the bound, and if that goes well another follows at once.
func TestBBRPrecaution(t *testing.T) {
	b := model()
	b.state, b.prevTooHigh, b.inflightLongterm = bbrUp, true, 110*dgram
	a := Ack{InFlight: 109 * dgram}
	b.updateCyclePhase(2e9, &a)
	wantState(t, b, bbrUp)
	a.InFlight = 110 * dgram
	b.updateCyclePhase(2e9, &a)
	wantState(t, b, bbrDown)
	if b.prevTooHigh {
		t.Error("the probe without loss counts as too high")
	}
	b.roundStart = true
	b.updateCyclePhase(2e9, &a)
	wantState(t, b, bbrRefill)
	b.updateCyclePhase(2e9, &a)
	wantState(t, b, bbrUp)
}

// Section 5.3.3.8: 2 to 3 s, or as many round trips as the target has datagrams, 63 at
// most.
func TestBBRProbeWait(t *testing.T) {
	b := model()
	for _, r := range []uint64{0, 1, 12345678901, math.MaxUint64} {
		b.random = func() uint64 { return r }
		b.pickProbeWait()
		if b.probeWait < 2*time.Second || b.probeWait >= 3*time.Second || b.roundsSinceProbeUp != r&1 {
			t.Errorf("with %d: wait %v, %d round trips", r, b.probeWait, b.roundsSinceProbeUp)
		}
	}
	tests := []struct {
		name   string
		cwnd   wire.ByteCount
		rounds uint64
		after  time.Duration
		want   bbrState
	}{
		{"62 round trips", 200 * dgram, 62, time.Second, bbrCruise},
		{"63 round trips", 200 * dgram, 63, time.Second, bbrRefill},
		{"a small target", 20 * dgram, 20, time.Second, bbrRefill},
		{"the wait", 200 * dgram, 5, 2*time.Second + 1, bbrRefill},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := model()
			b.cwnd, b.roundsSinceProbeUp = tt.cwnd, tt.rounds
			b.bwShortterm, b.inflightShortterm = 1, 1
			b.updateCyclePhase(b.cycleStamp.Add(tt.after), &Ack{})
			wantState(t, b, tt.want)
			if (tt.want == bbrRefill) != (b.bwShortterm == noRate) {
				t.Error("Refill is where the short-term model is forgotten")
			}
		})
	}
}

// Section 5.3.4: without a lower RTT for 5 s the window falls to half of what the path
// carries, for 200 ms and a round trip.
func TestBBRProbeRTT(t *testing.T) {
	b := model()
	now := b.probeRTTMinStamp.Add(bbrProbeRTTInterval + 1)
	b.cycleStamp, b.nextRoundDelivered = now, 1<<40 // nothing else to do
	ack := func(after time.Duration, inFlight wire.ByteCount) {
		now = now.Add(after)
		b.OnAck(now, Ack{
			Bytes: dgram, InFlight: inFlight, Delivered: b.delivered + dgram, LatestRTT: 120 * ms, MinRTT: 100 * ms,
			Rate: RateSample{Rate: 1.2e6, PriorDelivered: b.delivered},
		})
	}
	ack(0, 180*dgram)
	wantState(t, b, bbrProbeRTT)
	near(t, "window", b.State().Window, 50*dgram)
	if !b.State().SelfLimited {
		t.Error("rates count although the window is small on purpose")
	}
	if b.minRTT != 100*ms {
		t.Errorf("min_rtt = %v, want that of the last 10 s", b.minRTT)
	}
	ack(100*ms, 50*dgram) // low enough from now on
	ack(150*ms, 50*dgram)
	wantState(t, b, bbrProbeRTT)
	ack(51*ms, 50*dgram)
	wantState(t, b, bbrCruise)
	if b.State().SelfLimited || b.State().Window < 103*dgram { // a round trip and bbrQueue
		t.Errorf("after ProbeRTT: %+v, want the window back", b.State())
	}
	if b.probeRTTMinStamp != now {
		t.Error("the next ProbeRTT is not an interval from now")
	}
}

// Section 5.3.4.4: back to Startup when the pipe was not filled yet.
func TestBBRProbeRTTInStartup(t *testing.T) {
	b := model()
	b.state, b.fullBWReached, b.probeRTTDone = bbrProbeRTT, false, 1e9
	b.checkProbeRTTDone(2e9)
	wantState(t, b, bbrStartup)
}

// Section 5.4.1.
func TestBBRRestartFromIdle(t *testing.T) {
	b := model()
	b.state, b.pacingRate = bbrDown, 1
	b.OnSent(9e9, Sent{Bytes: dgram, InFlight: 2 * dgram, AppLimited: true})
	b.OnSent(9e9, Sent{Bytes: dgram, InFlight: dgram})
	if b.idleRestart {
		t.Error("a restart with packets in flight, or with data")
	}
	b.OnSent(9e9, Sent{Bytes: dgram, InFlight: dgram, AppLimited: true})
	if got, want := b.pacingRate, 1.2e6*0.99; !b.idleRestart || math.Abs(got-want) > 1 {
		t.Errorf("pacing rate after idle = %v, want %v", got, want)
	}
	// Section 10.11: the pause was as good as ProbeRTT.
	b.OnAck(9e9+clock.Time(100*ms), Ack{Bytes: dgram, Delivered: dgram, LatestRTT: 100 * ms, MinRTT: 100 * ms})
	if b.state == bbrProbeRTT || b.idleRestart {
		t.Errorf("state %v, idle restart %v after the first acknowledgment", b.state, b.idleRestart)
	}
}

// RFC 9002, section 7.6.2: persistent congestion MUST reduce the window to the minimum.
// draft-ietf-ccwg-bbr, section 5.6.4.4: it is restored when recovery ends.
func TestBBRPersistentCongestion(t *testing.T) {
	b := model()
	b.OnLoss(2e9, Loss{Bytes: dgram, LargestSent: 19e8, Persistent: true})
	if got := b.State().Window; got != 2*dgram {
		t.Errorf("window = %d, want two datagrams", got)
	}
	b.OnAck(21e8, Ack{Bytes: dgram, LargestSent: 2e9, Delivered: dgram, Rate: RateSample{PriorDelivered: 0}})
	if got := b.State().Window; got != 4*dgram {
		t.Errorf("window = %d within recovery, want four datagrams", got)
	}
	b.OnAck(22e8, Ack{Bytes: dgram, LargestSent: 2e9 + 1, Delivered: 2 * dgram, Rate: RateSample{PriorDelivered: dgram}})
	if got := b.State().Window; got < 100*dgram {
		t.Errorf("window = %d after recovery, want it back", got)
	}
}

// Section 5.5.9, by hand: 20 datagrams acknowledged at once, where 1.2 MB/s explain 10
// in 10 ms.
func TestBBRAckAggregation(t *testing.T) {
	b := model()
	now := clock.Time(5e9)
	b.updateAckAggregation(now, &Ack{Bytes: 20 * dgram})
	near(t, "extra", wire.ByteCount(b.extraAcked.max()), 20*dgram)
	b.extraAcked = maxFilter{}
	b.updateAckAggregation(now.Add(10*ms), &Ack{Bytes: 5 * dgram})
	near(t, "extra", wire.ByteCount(b.extraAcked.max()), 15*dgram)
	// 100 ms explain 100, 25 came: it starts anew.
	b.extraAcked = maxFilter{}
	b.updateAckAggregation(now.Add(100*ms), &Ack{Bytes: 7 * dgram})
	near(t, "extra", wire.ByteCount(b.extraAcked.max()), 7*dgram)

	// The largest of ten round trips, in Startup of one.
	for _, full := range []bool{true, false} {
		b = model()
		b.fullBWReached = full
		b.updateAckAggregation(now, &Ack{Bytes: 20 * dgram})
		b.roundCount += 3
		b.updateAckAggregation(now.Add(time.Second), &Ack{Bytes: 4 * dgram})
		want := 4 * dgram
		if full {
			want = 20 * dgram
		}
		near(t, "extra of round trips", wire.ByteCount(b.extraAcked.max()), want)
	}
}

// Section 5.3.2: Drain ends when what is in flight is what the path carries, or after
// three round trips.
func TestBBRDrain(t *testing.T) {
	tests := []struct {
		name     string
		inFlight wire.ByteCount
		rounds   uint64
		want     bbrState
	}{
		{"too much in flight", 101 * dgram, 3, bbrDrain},
		{"drained", 100 * dgram, 0, bbrDown},
		{"for too long", 200 * dgram, 4, bbrDown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := model()
			b.state, b.drainStartRound, b.roundCount = bbrDrain, 7, 7+tt.rounds
			b.checkDrainDone(2e9, &Ack{InFlight: tt.inFlight})
			wantState(t, b, tt.want)
		})
	}
}

// Sections 5.5.4 to 5.5.6: the largest rate of this cycle and the one before; one that
// the sender limited only when it is larger.
func TestBBRMaxBandwidth(t *testing.T) {
	b := model()
	b.maxBWFilter = [2]float64{}
	want := func(rate float64) {
		t.Helper()
		if got := b.maxBW(); got != rate {
			t.Errorf("max_bw = %v, want %v", got, rate)
		}
	}
	sample := func(rate int64, limited bool) { b.updateMaxBW(&Ack{AppLimited: limited, Rate: RateSample{Rate: rate}}) }
	cycle := func(limited bool) {
		b.state, b.ackPhase, b.roundStart = bbrDown, acksProbeStopping, true
		b.adaptLongTermModel(&Ack{AppLimited: limited})
	}
	sample(900, false)
	sample(800, false)
	want(900)
	cycle(false)
	sample(500, true) // it does not even count for this cycle
	cycle(false)
	want(900) // a cycle without a sample
	sample(500, false)
	cycle(true) // no cycle: the sender limited it
	want(900)
	cycle(false)
	want(500)
	sample(600, true)
	want(600)
	sample(0, false)
	want(600)
}

// The best of the window, in packets' round trips; older ones are forgotten.
func TestMaxFilter(t *testing.T) {
	var f maxFilter
	for i, step := range []struct {
		value int64
		at    uint64
		want  int64
	}{
		{5, 0, 5},
		{9, 1, 9},
		{7, 2, 9},
		{6, 6, 9},
		{3, 11, 9},
		{2, 12, 6}, // 7 came too soon after 9 to be kept
		{8, 14, 8},
		{1, 40, 1}, // all of them are too old
	} {
		f.update(step.value, step.at, 10)
		if got := f.max(); got != step.want {
			t.Errorf("step %d: max = %d, want %d", i, got, step.want)
		}
	}
}

// Two paths of a group do not probe at the same times, nor do two connections; the
// same ones do, each time.
func TestBBRRandom(t *testing.T) {
	waits := func() (out [3]time.Duration) {
		g, err := NewGroup("bbr")
		if err != nil {
			t.Fatal(err)
		}
		alone, err := New("bbr", Config{Now: 5})
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range []Controller{g.New(Config{Now: 5}), g.New(Config{Now: 5}), alone} {
			b := c.(*bbr)
			b.pickProbeWait()
			out[i] = b.probeWait
		}
		return out
	}
	first := waits()
	if first != waits() {
		t.Error("the waits differ from run to run")
	}
	if first[0] == first[1] || first[0] == first[2] {
		t.Errorf("waits of two paths and another connection are %v", first)
	}
}

// Where nothing is probed, the window leaves a queue of bbrQueue at most, but not of more
// than the round trip.
func TestBBRQueue(t *testing.T) {
	tests := []struct {
		state  bbrState
		minRTT time.Duration
		want   wire.ByteCount
	}{
		{bbrCruise, 100 * ms, 103_000},
		{bbrDown, 100 * ms, 103_000},
		{bbrCruise, 2 * ms, 4_000},
		{bbrRefill, 100 * ms, 200_000},
		{bbrUp, 100 * ms, 225_000},
		{bbrStartup, 100 * ms, 200_000},
		{bbrCruise, noRTT, 12_000}, // the initial window
	}
	for _, tt := range tests {
		b := newBBR(Config{Datagram: dgram, Random: func() uint64 { return 0 }})
		b.state, b.minRTT, b.bw = tt.state, tt.minRTT, 1e6
		if got := b.target(); got != tt.want {
			t.Errorf("%s at %v: %d bytes, want %d", bbrModes[tt.state].phase, tt.minRTT, got, tt.want)
		}
	}
}

// Half of what round trips vary by, within one of them, is room in the window: as the
// mean of the last ones, and no more than the shortest of all.
func TestBBRJitter(t *testing.T) {
	b := model()
	round := func(rtts ...time.Duration) {
		for i, rtt := range rtts {
			b.noteRTT(rtt, i == 0, false)
		}
	}
	want := func(what string, d time.Duration) {
		t.Helper()
		if got := b.jitter(); got != d {
			t.Errorf("%s: %v, want %v", what, got, d)
		}
	}
	b.minRTT = 100 * ms
	round(100*ms, 140*ms, 120*ms)
	want("before a round trip is over", 0)
	round(0, 110*ms, 110*ms) // an acknowledgement without a sample begins it
	want("after the first", 20*ms)
	round(120 * ms)
	want("after one without jitter", 15*ms)
	b.noteRTT(900*ms, true, true)
	want("while bandwidth is probed for", 15*ms)
	for range 40 {
		round(100*ms, 500*ms)
	}
	want("more than the shortest", 100*ms)
	near(t, "inflight(1)", b.inflight(1e6, 1), 100_000+volume(b.bw, 100*ms))
	near(t, "window of ProbeRTT", b.probeRTTCwnd(), volume(b.bw, 50*ms))
	b.minRTT = noRTT
	want("no round trip known", 0)
}
