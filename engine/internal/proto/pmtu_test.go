package proto

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// pmtuTest searches over a path that carries up to mtu.
type pmtuTest struct {
	p      pmtu
	now    clock.Time
	mtu    wire.ByteCount
	probes []wire.ByteCount
}

func newPMTUTest(limit, mtu wire.ByteCount) *pmtuTest {
	h := &pmtuTest{now: partsTestStart, mtu: mtu}
	h.p.init(1200, limit, false)
	return h
}

// step sends a probe and tells what became of it; false: there was none.
func (h *pmtuTest) step() bool {
	size, ok := h.p.probe(h.now)
	if !ok {
		return false
	}
	h.probes = append(h.probes, size)
	h.p.sent(h.now, size, wire.PacketNumber(len(h.probes)))
	h.now = h.now.Add(time.Millisecond)
	if size <= h.mtu {
		h.p.acked(size)
	} else {
		h.p.lost(h.now, size)
	}
	return true
}

func (h *pmtuTest) search() {
	for h.step() {
	}
}

func TestPMTUSearch(t *testing.T) {
	tests := []struct {
		name       string
		limit, mtu wire.ByteCount
		peer       wire.ByteCount
		size       wire.ByteCount
		most       int // probes
	}{
		{"1500 over IPv4, known", 1472, 1472, 65527, 1472, 2},
		{"1500 over IPv6, known", 1452, 1452, 65527, 1452, 1},
		{"1500 over IPv4, limit unknown", 65527, 1472, 65527, 1472, 40},
		{"jumbo", 8972, 8972, 65527, 8972, 4},
		{"jumbo interface, 1500 on the way", 8972, 1472, 65527, 1472, 35},
		{"loopback", 65507, 65507, 65527, 65507, 5},
		{"tunnel of 1400", 1472, 1372, 65527, 1352, 20},
		{"least", 1472, 1200, 65527, 1200, 30},
		{"no search", 1200, 1472, 65527, 1200, 0},
		{"limit below the least", 500, 1472, 65527, 1200, 0},
		// RFC 9000, section 18.2: max_udp_payload_size bounds what is sent.
		{"the peer takes less", 65527, 9000, 1350, 1350, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newPMTUTest(tt.limit, tt.mtu)
			h.p.setPeerMax(tt.peer)
			if h.p.size() != 1200 {
				t.Fatalf("starts with %d", h.p.size())
			}
			h.search()
			if got := h.p.size(); got < tt.size || got > tt.mtu && got > 1200 || got > max(1200, tt.peer) {
				t.Errorf("found %d, want %d; probes %v", got, tt.size, h.probes)
			}
			if len(h.probes) > tt.most {
				t.Errorf("%d probes, want at most %d: %v", len(h.probes), tt.most, h.probes)
			}
			// RFC 8899, section 5.1.1: search again after 600 seconds.
			if got, want := h.p.deadline(), h.now.Add(600*time.Second); got != want {
				t.Errorf("next search at %d, want %d", got, want)
			}
		})
	}
}

func TestPMTUProbesOneAtATime(t *testing.T) {
	h := newPMTUTest(1472, 1472)
	size, ok := h.p.probe(h.now)
	if !ok || size != 1452 {
		t.Fatalf("probe %d, %v", size, ok)
	}
	if again, ok := h.p.probe(h.now); !ok || again != size {
		t.Errorf("a probe not sent comes again as %d, %v", again, ok)
	}
	h.p.sent(h.now, size, 1)
	if _, ok := h.p.probe(h.now); ok {
		t.Error("a second probe while one is in flight")
	}
	if h.p.size() != 1200 || h.p.deadline() != clock.Never {
		t.Errorf("size %d, deadline %d before the probe arrived", h.p.size(), h.p.deadline())
	}
	if !h.p.acked(size) || h.p.acked(size) || h.p.size() != size {
		t.Errorf("size %d, must have grown once", h.p.size())
	}
}

