package simnet

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Every delivery, to the nanosecond, is the departure that a model of the same seed
// gives the same frames by itself.
func TestDeliveriesAreTheModelsDepartures(t *testing.T) {
	imp := emulation.Impairments{
		Rate: 33_333_333, Delay: 20 * time.Millisecond, Jitter: 3 * time.Millisecond, Loss: 0.1,
		Queue: emulation.Queue{Bytes: 60_000},
	}
	r := newRig(t, 42, up(imp))
	r.send(400, 1200, 250*time.Microsecond)
	began := r.Now()
	r.run()

	model, err := emulation.NewDirection(imp, emulation.NewSeed(42, "link", "up"))
	if err != nil {
		t.Fatal(err)
	}
	var want []clock.Time
	for i := range 400 {
		model.Enqueue(emulation.Time(began).Add(time.Duration(i)*250*time.Microsecond), emulation.Packet{Size: 14 + 20 + 8 + 1200, IPSize: 1228})
	}
	for {
		at, ok := model.NextDeparture()
		if !ok {
			break
		}
		model.Dequeue(at)
		want = append(want, clock.Time(at))
	}
	var got []clock.Time
	for _, a := range r.b.got {
		got = append(got, a.at)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delivery times (-model +network):\n%s", diff)
	}
	if diff := cmp.Diff(model.Counters(), r.link.Counters(Up).Counters); diff != "" {
		t.Errorf("counters (-model +network):\n%s", diff)
	}
	dropped := r.link.Counters(Up).DroppedPackets()
	if lost := uint64(400 - len(got)); lost != dropped || lost == 0 {
		t.Errorf("%d datagrams did not arrive, the direction counted %d dropped; want the same and some", lost, dropped)
	}
}

func TestDatagramArrivesAsItWasSent(t *testing.T) {
	tests := []struct {
		name     string
		from, to string
		size     int
		frame    uint64
	}{
		{"IPv4", "10.0.0.1:1000", "10.0.0.2:2000", 100, 14 + 20 + 8 + 100},
		{"IPv6", "[fd00::1]:1000", "[fd00::2]:2000", 100, 14 + 40 + 8 + 100},
		{"empty", "10.0.0.1:1000", "10.0.0.2:2000", 0, 42},
		{"larger than an Ethernet frame", "10.0.0.1:1000", "10.0.0.2:2000", 8900, 42 + 8900},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := New(1)
			a, b := n.AddNode("a"), n.AddNode("b")
			got := &host{network: n}
			b.Attach(got)
			from, to := netip.MustParseAddrPort(tt.from), netip.MustParseAddrPort(tt.to)
			l, err := n.Connect(a, b, LinkConfig{
				Name: "l", MTU: 9000, Addresses: [2][]netip.Addr{{from.Addr()}, {to.Addr()}},
				Impairments: [2]emulation.Impairments{{Delay: time.Millisecond}},
			})
			if err != nil {
				t.Fatal(err)
			}
			sent := bytes.Repeat([]byte{7}, tt.size)
			want := arrival{n.Now().Add(time.Millisecond), to, from, wire.CE, bytes.Clone(sent)}
			n.Send(n.Now(), from, to, wire.CE, sent)
			clear(sent) // borrowed: the network has its own
			if err := n.Run(clock.Never, nil); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]arrival{want}, got.got, cmp.AllowUnexported(arrival{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("arrivals (-want +got):\n%s", diff)
			}
			if c := l.Counters(Up); c.ArrivedBytes != tt.frame || c.DeliveredBytes != tt.frame || c.DeliveredPackets != 1 {
				t.Errorf("counted %d bytes in and %d in %d packets out, want %d in one", c.ArrivedBytes, c.DeliveredBytes, c.DeliveredPackets, tt.frame)
			}
			if got := n.small.InUse() + n.large.InUse(); got != 0 {
				t.Errorf("%d buffers are in use with nothing under way", got)
			}
		})
	}
}

func TestLargerThanTheInterfaceNeverLeaves(t *testing.T) {
	r := newRig(t, 1, LinkConfig{MTU: 1300})
	r.Send(r.Now(), addrA, addrB, 0, make([]byte, 1300-28))
	r.Send(r.Now(), addrA, addrB, 0, make([]byte, 1300-28+1))
	r.run()
	if c := r.link.Counters(Up); len(r.b.got) != 1 || c.TooLarge != 1 || c.ArrivedPackets != 1 {
		t.Errorf("%d arrived, %d too large, the model saw %d; want 1 each", len(r.b.got), c.TooLarge, c.ArrivedPackets)
	}
}

