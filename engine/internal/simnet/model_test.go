package simnet

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const ms = time.Millisecond

// delivered is a datagram's number and when it came, after the network's beginning.
type delivered struct {
	Number uint32
	At     time.Duration
	CE     bool
}

// modelled returns what a direction alone, without a network, makes of datagrams 0 to
// n-1 of so many bytes, gap apart: the network must do the same.
func modelled(t *testing.T, imp emulation.Impairments, n, size int, gap time.Duration) []delivered {
	t.Helper()
	d, err := emulation.NewDirection(imp, emulation.NewSeed(1, "link", "up"))
	if err != nil {
		t.Fatal(err)
	}
	ip := size + headers(addrA.Addr())
	var out []delivered
	collect := func(until emulation.Time) {
		for at, ok := d.NextDeparture(); ok && at <= until; at, ok = d.NextDeparture() {
			p, at, ok := d.Dequeue(at)
			if ok && p.Marks&emulation.Corrupted == 0 {
				out = append(out, delivered{uint32(p.Data[0])<<8 | uint32(p.Data[1]), at.Sub(emulation.Time(epoch)), p.ECN == emulation.CE})
			}
		}
	}
	for i := range n {
		at := emulation.Time(epoch).Add(time.Duration(i) * gap)
		collect(at)
		d.Enqueue(at, emulation.Packet{
			Size: emulation.ByteCount(ip + ethernetHeader), IPSize: ip, Data: []byte{byte(i >> 8), byte(i)}, ECN: emulation.ECT0,
		})
	}
	collect(1 << 62)
	return out
}

func TestNetworkDoesWhatTheModelDoes(t *testing.T) {
	base := emulation.Impairments{Rate: 2e6, Delay: 20 * ms, Jitter: 5 * ms, Queue: emulation.Queue{Packets: 20}}
	with := func(f func(*emulation.Impairments)) emulation.Impairments {
		i := base
		f(&i)
		return i
	}
	for _, tt := range []struct {
		name string
		imp  emulation.Impairments
	}{
		{"full queue", base},
		{"loss in bursts", with(func(i *emulation.Impairments) {
			i.GilbertElliott = emulation.GilbertElliott{P: 0.05, R: 0.3, H: 0, K: 1}
		})},
		{"duplicates", with(func(i *emulation.Impairments) { i.Duplicate = 0.3 })},
		{"corruption", with(func(i *emulation.Impairments) { i.Corrupt, i.Duplicate = 0.2, 0.2 })},
		{"reordering", with(func(i *emulation.Impairments) { i.Reorder = emulation.Reorder{Probability: 0.2, Gap: 3} })},
		{"drop-head", with(func(i *emulation.Impairments) { i.Queue.Discipline = emulation.DropHead })},
		{"drop-head with duplicates", with(func(i *emulation.Impairments) { i.Queue.Discipline, i.Duplicate = emulation.DropHead, 0.5 })},
		{"codel", with(func(i *emulation.Impairments) { i.Queue.Discipline = emulation.CoDel })},
		{"codel that marks", with(func(i *emulation.Impairments) { i.Queue.Discipline, i.Queue.ECN = emulation.CoDel, true })},
		{"marks past a level", with(func(i *emulation.Impairments) { i.Queue.Mark.Packets = 5 })},
		{"slots", with(func(i *emulation.Impairments) { i.Slot = emulation.Slot{Min: 5 * ms, Max: 9 * ms, Packets: 4} })},
		{"capacity trace", with(func(i *emulation.Impairments) { i.Rate, i.Capacity = 0, &emulation.Trace{3, 7, 7, 20} })},
		{"steps", with(func(i *emulation.Impairments) {
			i.Rate, i.Steps = 0, &emulation.Schedule{Columns: emulation.StepRate, Period: 400 * ms, Steps: []emulation.Step{{Rate: 3e6}, {At: 200 * ms, Rate: 1e6}}}
		})},
		{"a message that is too big", with(func(i *emulation.Impairments) { i.MTU, i.TooBig = 600, emulation.TooBigICMP })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const n, size, gap = 500, 600, 2 * ms
			r := newRig(t, 1, up(tt.imp))
			r.send(n, size, gap)
			r.run()
			var got []delivered
			for i, number := range r.b.numbers() {
				a := r.b.got[i]
				got = append(got, delivered{number, a.at.Sub(epoch), a.ecn == wire.CE})
			}
			want := modelled(t, tt.imp, n, size, gap)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("deliveries (-model +network):\n%s", diff)
			}
			c := r.link.Counters(Up)
			if c.Spoiled != c.CorruptedPackets || c.DeliveredPackets+c.Spoiled != c.DepartedPackets {
				t.Errorf("%d delivered and %d spoiled of %d departed, %d of them corrupted", c.DeliveredPackets, c.Spoiled, c.DepartedPackets, c.CorruptedPackets)
			}
			if r.UnderWay() != 0 {
				t.Errorf("%d packets are left under way", r.UnderWay())
			}
			if buffers, _ := r.Kept(); buffers != 0 {
				t.Errorf("%d buffers are lost", buffers)
			}
			if tt.imp.MTU == 0 && c.DepartedPackets == n {
				t.Error("nothing happened to any packet: the case shows nothing")
			}
		})
	}
}

