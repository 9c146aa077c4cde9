package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/simnet"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// scenario is what one seed makes up.
type scenario struct {
	seed   uint64
	v6     bool
	mtu    int // of the interfaces
	path   [2]emulation.Impairments
	faults [2]simnet.Faults // from the beginning

	congestion   [2]string // by wire.Perspective, as all that follow
	stream, conn [2]windows
	sendBuffer   [2]wire.ByteCount
	maxStreams   int64
	keepAlive    time.Duration // of the client; 0: none
	retry        bool
	resume       resumption
	happenings   []happening
	streams      []streamPlan
	datagrams    [2]int
	deaf         bool // nobody reads the datagrams
	paces        [2]pace
	close        *closePlan // nil: when all is done
}

// windows are a receive window's size at first and at most.
type windows struct{ start, most wire.ByteCount }

// resumption is whether there is a connection before the one that is looked at.
type resumption uint8

const (
	fresh   resumption = iota
	resumed            // with 0-RTT
	refused            // 0-RTT is offered, but the server's limits are others by now
)

// deed is what happens in mid-transfer.
type deed uint8

const (
	updateKeys deed = iota
	blackout
	changeMTU
	rebindPort
	rebindAddress
	migrate
	deeds
)

// String returns the deed in words.
func (d deed) String() string {
	return [...]string{"key update", "blackout", "MTU", "new port", "new address", "migration"}[d]
}

// happening is a deed, so long after both sides had confirmed the handshake.
type happening struct {
	at   time.Duration
	deed deed
	side wire.Perspective // who updates keys
	n    int              // the MTU; how far the port moves
}

// streamPlan is a stream to come.
type streamPlan struct {
	opener    wire.Perspective
	direction wire.Direction
	halves    [2]halfPlan // by who sends
}

// halfPlan is what one side sends on a stream, and what ends that early.
type halfPlan struct {
	size    int
	resetAt int // the sender resets after so many bytes; above size: never
	late    bool
	stopAt  int // the receiver stops after so many bytes; above size: never
}

const never = math.MaxInt

// Codes of the applications.
const (
	resetCode = 0x1001
	stopCode  = 0x2002
	closeCode = 0x3003
	endCode   = 0x4004
)

// pace is how fast an application reads: chunk bytes each interval; as fast as it can
// when that is 0.
type pace struct {
	interval time.Duration
	chunk    int
}

// closePlan is who ends the connection in the middle, so long after its first packet.
type closePlan struct {
	side  wire.Perspective
	after time.Duration
}

// draw makes up a scenario.
type draw struct {
	*rand.Rand
}

func newScenario(seed uint64) *scenario {
	r := draw{rand.New(rand.NewPCG(seed, 0x7175696373656564))}
	s := &scenario{seed: seed, v6: r.chance(0.3), mtu: pick(r, 1500, 1500, 9000, 1500, 1400)}
	for way := range s.path {
		s.path[way] = r.impairments()
		s.faults[way] = r.faults()
		if r.chance(0.15) { // less than the interfaces say
			s.faults[way].MTUs = []simnet.MTUChange{{MTU: s.least() + r.IntN(400)}}
		}
	}
	if r.chance(0.1) { // in the handshake
		from := clock.Time(time.Second).Add(r.span(s.rtt() + time.Second))
		for way := range s.faults {
			s.faults[way].Blackouts = []simnet.Blackout{{From: from, To: from.Add(time.Second)}}
		}
	}
	for side := range s.congestion {
		s.congestion[side] = pick(r, congest.Names()...)
		s.stream[side], s.conn[side] = r.windows(512<<10), r.windows(1<<20)
		s.sendBuffer[side] = pick(r, wire.ByteCount(0), 0, 1<<10, 5000, 64<<10)
	}
	s.maxStreams = pick[int64](r, 100, 100, 1, 3, 20)
	s.retry = r.chance(0.2)
	s.resume = pick(r, fresh, fresh, resumed, refused)
	s.datagrams = [2]int{r.maybe(0.3, 50), r.maybe(0.3, 50)}
	s.deaf = r.chance(0.1)
	s.drawStreams(r)
	s.drawPaces(r)
	s.drawHappenings(r)
	if r.chance(0.15) {
		after := time.Duration(r.Int64N(int64(s.expected() + 3*s.rtt())))
		s.close = &closePlan{side: wire.Perspective(r.IntN(2)), after: after}
	}
	return s
}