func TestModelsMTUCountsIPPackets(t *testing.T) {
	r := newRig(t, 1, up(emulation.Impairments{MTU: 1300}))
	r.Send(r.Now(), addrA, addrB, 0, make([]byte, 1300-28))
	r.Send(r.Now(), addrA, addrB, 0, make([]byte, 1300-28+1))
	r.run()
	if c := r.link.Counters(Up); len(r.b.got) != 1 || c.Dropped[emulation.DropMTU] != 1 {
		t.Errorf("%d arrived, %d dropped for their size; want 1 each", len(r.b.got), c.Dropped[emulation.DropMTU])
	}
}

// Datagrams of one instant come in the order of sending over all links, then calls,
// then timeouts.
func TestOrderOfOneInstant(t *testing.T) {
	n := New(1)
	hub, out := n.AddNode("hub"), n.AddNode("out")
	var log []string
	out.Attach(logger(func(s string) { log = append(log, s) }))
	var from, to []netip.AddrPort
	for i := range 3 {
		f := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), 1)
		g := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 2}), 1)
		from, to = append(from, f), append(to, g)
		imp := emulation.Impairments{Delay: time.Millisecond}
		if _, err := n.Connect(hub, out, LinkConfig{Name: f.String(), Addresses: [2][]netip.Addr{{f.Addr()}, {g.Addr()}}, Impairments: [2]emulation.Impairments{imp, imp}}); err != nil {
			t.Fatal(err)
		}
	}
	at := n.Now().Add(time.Millisecond)
	h := &host{due: []clock.Time{at}}
	hub.Attach(h)
	n.At(at, func() {
		log = append(log, "call 1")
		h.due = append([]clock.Time{1}, h.due...) // one that is past waits for its turn, too
	})
	n.At(at, func() { log = append(log, fmt.Sprintf("call 2, %d timeouts", len(h.expired))) })
	for _, i := range []int{2, 0, 1, 0} {
		n.Send(n.Now(), from[i], to[i], 0, []byte{'0' + byte(i)})
	}
	if err := n.Run(clock.Never, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"2", "0", "1", "0", "call 1", "call 2, 0 timeouts"}
	if !slices.Equal(log, want) {
		t.Errorf("got %q, want %q", log, want)
	}
}

// logger is a Handler that logs datagrams as text.
type logger func(string)

func (l logger) HandleDatagram(_ clock.Time, _, _ netip.AddrPort, _ wire.ECN, data []byte) {
	l(string(data))
}
func (l logger) HandleTimeout(clock.Time) {}
func (l logger) NextTimeout() clock.Time  { return 0 } // unset is never

func TestTimeoutsComeWhenDue(t *testing.T) {
	r := newRig(t, 1, LinkConfig{})
	now := r.Now()
	r.a.due = []clock.Time{now.Add(time.Second), now.Add(5 * time.Second)}
	r.b.due = []clock.Time{now.Add(2 * time.Second), now - 1} // one that has come already
	want := [2][]clock.Time{slices.Clone(r.a.due), {now.Add(2 * time.Second), now.Add(2 * time.Second)}}
	r.run()
	if diff := cmp.Diff(want, [2][]clock.Time{r.a.expired, r.b.expired}); diff != "" {
		t.Errorf("timeouts (-want +got):\n%s", diff)
	}
}

func TestRunEnds(t *testing.T) {
	second := New(1).Now().Add(time.Second)
	t.Run("at until, with later events left", func(t *testing.T) {
		r := newRig(t, 1, LinkConfig{})
		r.a.due = []clock.Time{second, second + 1}
		if err := r.Run(second, nil); err != nil || r.Now() != second || len(r.a.expired) != 1 {
			t.Errorf("%v, %d timeouts, now %v; want the one at until, and until", err, len(r.a.expired), r.Now())
		}
	})
	t.Run("at until, without events", func(t *testing.T) {
		r := newRig(t, 1, LinkConfig{})
		if err := r.Run(second, nil); err != nil || r.Now() != second || r.Elapsed() != time.Second {
			t.Errorf("%v, now %v; want until", err, r.Now())
		}
	})
	t.Run("when told to stop", func(t *testing.T) {
		r := newRig(t, 1, LinkConfig{})
		r.send(5, 100, time.Millisecond)
		if err := r.Run(clock.Never, func() bool { return len(r.b.got) == 3 }); err != nil || len(r.b.got) != 3 {
			t.Errorf("%v, %d datagrams; want 3", err, len(r.b.got))
		}
	})
}

func TestStalls(t *testing.T) {
	never := func() bool { return false }
	tests := []struct {
		name string
		make func(r *rig)
		want Stall
		says string
	}{
		{"idle", func(r *rig) { r.b.waiting = "data" }, Idle, "b waits for data"},
		{"an endless timeout", func(r *rig) { r.a.due = make([]clock.Time, instantLimit+2); r.a.due[0] = 1; fill(r.a.due, 1) }, Spinning, "a waits for its timeout"},
		{"a ping-pong in no time", func(r *rig) { r.a.reply, r.b.reply = true, true; r.send(1, 10, 0) }, Spinning, "1 packets under way"},
		{"out of budget", func(r *rig) { r.SetBudget(3); r.send(4, 10, time.Second) }, Spent, "after 3 events"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, LinkConfig{})
			tt.make(r)
			err := r.Run(clock.Never, never)
			stall, ok := errors.AsType[*StallError](err)
			if !ok || stall.Stall != tt.want || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Run = %v, want a stall that says %q and %q", err, tt.want, tt.says)
			}
		})
	}
}