// Timelines of all links count from the first packet on any of them.
func TestTimelineStartsWithTheFirstPacket(t *testing.T) {
	c := up(emulation.Impairments{Delay: ms})
	c.Timelines[Up] = emulation.Timeline{
		{At: 10 * ms, Every: 20 * ms, Times: 2, Patch: emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: true}}},
		{At: 15 * ms, Every: 20 * ms, Times: 2, Patch: emulation.Patch{Fields: emulation.FieldBlackhole}},
	}
	r := newRig(t, 1, c)
	r.At(epoch.Add(7*ms), func() { r.Send(r.Now(), addrB, addrA, wire.NotECT, numbered(0, 4)) }) // the other way
	for i := range 50 {
		r.At(epoch.Add(7*ms+time.Duration(i)*ms+1), func() { r.Send(r.Now(), addrA, addrB, wire.NotECT, numbered(i, 4)) })
	}
	r.run()
	var lost []int
	for i := range 50 {
		if !slices.Contains(r.b.numbers(), uint32(i)) {
			lost = append(lost, i)
		}
	}
	if want := []int{10, 11, 12, 13, 14, 30, 31, 32, 33, 34}; !slices.Equal(lost, want) {
		t.Errorf("lost %v, want %v", lost, want)
	}
	if got := r.link.Counters(Up).Dropped[emulation.DropBlackhole]; got != 10 {
		t.Errorf("%d drops are the black hole's, want 10", got)
	}
}

func TestTraceStartsWithTheFirstPacket(t *testing.T) {
	r := newRig(t, 1, up(emulation.Impairments{Capacity: &emulation.Trace{10}}))
	r.At(epoch.Add(7*ms), func() { r.Send(r.Now(), addrB, addrA, wire.NotECT, numbered(0, 4)) }) // the other way
	r.At(epoch.Add(12*ms), func() { r.Send(r.Now(), addrA, addrB, wire.NotECT, numbered(0, 4)) })
	r.run()
	if got, want := r.b.got[0].at.Sub(epoch), 17*ms; got != want {
		t.Errorf("came at %v, want %v: the trace runs since 7ms", got, want)
	}
}

func TestPatchThatMakesTheTimelineImpossible(t *testing.T) {
	c := up(emulation.Impairments{Delay: 10 * ms, Jitter: 2 * ms})
	c.Timelines[Up] = emulation.Timeline{{At: 20 * ms, Patch: emulation.Patch{Fields: emulation.FieldDelay, Values: emulation.Impairments{Delay: 5 * ms}}}}
	r := newRig(t, 1, c)
	r.Start()
	if err := r.link.Patch(Up, emulation.Patch{Fields: emulation.FieldJitter, Values: emulation.Impairments{Jitter: 8 * ms}}); err != nil {
		t.Fatal(err)
	}
	r.send(2, 4, 50*ms)
	r.run()
	if c := r.link.Counters(Up); c.Refused != 1 || c.DeliveredPackets != 2 {
		t.Errorf("%d changes refused, %d packets delivered; want 1 and 2", c.Refused, c.DeliveredPackets)
	}
}

func TestLinkThatIsDown(t *testing.T) {
	r := newRig(t, 1, up(emulation.Impairments{Delay: 10 * ms}))
	r.send(6, 4, 5*ms)
	r.At(epoch.Add(12*ms), func() { r.link.SetDown(true) }) // numbers 1 and 2 are under way
	r.At(epoch.Add(22*ms), func() { r.link.SetDown(false) })
	r.run()
	if got, want := r.b.numbers(), []uint32{0, 5}; !slices.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
	if c := r.link.Counters(Up); c.BlackedOut != 4 {
		t.Errorf("%d blacked out, want 4", c.BlackedOut)
	}
	if r.UnderWay() != 0 {
		t.Errorf("%d packets are left under way", r.UnderWay())
	}
}