func TestPMTURulesASizeOutAfterThreeLosses(t *testing.T) {
	// RFC 8899, section 5.1.2: MAX_PROBES is 3, since loss has other reasons as well.
	h := newPMTUTest(1452, 1200)
	for range maxProbes {
		h.step()
	}
	h.mtu = 1452
	h.step()
	if d := cmp.Diff([]wire.ByteCount{1452, 1452, 1452, 1326}, h.probes); d != "" {
		t.Errorf("probes (-want +got):\n%s", d)
	}
	// Two losses and an arrival rule nothing out.
	h = newPMTUTest(1452, 1200)
	h.step()
	h.step()
	h.mtu = 1452
	h.step()
	if h.p.size() != 1452 {
		t.Errorf("size %d after the third probe arrived", h.p.size())
	}
	// RFC 8899, section 5.1.3: the count begins anew with each that arrives.
	if h.p.losses != 0 {
		t.Errorf("%d losses are counted after an arrival", h.p.losses)
	}
}

func TestPMTULateProbeCounts(t *testing.T) {
	h := newPMTUTest(1472, 1200)
	for range maxProbes {
		h.step()
	}
	if !h.p.acked(1452) || h.p.size() != 1452 {
		t.Errorf("size %d although a probe of 1452 arrived late", h.p.size())
	}
	if size, ok := h.p.probe(h.now); !ok || size != 1472 {
		t.Errorf("next probe %d, %v, want 1472", size, ok)
	}
}

func TestPMTURaise(t *testing.T) {
	h := newPMTUTest(8972, 1472)
	h.search()
	h.mtu = 8972
	h.search()
	if h.p.size() > 1472 {
		t.Fatal("searches before its time")
	}
	h.now = h.p.deadline()
	h.search()
	if h.p.size() != 8972 {
		t.Errorf("size %d after the path grew, want 8972", h.p.size())
	}
}

func TestPMTUTimeoutStartsTheSearch(t *testing.T) {
	h := newPMTUTest(1472, 1472)
	h.search()
	at := h.p.deadline()
	h.p.timeout(at - 1)
	if h.p.deadline() != at {
		t.Error("the search starts before its time")
	}
	// Then nothing is due any more: the probe waits for the window to open.
	if h.p.timeout(at); h.p.deadline() != clock.Never {
		t.Errorf("deadline %d, want Never", h.p.deadline())
	}
}

func TestPMTUForgetsProbesOfAnotherPath(t *testing.T) {
	h := newPMTUTest(1472, 1472)
	size, _ := h.p.probe(h.now)
	h.p.sent(h.now, size, 1)
	h.p.init(1200, 1472, false)
	if h.p.acked(size) || h.p.size() != 1200 {
		t.Errorf("size %d by a probe of the old path", h.p.size())
	}
}

func TestPMTUPeerMaxWhileAProbeIsInFlight(t *testing.T) {
	h := newPMTUTest(1472, 1472)
	size, _ := h.p.probe(h.now)
	h.p.sent(h.now, size, 1)
	h.p.setPeerMax(1400)
	if h.p.acked(size) || h.p.size() != 1200 {
		t.Errorf("size %d, the peer takes 1400", h.p.size())
	}
	if h.search(); h.p.size() != 1400 {
		t.Errorf("found %d, want 1400", h.p.size())
	}
}

func TestPMTUPeerMaxBoundsTheSizeInUse(t *testing.T) {
	h := newPMTUTest(1472, 1472)
	h.search()
	h.p.setPeerMax(1300)
	if h.p.size() != 1300 {
		t.Errorf("size %d, the peer takes 1300", h.p.size())
	}
	if h.p.acked(1472) {
		t.Error("a late probe took the size above the peer's limit")
	}
	// RFC 9000, section 18.2: values below 1200 are invalid; we never go there.
	if h.p.setPeerMax(10); h.p.size() != 1200 {
		t.Errorf("size %d, want 1200", h.p.size())
	}
}

