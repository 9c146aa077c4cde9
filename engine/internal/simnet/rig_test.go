package simnet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

var (
	addrA = netip.MustParseAddrPort("10.0.0.1:1000")
	addrB = netip.MustParseAddrPort("10.0.0.2:2000")
)

// arrival is a datagram that a host was handed.
type arrival struct {
	at            clock.Time
	local, remote netip.AddrPort
	ecn           wire.ECN
	data          []byte
}

// host notes what it gets. Its deadlines are those in due.
type host struct {
	network *Network
	got     []arrival
	due     []clock.Time
	expired []clock.Time
	reply   bool // send everything back to where it came from
	waiting string
}

func (h *host) HandleDatagram(now clock.Time, local, remote netip.AddrPort, ecn wire.ECN, data []byte) {
	h.got = append(h.got, arrival{now, local, remote, ecn, bytes.Clone(data)})
	if h.reply {
		h.network.Send(now, local, remote, ecn, data)
	}
}

func (h *host) HandleTimeout(now clock.Time) {
	h.expired = append(h.expired, now)
	h.due = h.due[1:]
}

func (h *host) NextTimeout() clock.Time {
	if len(h.due) == 0 {
		return clock.Never
	}
	return h.due[0]
}

func (h *host) Waiting() string { return h.waiting }

// numbers returns the numbers that the datagrams' first bytes have.
func (h *host) numbers() []uint32 {
	var out []uint32
	for _, a := range h.got {
		out = append(out, binary.BigEndian.Uint32(a.data))
	}
	return out
}

// rig is two hosts, a and b, and the link between them.
type rig struct {
	t *testing.T
	*Network
	a, b *host
	link *Link
}

// newRig returns a rig whose link is c, addressed.
func newRig(t *testing.T, seed uint64, c LinkConfig) *rig {
	t.Helper()
	n := New(seed)
	r := &rig{t: t, Network: n, a: &host{network: n}, b: &host{network: n}}
	a, b := n.AddNode("a"), n.AddNode("b")
	a.Attach(r.a)
	b.Attach(r.b)
	if c.Name == "" {
		c.Name = "link"
	}
	c.Addresses = [2][]netip.Addr{{addrA.Addr()}, {addrB.Addr()}}
	var err error
	if r.link, err = n.Connect(a, b, c); err != nil {
		t.Fatal(err)
	}
	return r
}

// numbered returns a datagram of so many bytes that begins with a number.
func numbered(i, size int) []byte {
	b := bytes.Repeat([]byte{byte(i)}, size)
	binary.BigEndian.PutUint32(b, uint32(i))
	return b
}

// send sends datagrams 0 to n-1 of so many bytes from a to b, gap apart.
func (r *rig) send(n, size int, gap time.Duration) {
	for i := range n {
		r.At(r.Now().Add(time.Duration(i)*gap), func() {
			r.Send(r.Now(), addrA, addrB, wire.ECT0, numbered(i, size))
		})
	}
}

// run lets everything happen.
func (r *rig) run() {
	r.t.Helper()
	if err := r.Run(clock.Never, nil); err != nil {
		r.t.Fatal(err)
	}
}

// up is a link with these impairments upwards, none downwards.
func up(imp emulation.Impairments) LinkConfig {
	return LinkConfig{Impairments: [2]emulation.Impairments{Up: imp}}
}

func upFaults(f Faults) LinkConfig {
	c := up(emulation.Impairments{Rate: 10e6, Delay: 10 * time.Millisecond})
	c.Faults[Up] = f
	return c
}
