package simnet

import (
	"math/bits"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestDuplicates(t *testing.T) {
	r := newRig(t, 1, upFaults(Faults{Duplicate: 0.25}))
	r.send(400, 100, time.Millisecond)
	r.run()
	c := r.link.Counters(Up)
	if extra := len(r.b.got) - 400; extra < 60 || extra > 140 || uint64(extra) != c.Duplicated {
		t.Errorf("%d came twice, %d counted; want about 100 and the same", extra, c.Duplicated)
	}
	if c.DeliveredPackets != uint64(len(r.b.got)) || c.DepartedPackets != 400 {
		t.Errorf("%d delivered, %d departed; want %d and 400", c.DeliveredPackets, c.DepartedPackets, len(r.b.got))
	}
	// Without a wait the second follows at once.
	if got := r.b.numbers(); !slices.IsSorted(got) || len(slices.Compact(got)) != 400 {
		t.Error("not each number, in order")
	}
}

func TestDuplicatesAreCopies(t *testing.T) {
	n := New(3)
	a, b := n.AddNode("a"), n.AddNode("b")
	var seen []byte
	b.Attach(scribbler{seen: &seen})
	c := LinkConfig{Name: "l", Addresses: [2][]netip.Addr{{addrA.Addr()}, {addrB.Addr()}}, Faults: [2]Faults{{Duplicate: 1}, {}}}
	if _, err := n.Connect(a, b, c); err != nil {
		t.Fatal(err)
	}
	n.Send(n.Now(), addrA, addrB, 0, []byte{5})
	if err := n.Run(clock.Never, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []byte{5, 5}) {
		t.Errorf("got %v: what the handler did to the first shows in the second", seen)
	}
}

// scribbler overwrites what it gets, as decryption in place does.
type scribbler struct {
	logger
	seen *[]byte
}

func (s scribbler) HandleDatagram(_ clock.Time, _, _ netip.AddrPort, _ wire.ECN, data []byte) {
	*s.seen = append(*s.seen, data[0])
	data[0] = 0xff
}

func TestCorruptionFlipsOneBit(t *testing.T) {
	r := newRig(t, 1, upFaults(Faults{Corrupt: 0.25}))
	r.send(400, 100, time.Millisecond)
	r.run()
	var wrong uint64
	for i, a := range r.b.got {
		flipped := 0
		for j, want := range numbered(i, 100) {
			flipped += bits.OnesCount8(a.data[j] ^ want)
		}
		if flipped > 1 {
			t.Fatalf("datagram %d has %d wrong bits", i, flipped)
		}
		wrong += uint64(flipped)
	}
	if c := r.link.Counters(Up); wrong < 60 || wrong > 140 || wrong != c.Corrupted {
		t.Errorf("%d are corrupt, %d counted; want about 100 and the same", wrong, c.Corrupted)
	}
}

func TestReordering(t *testing.T) {
	const wait = 20 * time.Millisecond
	r := newRig(t, 1, upFaults(Faults{Reorder: 0.25, MaxWait: wait}))
	start := r.Now()
	r.send(400, 100, time.Millisecond)
	r.run()
	late := uint64(0)
	for _, a := range r.b.got {
		// 100 bytes and the headers take 113.6 us at 10 Mbit/s.
		due := start.Add(time.Duration(numbers(a))*time.Millisecond + 10*time.Millisecond + 113_600)
		switch by := a.at.Sub(due); {
		case by < 0 || by > wait:
			t.Errorf("datagram %d came %v after its time, want 0 to %v", numbers(a), by, wait)
		case by > 0:
			late++
		}
	}
	if c := r.link.Counters(Up); late < 60 || late > 140 || late != c.Reordered {
		t.Errorf("%d are late, %d counted; want about 100 and the same", late, c.Reordered)
	}
	got := r.b.numbers()
	if slices.IsSorted(got) {
		t.Error("no packet overtook another")
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 400 {
		t.Error("not each number once")
	}
}

func numbers(a arrival) uint32 { return (&host{got: []arrival{a}}).numbers()[0] }

func TestBlackout(t *testing.T) {
	start := New(1).Now()
	r := newRig(t, 1, upFaults(Faults{Blackouts: []Blackout{
		{start.Add(2 * time.Millisecond), start.Add(4 * time.Millisecond)},
		{start.Add(7 * time.Millisecond), start.Add(8 * time.Millisecond)},
	}}))
	r.b.reply = true // the other way is not touched
	r.send(10, 100, time.Millisecond)
	r.run()
	want := []uint32{0, 1, 4, 5, 6, 8, 9}
	if got := r.b.numbers(); !slices.Equal(got, want) {
		t.Errorf("b got %v, want %v", got, want)
	}
	if got := r.a.numbers(); !slices.Equal(got, want) {
		t.Errorf("a got %v back, want %v", got, want)
	}
	if c := r.link.Counters(Up); c.BlackedOut != 3 || c.ArrivedPackets != 7 {
		t.Errorf("%d blacked out, the model saw %d; want 3 and 7", c.BlackedOut, c.ArrivedPackets)
	}
}

func TestMTUChanges(t *testing.T) {
	start := New(1).Now()
	r := newRig(t, 1, upFaults(Faults{MTUs: []MTUChange{
		{start.Add(4 * time.Millisecond), 1128}, // out of order on purpose
		{start.Add(2 * time.Millisecond), 1127},
	}}))
	r.send(6, 1100, time.Millisecond) // IP packets of 1128 bytes
	r.run()
	if got, want := r.b.numbers(), []uint32{0, 1, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: 2 and 3 are a byte too large", got, want)
	}
	if c := r.link.Counters(Up); c.TooLarge != 2 {
		t.Errorf("%d too large, want 2", c.TooLarge)
	}
}

// The faults draw from a generator of their own: they never change which packets
// the model drops.
func TestFaultsLeaveTheModelAlone(t *testing.T) {
	counters := func(f Faults) emulation.Counters {
		c := up(emulation.Impairments{Rate: 10e6, Delay: time.Millisecond, Loss: 0.2, Jitter: time.Millisecond})
		c.Faults[Up] = f
		r := newRig(t, 9, c)
		r.send(200, 500, time.Millisecond)
		r.run()
		return r.link.Counters(Up).Counters
	}
	plain := counters(Faults{})
	if got := counters(Faults{Duplicate: 0.5, Corrupt: 0.5, Reorder: 0.5, MaxWait: time.Second}); got != plain {
		t.Errorf("with faults the model counts %+v, without %+v", got, plain)
	}
}

func TestSetFaults(t *testing.T) {
	r := newRig(t, 1, upFaults(Faults{}))
	r.send(30, 100, time.Millisecond)
	set := func(after time.Duration, f Faults) {
		r.At(r.Now().Add(after), func() {
			if err := r.link.SetFaults(Up, f); err != nil {
				t.Error(err)
			}
		})
	}
	// What is on the link already gets the faults of when it arrives, after 10 ms.
	set(5*time.Millisecond, Faults{MTUs: []MTUChange{{At: r.Now(), MTU: 50}}})
	set(10*time.Millisecond, Faults{})
	set(20*time.Millisecond, Faults{Duplicate: 1})
	if err := r.link.SetFaults(Up, Faults{Reorder: 2}); err == nil {
		t.Error("a probability of 2 was taken")
	}
	r.run()
	c := r.link.Counters(Up)
	if c.TooLarge != 5 || c.Duplicated < 18 || c.Duplicated > 20 {
		t.Errorf("%d too large and %d duplicated, want 5 and about 19", c.TooLarge, c.Duplicated)
	}
}

// A NAT that comes up later knows the flows that it sees from then on, and one that
// changes knows those that it had.
func TestSetFaultsKeepsFlows(t *testing.T) {
	rebind := func(ports uint16) Faults { return Faults{Rebindings: []Rebinding{{Ports: ports}}} }
	r := newRig(t, 1, upFaults(rebind(7)))
	r.send(1, 100, 0)
	r.run()
	if err := r.link.SetFaults(Up, rebind(9)); err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(addrA.Addr(), addrA.Port()+9)
	r.Send(r.Now(), addrB, to, wire.NotECT, numbered(0, 100))
	r.run()
	if len(r.a.got) != 1 || r.a.got[0].local != addrA {
		t.Errorf("%d datagrams reached the flow's new address, want 1", len(r.a.got))
	}
}
