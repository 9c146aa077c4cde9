package sched

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// A small simulation of a transfer over several paths: enough of a sender, of queues and
// of a receiver that wants its bytes in order to tell schedulers apart. Data that is lost
// is sent again, but nothing is re-injected.

const (
	ms    = time.Millisecond
	mbit  = 1e6 / 8
	dgram = 1200
	start = clock.Time(time.Hour)
)

// road is a simulated path: what the network does, and what its sender knows.
type road struct {
	rate  float64       // byte/s
	delay time.Duration // one way
	queue time.Duration // of the bottleneck

	id                   wire.PathID
	free                 clock.Time // when the bottleneck has sent all it has
	inFlight             int
	window, ssthresh     float64 // bytes
	srtt, minRTT, rttvar time.Duration
	most                 float64 // CUBIC's W_max, bytes
	epoch                clock.Time
	recovery             clock.Time
	tokens               float64
	filled               clock.Time
	delivered            int
	shown                float64 // delivery rate
	sampled              clock.Time
	sampleFrom           int
	bytes                int
}

// happening is a packet's fate coming to be known: to the receiver, or to the sender.
type happening struct {
	at        clock.Time
	seq       int
	road      int
	from, len int
	sent      clock.Time
	arrives   bool // at the receiver; otherwise at the sender
	lost      bool
	limit     int // the receiver's window, as of then
}

func (e *happening) before(f *happening) bool {
	return e.at < f.at || e.at == f.at && e.seq < f.seq
}

// timeline is a heap of what is to happen. It is one of its own for the sake of speed:
// nothing in it is a pointer.
type timeline []happening

func (t *timeline) push(e happening) {
	h := append(*t, e)
	*t = h
	i := len(h) - 1
	for ; i > 0 && e.before(&h[(i-1)/2]); i = (i - 1) / 2 {
		h[i] = h[(i-1)/2]
	}
	h[i] = e
}

func (t *timeline) pop() happening {
	h := *t
	first, e := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*t = h
	if len(h) == 0 {
		return first
	}
	i := 0
	for c := 1; c < len(h); c = 2*i + 1 {
		if c+1 < len(h) && h[c+1].before(&h[c]) {
			c++
		}
		if !h[c].before(&e) {
			break
		}
		h[i], i = h[c], c
	}
	h[i] = e
	return first
}

type piece struct{ from, len int }

// transfer is one sender, one receiver and the roads between them.
type transfer struct {
	s      Scheduler
	roads  []*road
	now    clock.Time
	events timeline
	seq    int

	size, next int
	again      []piece
	lost       int // bytes in again
	limit      int // flow control, as the sender knows it

	window, maxWindow int
	read              int // in order
	gaps              map[int]int
	tuned             clock.Time
	tunedFrom         int
	waits             int
}

// run returns how long a transfer takes until its last byte can be read.
func run(s Scheduler, size, window, maxWindow int, roads ...road) (time.Duration, *transfer) {
	t := &transfer{
		s: s, now: start, size: size, window: window, maxWindow: maxWindow, limit: window,
		gaps: map[int]int{}, tuned: start,
	}
	for i := range roads {
		r := roads[i]
		r.id = wire.PathID(i)
		r.window, r.ssthresh = 10*dgram, math.Inf(1)
		r.srtt, r.minRTT, r.rttvar = 2*r.delay, 2*r.delay, r.delay
		r.tokens, r.filled, r.sampled = 10*dgram, start, start
		t.roads = append(t.roads, &r)
	}
	for t.read < t.size {
		wake := t.send()
		if len(t.events) == 0 && wake == clock.Never || t.now > start.Add(10*time.Hour) {
			return -1, t
		}
		if len(t.events) == 0 || wake < t.events[0].at {
			t.now = wake
			continue
		}
		e := t.events.pop()
		t.now = e.at
		t.happen(e)
	}
	return t.now.Sub(start), t
}

func (t *transfer) at(e happening) {
	t.seq++
	e.seq = t.seq
	t.events.push(e)
}

func (t *transfer) send() (wake clock.Time) {
	var views [8]View
	for {
		need := Need{
			Ready:  wire.ByteCount(t.lost + min(t.size, t.limit) - t.next),
			Credit: wire.ByteCount(t.limit - t.next), Ending: t.limit >= t.size,
		}
		if need.Ready == 0 {
			return clock.Never
		}
		wake = clock.Never
		paths := views[:len(t.roads)]
		for i, r := range t.roads {
			paths[i] = r.view(t.now)
			if paths[i].Room == 0 {
				wake = min(wake, paths[i].Next)
			}
		}
		i := t.s.Pick(t.now, paths, need)
		if i == Wait {
			t.waits++
			return wake
		}
		n := t.train(t.roads[i], int(min(paths[i].Room, 64<<10)))
		t.s.OnSent(paths[i].ID, wire.ByteCount(n))
	}
}