func fill(ts []clock.Time, t clock.Time) {
	for i := range ts {
		ts[i] = t
	}
}

// chatter runs a noisy exchange with every fault and returns a hash of all that the
// two hosts saw.
func chatter(t *testing.T, seed uint64) [32]byte {
	imp := emulation.Impairments{Rate: 20e6, Delay: 5 * time.Millisecond, Jitter: 2 * time.Millisecond, Loss: 0.05, Queue: emulation.Queue{Packets: 20}}
	f := Faults{Duplicate: 0.05, Corrupt: 0.05, Reorder: 0.1, MaxWait: 8 * time.Millisecond}
	r := newRig(t, seed, LinkConfig{Impairments: [2]emulation.Impairments{imp, imp}, Faults: [2]Faults{f, f}})
	r.b.reply = true
	r.send(500, 700, 300*time.Microsecond)
	r.run()
	h := sha256.New()
	for _, a := range append(r.a.got, r.b.got...) {
		var at [8]byte
		binary.BigEndian.PutUint64(at[:], uint64(a.at))
		h.Write(at[:])
		h.Write(a.data)
	}
	return [32]byte(h.Sum(nil))
}

func TestSeedDecidesEverything(t *testing.T) {
	first, again, other := chatter(t, 1), chatter(t, 1), chatter(t, 2)
	if first != again {
		t.Error("one seed gave two sequences of events")
	}
	if first == other {
		t.Error("two seeds gave the same sequence of events")
	}
}

func TestHandlerMayKeepTheBuffer(t *testing.T) {
	r := newRig(t, 1, LinkConfig{})
	k := &keeper{network: r.Network}
	r.nodes[1].Attach(k)
	r.send(3, 10, 0)
	r.run()
	if r.small.InUse() != 3 || r.Buffer() != nil {
		t.Fatalf("%d buffers in use, want the 3 kept ones, and none between datagrams", r.small.InUse())
	}
	for i, data := range k.kept {
		if got := binary.BigEndian.Uint32(data); got != uint32(i) {
			t.Errorf("kept datagram %d turned into %d", i, got)
		}
	}
}

type keeper struct {
	logger
	network *Network
	kept    [][]byte
}

func (k *keeper) HandleDatagram(_ clock.Time, _, _ netip.AddrPort, _ wire.ECN, data []byte) {
	k.network.Buffer().Retain()
	k.kept = append(k.kept, data)
}

func TestMisuse(t *testing.T) {
	tests := []struct {
		name string
		do   func(r *rig)
	}{
		{"send at another time", func(r *rig) { r.Send(r.Now()+1, addrA, addrB, 0, nil) }},
		{"send from an address that is nobody's", func(r *rig) { r.Send(r.Now(), netip.AddrPort{}, addrB, 0, nil) }},
		{"run within run", func(r *rig) {
			r.At(r.Now(), func() { _ = r.Run(clock.Never, nil) })
			_ = r.Run(clock.Never, nil)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, LinkConfig{})
			defer func() {
				if recover() == nil {
					t.Error("it went unnoticed")
				}
			}()
			tt.do(r)
		})
	}
}

func TestKept(t *testing.T) {
	r := newRig(t, 1, up(emulation.Impairments{Rate: 10e6, Delay: time.Millisecond}))
	var kept *buf.Buffer
	r.Network.nodes[1].Attach(hoarder{host: r.b, keep: &kept})
	r.send(3, 100, 10*time.Millisecond)
	if err := r.Run(r.Now().Add(20*time.Millisecond+time.Microsecond), nil); err != nil {
		t.Fatal(err)
	}
	if buffers, size := r.Kept(); r.UnderWay() != 1 || buffers != 1 || size != smallBuffer {
		t.Errorf("%d under way, %d buffers of %d bytes kept; want 1, 1, %d", r.UnderWay(), buffers, size, smallBuffer)
	}
	r.run()
	kept.Release()
	if buffers, size := r.Kept(); r.UnderWay() != 0 || buffers != 0 || size != 0 {
		t.Errorf("%d under way, %d buffers of %d bytes kept at the end", r.UnderWay(), buffers, size)
	}
}

// hoarder keeps the first datagram's memory.
type hoarder struct {
	*host
	keep **buf.Buffer
}

func (k hoarder) HandleDatagram(_ clock.Time, _, _ netip.AddrPort, _ wire.ECN, _ []byte) {
	if *k.keep == nil {
		*k.keep = k.network.Buffer()
		(*k.keep).Retain()
	}
}