func (r draw) chance(p float64) bool { return r.Float64() < p }

// maybe returns 1 to most with probability p, else 0.
func (r draw) maybe(p float64, most int) int {
	if !r.chance(p) {
		return 0
	}
	return 1 + r.IntN(most)
}

// between returns a number in [low, high], as often in each power of ten.
func (r draw) between(low, high float64) float64 {
	return low * math.Exp(r.Float64()*math.Log(high/low))
}

// span returns a time in [0, most).
func (r draw) span(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) }

func pick[T any](r draw, of ...T) T { return of[r.IntN(len(of))] }

func (r draw) impairments() emulation.Impairments {
	i := emulation.Impairments{Rate: emulation.Rate(r.between(0.5e6, 200e6)), Delay: time.Duration(r.between(1, 150) * float64(time.Millisecond))}
	if r.chance(0.4) {
		i.Jitter = r.span(i.Delay)
	}
	if r.chance(0.5) {
		i.Loss = r.between(0.001, 0.2)
	}
	switch r.IntN(4) {
	case 0:
		i.Queue.Packets = 8 + r.IntN(200)
	case 1:
		i.Queue.Time = 5*time.Millisecond + r.span(200*time.Millisecond)
	case 2:
		i.Queue.Bytes = emulation.ByteCount(20_000 + r.IntN(300_000))
	}
	return i
}

func (r draw) faults() simnet.Faults {
	var f simnet.Faults
	if r.chance(0.3) {
		f.Reorder, f.MaxWait = r.between(0.001, 0.3), time.Millisecond+r.span(40*time.Millisecond)
	}
	if r.chance(0.2) {
		f.Duplicate = r.between(0.001, 0.2)
	}
	if r.chance(0.2) {
		f.Corrupt = r.between(0.001, 0.05)
	}
	return f
}

// windows draws the default, or something small.
func (r draw) windows(normal wire.ByteCount) windows {
	if r.chance(0.6) {
		return windows{normal, 16 * normal}
	}
	start := wire.ByteCount(r.between(1500, 100_000))
	return windows{start, start * pick[wire.ByteCount](r, 1, 4, 100)}
}

// drawStreams draws the streams: some hundred KiB in all mostly, a few MB at times.
func (s *scenario) drawStreams(r draw) {
	n := pick(r, 1, 1, 2, 1+r.IntN(8), 1+r.IntN(30), 1+r.IntN(100))
	budget := int(r.between(1000, pick(r, 100e3, 500e3, 2e6, 8e6)))
	odd := pick(r, 0.0, 0.0, 0.1, 0.4) // how often one ends early
	for range n {
		p := streamPlan{opener: wire.Perspective(r.IntN(2)), direction: wire.Direction(r.IntN(2))}
		for side := range p.halves {
			h := &p.halves[side]
			*h = halfPlan{size: r.IntN(2*budget/n + 2), resetAt: never, stopAt: never}
			if r.chance(0.1) {
				h.size = 0
			}
			if r.chance(odd) {
				h.resetAt, h.late = r.IntN(h.size+1), r.chance(0.2)
			}
			if r.chance(odd) {
				h.stopAt = r.IntN(h.size + 1)
			}
		}
		s.streams = append(s.streams, p)
	}
}

func (s *scenario) drawPaces(r draw) {
	const most = 20 * time.Second // spent waiting
	for side := range s.paces {
		if !r.chance(0.25) {
			continue
		}
		p := pace{interval: time.Millisecond + r.span(40*time.Millisecond), chunk: int(r.between(200, 50_000))}
		p.chunk = max(p.chunk, int(float64(s.bytes())*float64(p.interval)/float64(most)))
		s.paces[side] = p
	}
}

func (s *scenario) drawHappenings(r draw) {
	for range r.maybe(0.7, 6) {
		h := happening{at: r.span(s.expected()), deed: deed(r.IntN(int(deeds))), side: wire.Perspective(r.IntN(2)), n: 1 + r.IntN(60_000)}
		if h.deed == changeMTU {
			h.n = pick(r, s.least(), s.least(), s.least()+r.IntN(200), 1500, 9000)
		}
		if h.deed == rebindPort || h.deed == rebindAddress {
			// A side that only receives never learns that the NAT forgot it.
			s.keepAlive = time.Second
		}
		s.happenings = append(s.happenings, h)
	}
}

