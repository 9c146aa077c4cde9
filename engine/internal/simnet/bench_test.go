package simnet

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// pump sends a datagram of 1200 bytes whenever its deadline comes, twice as fast as
// the link carries them, and stops counting at what arrives.
type pump struct {
	network *Network
	data    [1200]byte
	due     clock.Time
	got     int
}

func (p *pump) HandleDatagram(clock.Time, netip.AddrPort, netip.AddrPort, wire.ECN, []byte) { p.got++ }

func (p *pump) HandleTimeout(now clock.Time) {
	p.network.Send(now, addrA, addrB, wire.ECT0, p.data[:])
	p.due = now.Add(240 * time.Microsecond)
}

func (p *pump) NextTimeout() clock.Time { return p.due }

func newPump(tb testing.TB, f Faults) (*Network, *pump) {
	tb.Helper()
	n := New(1)
	p, q := &pump{network: n}, &pump{network: n}
	a, b := n.AddNode("a"), n.AddNode("b")
	a.Attach(p)
	b.Attach(q)
	imp := emulation.Impairments{Rate: 40e6, Delay: 20 * time.Millisecond, Jitter: 2 * time.Millisecond, Loss: 0.01, Queue: emulation.Queue{Time: 100 * time.Millisecond}}
	c := LinkConfig{Name: "l", Addresses: [2][]netip.Addr{{addrA.Addr()}, {addrB.Addr()}}, Impairments: [2]emulation.Impairments{imp, imp}, Faults: [2]Faults{f, f}}
	if _, err := n.Connect(a, b, c); err != nil {
		tb.Fatal(err)
	}
	p.due = n.Now()
	return n, q
}

func TestPacketsDoNotAllocate(t *testing.T) {
	for name, f := range map[string]Faults{"impairments": {}, "faults": {Duplicate: 0.1, Corrupt: 0.1, Reorder: 0.1, MaxWait: 10 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			n, q := newPump(t, f)
			second := func() {
				if err := n.Run(n.Now().Add(time.Second), nil); err != nil {
					t.Fatal(err)
				}
			}
			for range 30 { // until the largest load has been seen
				second()
			}
			if got := testing.AllocsPerRun(5, second); got > 0 || q.got == 0 {
				t.Errorf("%v allocations per second of traffic, %d datagrams in all; want none, and some", got, q.got)
			}
		})
	}
}

// BenchmarkPacket is one datagram of 1200 bytes from Send to HandleDatagram, the
// timer that sent it included.
func BenchmarkPacket(b *testing.B) {
	for name, f := range map[string]Faults{"faults=none": {}, "faults=all": {Duplicate: 0.1, Corrupt: 0.1, Reorder: 0.1, MaxWait: 10 * time.Millisecond}} {
		b.Run(name, func(b *testing.B) {
			n, q := newPump(b, f)
			b.ReportAllocs()
			b.SetBytes(1200)
			for b.Loop() {
				at := q.got + 1
				if err := n.Run(clock.Never, func() bool { return q.got >= at }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