func TestPMTUFixed(t *testing.T) {
	var p pmtu
	p.init(1200, 4000, true)
	if _, ok := p.probe(partsTestStart); ok || p.size() != 4000 || p.deadline() != clock.Never {
		t.Errorf("size %d, probes: %v", p.size(), ok)
	}
	for range 10 {
		p.packetLost(4000, 1)
		if p.settle() {
			t.Error("a fixed size fell")
		}
	}
	if p.setPeerMax(2000); p.size() != 2000 {
		t.Errorf("size %d, the peer takes 2000", p.size())
	}
}

func TestPMTUBlackHole(t *testing.T) {
	// RFC 8899, section 4.3: excessive loss of packets of the size in use, and of none
	// that are smaller.
	type finding struct{ lost, acked []wire.ByteCount }
	sizes := func(n ...wire.ByteCount) []wire.ByteCount { return n }
	hole := finding{lost: sizes(1472, 1472, 1400)}
	tests := []struct {
		name     string
		findings []finding
		want     bool
	}{
		{"three in a row", []finding{hole, hole, hole}, true},
		{"large ones arrived before", []finding{{acked: sizes(1472)}, hole, hole, hole}, true},
		{"two in a row", []finding{hole, hole}, false},
		{"one burst", []finding{{lost: sizes(1472, 1472, 1472, 1472, 1472, 1472)}}, false},
		{"small ones arrive", []finding{{sizes(1472), sizes(60)}, {sizes(1472), sizes(1200)}, {sizes(1472), sizes(40)}}, true},
		{"large ones arrive too", []finding{hole, {sizes(1472), sizes(1472)}, hole, hole}, false},
		{"as large as the smallest lost", []finding{hole, hole, {sizes(1472), sizes(1400)}}, false},
		{"large ones arrive in between", []finding{hole, hole, {acked: sizes(1472)}, hole}, false},
		{"small ones are lost", []finding{{lost: sizes(1200)}, {lost: sizes(900)}, {lost: sizes(40)}, {lost: sizes(1200)}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newPMTUTest(1472, 1472)
			h.search()
			pn, fell := wire.PacketNumber(100), false
			for _, f := range tt.findings {
				for _, n := range f.lost {
					h.p.packetLost(n, pn)
					pn++
				}
				for _, n := range f.acked {
					h.p.packetAcked(n)
				}
				fell = h.p.settle()
			}
			if fell != tt.want {
				t.Fatalf("black hole found: %v, want %v", fell, tt.want)
			}
			if !fell {
				if h.p.size() != 1472 {
					t.Errorf("size %d without a black hole", h.p.size())
				}
				return
			}
			if h.p.size() != 1200 {
				t.Errorf("size %d in a black hole, want 1200", h.p.size())
			}
			// A new search finds what the path carries now.
			h.mtu = 1372
			h.search()
			if got := h.p.size(); got < 1352 || got > 1372 {
				t.Errorf("found %d anew, want 1352 to 1372", got)
			}
		})
	}
}

func TestPMTUBlackHoleNeedsNewLosses(t *testing.T) {
	h := newPMTUTest(1472, 1472)
	h.search()
	h.p.packetLost(1472, 50)
	h.p.settle()
	for pn := range wire.PacketNumber(50) { // of the same flight, found later
		h.p.packetLost(1472, pn)
		if h.p.settle() {
			t.Fatalf("packet %d, older than the last loss, made a black hole", pn)
		}
	}
}

func TestPMTUFindsEverySize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := wire.ByteCount(rapid.Int64Range(1200, 65527).Draw(t, "limit"))
		h := newPMTUTest(limit, wire.ByteCount(rapid.Int64Range(1200, int64(limit)).Draw(t, "mtu")))
		h.search()
		if got := h.p.size(); got > h.mtu || h.mtu-got > probeGain {
			t.Fatalf("found %d of %d", got, h.mtu)
		}
		if len(h.probes) > 60 {
			t.Fatalf("%d probes", len(h.probes))
		}
	})
}