// least is the smallest MTU that carries QUIC.
func (s *scenario) least() int {
	const quic = 1200
	if s.v6 {
		return quic + 48
	}
	return quic + 28
}

// bytes returns how much there is to send at most.
func (s *scenario) bytes() (n int) {
	for _, p := range s.streams {
		n += p.halves[0].size + p.halves[1].size
	}
	return n
}

// rtt returns a round trip, with all that may hold a packet up but the queues.
func (s *scenario) rtt() time.Duration {
	const ackDelay = 25 * time.Millisecond
	rtt := ackDelay
	for way, p := range s.path {
		rtt += p.Delay + p.Jitter + s.faults[way].MaxWait
	}
	return rtt
}

func (s *scenario) slowest() float64 { return float64(min(s.path[0].Rate, s.path[1].Rate)) }

// expected returns about how long it takes on a clean path.
func (s *scenario) expected() time.Duration {
	return 4*s.rtt() + time.Duration(float64(s.bytes())*8/s.slowest()*float64(time.Second))
}

// bound returns by when everything must be over: what a deadlock is told by. It is
// generous: at 20 % of loss both ways a window of two packets takes a round trip.
func (s *scenario) bound() time.Duration {
	window := min(s.stream[0].start, s.stream[1].start, s.conn[0].start, s.conn[1].start, 12_000)
	for _, b := range s.sendBuffer {
		if b > 0 {
			window = min(window, b)
		}
	}
	trips := time.Duration(s.bytes()/int(min(window, 1200)) + 4*len(s.streams) + 50)
	queues := time.Duration(0)
	for _, p := range s.path {
		queues += time.Duration(300_000 * 8 / float64(p.Rate) * float64(time.Second))
	}
	return 3*time.Minute + 4*s.expected() + 3*trips*(s.rtt()+min(queues, time.Second)) + 60*time.Second
}

// config returns the connection's configuration of a side.
func (s *scenario) config(side wire.Perspective) proto.Config {
	c := proto.Config{
		Congestion: s.congestion[side], SendBuffer: s.sendBuffer[side], ECN: s.seed%3 != 0,
		StreamWindow: s.stream[side].start, MaxStreamWindow: s.stream[side].most,
		ConnWindow: s.conn[side].start, MaxConnWindow: s.conn[side].most,
		MaxBidiStreams: s.maxStreams, MaxUniStreams: s.maxStreams, MaxDatagram: 1200,
		MaxUDPPayload: wire.ByteCount(s.mtu - (s.least() - 1200)),
		// Long enough for neither to come where the network only is bad.
		HandshakeTimeout: patience, IdleTimeout: patience,
		EarlyData: s.resume != fresh,
	}
	if side == wire.Client {
		c.KeepAlive = s.keepAlive
	}
	return c
}

const patience = 3 * time.Minute

// String says what the scenario is.
func (s *scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: IPv6 %v, MTU %d, Retry %v, resumption %d, %d bytes on %d streams (%d at once), datagrams %v\n",
		s.seed, s.v6, s.mtu, s.retry, s.resume, s.bytes(), len(s.streams), s.maxStreams, s.datagrams)
	for way := range s.path {
		fmt.Fprintf(&b, "  %v: %+v, %+v\n", simnet.Way(way), s.path[way], s.faults[way])
	}
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		fmt.Fprintf(&b, "  %v: %s, windows %d and %d, send buffer %d, pace %+v\n", side, s.congestion[side], s.stream[side], s.conn[side], s.sendBuffer[side], s.paces[side])
	}
	for _, h := range s.happenings {
		fmt.Fprintf(&b, "  after %v: %v by the %v, %d\n", h.at, h.deed, h.side, h.n)
	}
	if s.close != nil {
		fmt.Fprintf(&b, "  the %v closes after %v\n", s.close.side, s.close.after)
	}
	fmt.Fprintf(&b, "  bound %v", s.bound())
	return b.String()
}