// train sends up to n bytes on a road.
func (t *transfer) train(r *road, n int) (sent int) {
	for n > 0 {
		var p piece
		if len(t.again) > 0 {
			p = t.again[0]
			t.again, t.lost = t.again[1:], t.lost-p.len
		} else {
			p = piece{t.next, min(dgram, min(t.size, t.limit)-t.next)}
			t.next += p.len
		}
		if p.len == 0 {
			break
		}
		r.carry(t, p)
		n, sent = n-dgram, sent+p.len
	}
	return sent
}

func (r *road) carry(t *transfer, p piece) {
	r.inFlight += dgram
	r.tokens -= dgram
	r.bytes += p.len
	r.free = max(r.free, t.now)
	e := happening{road: int(r.id), from: p.from, len: p.len, sent: t.now, arrives: true}
	if r.free.Sub(t.now) > r.queue {
		// The sender learns it when what came behind is acknowledged.
		e.lost, e.arrives, e.at = true, false, r.free.Add(2*r.delay)
	} else {
		r.free = r.free.Add(time.Duration(dgram / r.rate * 1e9))
		e.at = r.free.Add(r.delay)
	}
	t.at(e)
}

func (t *transfer) happen(e happening) {
	r := t.roads[e.road]
	switch {
	case e.arrives:
		t.receive(e.from, e.len)
		e.arrives, e.at, e.limit = false, t.now.Add(r.delay), t.read+t.window
		t.at(e)
	case e.lost:
		r.inFlight -= dgram
		t.again, t.lost = append(t.again, piece{e.from, e.len}), t.lost+e.len
		r.lose(t.now, e.sent)
	default:
		t.limit = max(t.limit, e.limit)
		r.inFlight -= dgram
		r.ack(t.now, e.sent)
	}
}

// receive puts bytes in order, and tunes the window as package proto does, for the
// longest round trip.
func (t *transfer) receive(from, n int) {
	t.gaps[from] = n
	for n, ok := t.gaps[t.read]; ok; n, ok = t.gaps[t.read] {
		delete(t.gaps, t.read)
		t.read += n
	}
	if t.read-t.tunedFrom <= t.window/2 {
		return
	}
	var rtt time.Duration
	for _, r := range t.roads {
		rtt = max(rtt, r.srtt)
	}
	if t.now.Sub(t.tuned) < 2*rtt {
		t.window = min(2*t.window, t.maxWindow)
	}
	t.tuned, t.tunedFrom = t.now, t.read
}

func (r *road) view(now clock.Time) View {
	pace := 1.25 * r.window / r.srtt.Seconds()
	if r.window < r.ssthresh {
		pace *= 1.6
	}
	r.tokens = min(r.tokens+pace*now.Sub(r.filled).Seconds(), 10*dgram)
	r.filled = now
	v := View{
		ID: r.id, Window: wire.ByteCount(r.window), InFlight: wire.ByteCount(r.inFlight), Next: clock.Never,
		SRTT: r.srtt, MinRTT: r.minRTT, RTTVar: r.rttvar, Datagram: dgram, Rate: int64(r.shown),
		SlowStart: r.window < r.ssthresh,
	}
	free := int(r.window) - r.inFlight
	if free < dgram {
		return v
	}
	if r.tokens < dgram {
		v.Next = now.Add(time.Duration((dgram-r.tokens)/pace*1e9) + 1)
		return v
	}
	v.Room, v.Next = wire.ByteCount(min(free, int(r.tokens))), now
	return v
}

func (r *road) ack(now, sent clock.Time) {
	rtt := now.Sub(sent)
	r.minRTT = min(r.minRTT, rtt)
	r.rttvar = (3*r.rttvar + (r.srtt - rtt).Abs()) / 4
	r.srtt = (7*r.srtt + rtt) / 8
	r.delivered += dgram
	if d := now.Sub(r.sampled); d > r.srtt {
		r.shown = float64(r.delivered-r.sampleFrom) / d.Seconds()
		r.sampled, r.sampleFrom = now, r.delivered
	}
	if float64(r.inFlight)*2 < r.window {
		return
	}
	if r.window < r.ssthresh {
		r.window += dgram
		if r.srtt > r.minRTT+max(4*ms, r.minRTT/8) { // as HyStart
			r.ssthresh, r.most, r.epoch = r.window, r.window, now
		}
		return
	}
	// RFC 9438, figure 1.
	k := math.Cbrt(math.Max(0, (r.most-0.7*r.most)/dgram/0.4))
	target := dgram * (0.4*math.Pow(now.Sub(r.epoch).Seconds()-k, 3) + r.most/dgram)
	if target > r.window {
		r.window += math.Min((target-r.window)/r.window, 0.5) * dgram
	} else {
		r.window += dgram * dgram / r.window
	}
}

func (r *road) lose(now, sent clock.Time) {
	if sent <= r.recovery {
		return
	}
	r.most, r.recovery, r.epoch = r.window, now, now
	r.window = math.Max(0.7*r.window, 2*dgram)
	r.ssthresh = r.window
}
