package proto

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// line is what lies between one address of the client and the server.
type line struct {
	delay time.Duration // one way
	loss  float64
	rate  float64       // bytes/s each way; 0: no bound
	queue time.Duration // longest wait for it; 0: 100 ms

	down bool
	busy [2]clock.Time // until when, by who sends
	// carried are bytes that arrive, by who sends.
	carried [2]int
}

// bond is a pair with several lines between a client with as many addresses and a server
// with one.
type bond struct {
	*pair
	rng   *rand.Rand
	lines []line
}

// clientAt returns the client's address on a line.
func clientAt(i int) netip.AddrPort {
	if i == 0 {
		return clientAddr
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i)}), 4001)
}

// lineOf returns the line that an address of the client is on, whatever its port.
func (b *bond) lineOf(client netip.AddrPort) *line {
	for i := range b.lines {
		if clientAt(i).Addr() == client.Addr() {
			return &b.lines[i]
		}
	}
	return nil
}

// newBond returns a pair over these lines, once the handshake is over on the first one.
func newBond(t testing.TB, paths int, scheduler string, lines []line) *bond {
	t.Helper()
	pc := several(paths)
	pc.client.Scheduler, pc.server.Scheduler = scheduler, scheduler
	return newBondOf(t, pc, lines)
}

// newBondOf is newBond with these configurations.
func newBondOf(t testing.TB, pc pairConfig, lines []line) *bond {
	t.Helper()
	b := &bond{pair: newPair(t, pc), rng: rand.New(rand.NewPCG(3, uint64(len(lines)))), lines: lines}
	b.delay = 0
	for i := range lines[1:] {
		b.ends[wire.Client].more = append(b.ends[wire.Client].more, clientAt(i+1))
	}
	b.fate = b.carry
	b.handshake()
	b.idle(time.Second)
	return b
}

// carry has a datagram travel over its line.
func (b *bond) carry(from wire.Perspective, d *flying) (int, time.Duration) {
	client := d.from
	if from == wire.Server {
		client = d.by
	}
	l := b.lineOf(client)
	if l == nil || l.down || b.rng.Float64() < l.loss {
		return 0, 0
	}
	late := l.delay
	if l.rate > 0 {
		start := max(b.now, l.busy[from])
		queue := l.queue
		if queue == 0 {
			queue = 100 * time.Millisecond
		}
		if start.Sub(b.now) > queue {
			return 0, 0
		}
		l.busy[from] = start.Add(time.Duration(float64(len(d.data)) / l.rate * 1e9))
		late += l.busy[from].Sub(b.now)
	}
	l.carried[from] += len(d.data)
	return 1, late
}

// open has the client open a path over a line.
func (b *bond) open(i int) (wire.PathID, error) {
	return b.client().OpenPath(b.now, clientAt(i), serverAddr)
}

// openAll opens a path over each line but the first, and waits until both sides use them.
func (b *bond) openAll() {
	b.t.Helper()
	for i := range b.lines[1:] {
		if _, err := b.open(i + 1); err != nil {
			b.t.Fatalf("open a path over line %d: %v", i+1, err)
		}
	}
	b.run(20*time.Second, func() bool { return b.active(wire.Client) == len(b.lines) && b.active(wire.Server) == len(b.lines) })
}

// active returns how many paths a side uses.
func (b *bond) active(side wire.Perspective) (n int) {
	for _, p := range b.ends[side].conn.open {
		if p.state == PathActive {
			n++
		}
	}
	return n
}

// ends closes the connection and checks that nothing is left of it.
func (b *bond) over() {
	b.t.Helper()
	b.client().Close(b.now, 0, "")
	for i := range b.lines {
		b.lines[i].down, b.lines[i].loss = false, 0
	}
	b.run(5*time.Minute, func() bool { return b.ends[0].drained && b.ends[1].drained })
	for side, e := range b.ends {
		if e.endpoint.Routes() != 0 || e.endpoint.Len() != 0 || e.endpoint.lastConn != nil {
			b.t.Errorf("%v: %d routes and %d connections are left", wire.Perspective(side), e.endpoint.Routes(), e.endpoint.Len())
		}
		typed(b.t, e.conn)
	}
}

// bounded fails when a side remembers more than its limits allow.
func (b *bond) bounded() {
	b.t.Helper()
	for side, e := range b.ends {
		if text := unbounded(e.conn, e.endpoint); text != "" {
			b.t.Fatalf("%v: %s", wire.Perspective(side), text)
		}
	}
}

// unbounded says what of a connection grew beyond its limits, "" when nothing did.
func unbounded(c *Conn, e *Endpoint) string {
	if c == nil || c.state != stateActive {
		return ""
	}
	limit := max(c.cfg.Paths, 1)
	ids := 0
	for _, p := range c.paths {
		ids += len(p.issued.ids)
		if n := len(p.peer.spare); n > activeIDLimit+1 {
			return fmt.Sprintf("path %d has %d spare connection IDs", p.id, n)
		}
		if n := len(p.peer.retiring); n > maxRetiring+1 {
			return fmt.Sprintf("%d retirements wait on path %d", n, p.id)
		}
	}
	switch m := e.conns[c]; {
	case len(c.paths) > limit || len(c.open)+len(c.lingering) > len(c.paths):
		return fmt.Sprintf("%d paths, of them %d open, %d lingering; %d are allowed", len(c.paths), len(c.open), len(c.lingering), limit)
	case len(c.stats.gone) > maxGone:
		return fmt.Sprintf("statistics of %d paths", len(c.stats.gone))
	case ids > limit*(maxIssuedIDs+1):
		return fmt.Sprintf("%d connection IDs were issued", ids)
	case m != nil && len(m.ids) > ids+3:
		return fmt.Sprintf("%d routes lead to %d connection IDs", len(m.ids), ids)
	case m != nil && len(m.tokens) > limit:
		return fmt.Sprintf("%d reset tokens of %d paths", len(m.tokens), limit)
	}
	return ""
}
