package netem

import (
	"flag"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/florianl/go-tc"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/netem/uml"
)

// kernelTest needs a kernel that has netem. It runs inside User-Mode Linux, and on the
// host as well if its kernel has it.
type kernelTest struct {
	name string
	test func(*testing.T)
}

// kernelTests say what netem does, and timeTests when.
var (
	kernelTests = []kernelTest{
		{"probe", testProbeYes},
		{"apply and read", testApplyRead},
		{"tables", testTables},
		{"what was there before", testForeign},
		{"second opinion", testSecondOpinion},
		{"second apply", testSecondApply},
		{"order", testOrder},
		{"loss models", testLossModels},
		{"duplicate", testDuplicate},
		{"corrupt", testCorrupt},
		{"reorder", testReorder},
		{"ecn", testECN},
		{"blackhole", testBlackhole},
		{"queue", testQueue},
		{"delay", testDelay},
		{"rate", testRate},
		{"directions", testDirections},
		{"change in flight", testChangeInFlight},
		{"change under traffic", testChangeUnderTraffic},
		{"change keeps", testChangeKeeps},
		{"change needs ours", testChangeNeedsOurs},
		{"seed", testSeed},
		{"no netem", testNoNetem},
		{"join", testJoin},
	}
	timeTests = []kernelTest{
		{"departures", testDepartures},
		{"exact rate", testRateExact},
		{"distributions", testDistributions},
		{"slots", testSlots},
		{"light slots", testLightSlots},
		{"profiles", testProfiles},
	}
)

func runKernelTests(t *testing.T, tests []kernelTest) {
	for _, k := range tests {
		t.Run(k.name, k.test)
	}
}

func TestInUserModeLinux(t *testing.T) { inUserModeLinux(t, kernelTests, 0) }

// TestTimesInUserModeLinux has a machine with a priority on the host: it measures when
// packets leave, and the machine's timers are no better than its share of the CPU.
func TestTimesInUserModeLinux(t *testing.T) { inUserModeLinux(t, timeTests, -15) }

// inside selects some of the kernel's tests: go test -run InUserMode -inside=loss
var inside = flag.String("inside", "", "run only the kernel tests that match, inside User-Mode Linux")

func inUserModeLinux(t *testing.T, tests []kernelTest, nice int) {
	if uml.Inside() {
		// Where times count, what the kernel leaves to its softirq thread must not wait for a
		// test's share of the CPU: one packet in a hundred was late by 2 ms and more.
		if nice < 0 {
			if err := unix.Setpriority(unix.PRIO_PGRP, 0, 19); err != nil {
				t.Fatal(err)
			}
		}
		// A burst of more than an interface's backlog would be lost behind netem, and only
		// where the softirq thread is late: nothing that these tests are about.
		if err := os.WriteFile("/proc/sys/net/core/netdev_max_backlog", []byte("100000"), 0); err != nil {
			t.Fatal(err)
		}
		runKernelTests(t, tests)
		return
	}
	report := uml.Run(t, uml.Config{
		Test:    "^" + t.Name() + "$/(" + *inside + ")",
		Modules: []string{"veth", "bridge", "sch_netem"},
		Timeout: 6 * time.Minute, // the tests of times, each measured three times
		Nice:    nice,
	})
	if *inside == "" && len(report.Passed) <= len(tests) {
		t.Errorf("%d tests passed inside, want %d and more", len(report.Passed), len(tests)+1)
	}
}

func testProbeYes(t *testing.T) {
	got, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if want := (Kernel{Seeded: kernelHasSeed(t)}); got != want {
		t.Errorf("Probe: %+v, want %+v", got, want)
	}
}

func testApplyRead(t *testing.T) {
	r := newRig(t, 1500)
	const mbit = 1_000_000
	ms := time.Millisecond
	for _, c := range []struct {
		name  string
		imp   emulation.Impairments
		queue int // packets, read back; where there is jitter the kernel does not tell enough
	}{
		{"nothing", emulation.Impairments{}, 0},
		{"delay", emulation.Impairments{Delay: 35 * ms}, 0},
		{"odd nanoseconds", emulation.Impairments{Delay: 1_234_567, Jitter: 654_321}, 0},
		{"lte up", emulation.Impairments{Rate: 12 * mbit, Delay: 35 * ms, Jitter: 5 * ms, Loss: 0.001, Queue: emulation.Queue{Time: 300 * ms}}, 0},
		{"lte down", emulation.Impairments{Rate: 40 * mbit, Delay: 35 * ms, Jitter: 5 * ms, Loss: 0.001, Queue: emulation.Queue{Time: 300 * ms}}, 0},
		{"queue in time", emulation.Impairments{Rate: 12 * mbit, Delay: 35 * ms, Queue: emulation.Queue{Time: 300 * ms}}, 297},
		{"queue in packets", emulation.Impairments{Rate: 60 * mbit, Queue: emulation.Queue{Packets: 50}}, 50},
		{"queue in bytes", emulation.Impairments{Rate: 60 * mbit, Queue: emulation.Queue{Bytes: 64_000}}, 42},
		{"no queue", emulation.Impairments{Rate: 60 * mbit, Delay: 8 * ms}, 0},
		{"beyond 32 bits", emulation.Impairments{Rate: 50_000 * mbit, Delay: 10 * time.Second, Queue: emulation.Queue{Packets: 1000}}, 1000},
		{"slower again", emulation.Impairments{Rate: 1 * mbit, Queue: emulation.Queue{Packets: 1}}, 1},
		{"gilbert-elliott", emulation.Impairments{GilbertElliott: emulation.GilbertElliott{P: 0.01, R: 0.25, H: 0.125, K: 0.75}}, 0},
		{"four-state", emulation.Impairments{FourState: emulation.FourState{P13: 0.1, P31: 0.2, P32: 0.3, P23: 0.4, P14: 0.5}}, 0},
		{"independent again", emulation.Impairments{Loss: 0.5}, 0},
		{"copies with loss", emulation.Impairments{Loss: 0.1, Duplicate: 0.2, Corrupt: 0.3}, 0},
		{"reorder", emulation.Impairments{Delay: ms, Reorder: emulation.Reorder{Probability: 0.5, Gap: 4}}, 0},
		{"reorder without gap", emulation.Impairments{Delay: ms, Reorder: emulation.Reorder{Probability: 0.5}}, 0},
		{"slots", emulation.Impairments{Slot: emulation.Slot{Min: ms, Max: 3*ms + 1, Packets: 4, Bytes: 9000}}, 0},
		{"wide slots", emulation.Impairments{Slot: emulation.Slot{Max: maxSlotRange}}, 0},
		{"without slots", emulation.Impairments{Delay: ms}, 0},
		{"all lost", emulation.Impairments{Loss: 1}, 0},
		{"widest jitter", emulation.Impairments{Delay: 3 * time.Second, Jitter: maxJitter}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := Apply(r.ports[1], c.imp, 7); err != nil {
				t.Fatal(err)
			}
			state := r.state(1)
			want := c.imp
			want.Queue = emulation.Queue{Packets: c.queue}
			probability := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 3.0/(1<<32) })
			if diff := cmp.Diff(want, state.Impairments, probability); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
			if state.Limit == 0 || state.Limit == 1000 {
				t.Errorf("limit %d: not worked out", state.Limit)
			}
		})
	}
}

// testTables says that the largest tables fit one message and are taken; that they are
// in force testDistributions shows.
func testTables(t *testing.T) {
	r := newRig(t, 1500)
	table := make(emulation.Table, emulation.MaxTableSize)
	for i := range table {
		table[i] = int16(i)
	}
	for _, imp := range []emulation.Impairments{
		{Delay: time.Second, Jitter: time.Second, Distribution: emulation.Normal},
		{Delay: time.Second, Jitter: time.Second, Distribution: emulation.Pareto},
		{Delay: time.Second, Jitter: time.Second, Distribution: emulation.Empirical, JitterTable: &table, Slot: emulation.Slot{Max: time.Second}},
	} {
		r.must(Apply(r.ports[1], imp, 1))
		if got := r.state(1).Impairments; got.Delay != imp.Delay || got.Jitter != imp.Jitter || got.Slot != imp.Slot {
			t.Errorf("%+v is read back as %+v", imp, got)
		}
	}
}

// testForeign puts a netem that is not ours where ours goes: with everything
// that a change would not take back.
func testForeign(t *testing.T) {
	r := joined(t, 1500)
	conn, err := tc.Open(&tc.Config{NetNS: r.wire})
	r.must(err)
	defer conn.Close()
	slow := int64(time.Second)
	r.must(conn.Qdisc().Add(&tc.Object{
		Msg: tc.Msg{Ifindex: uint32(r.ports[1].Index), Handle: 1 << 16, Parent: tc.HandleRoot},
		Attribute: tc.Attribute{Kind: "netem", Netem: &tc.Netem{
			Qopt:      tc.NetemQopt{Limit: 3, Loss: math.MaxUint32 / 2, Duplicate: math.MaxUint32 / 2, Gap: 5},
			Reorder:   &tc.NetemReorder{Probability: math.MaxUint32 / 2},
			Corrupt:   &tc.NetemCorrupt{Probability: math.MaxUint32},
			Corr:      &tc.NetemCorr{Loss: math.MaxUint32 / 2},
			Rate:      &tc.NetemRate{Rate: 1000},
			Latency64: &slow,
			Slot:      &tc.NetemSlot{MinDelay: 1e6, MaxDelay: 2e6, MaxPackets: 1},
		}},
	}))
	r.must(Apply(r.ports[1], emulation.Impairments{Delay: time.Millisecond}, 1))
	f := r.flow(0, 200)
	f.send(500)
	f.receive(500)
	f.wantInOrder()
}

// testSecondOpinion has go-tc, which has an encoder and a decoder of its own, read what
// this package has set. Loss models and slots are beyond it.
func testSecondOpinion(t *testing.T) {
	r := newRig(t, 1500)
	imp := emulation.Impairments{
		Rate: 50e9, Delay: 20 * time.Millisecond, Jitter: 3 * time.Millisecond, Loss: 0.25, Corrupt: 0.5,
		Reorder: emulation.Reorder{Probability: 0.125, Gap: 7}, Queue: emulation.Queue{Packets: 10},
	}
	r.must(Apply(r.ports[1], imp, 1))
	conn, err := tc.Open(&tc.Config{NetNS: r.wire})
	r.must(err)
	defer conn.Close()
	all, err := conn.Qdisc().Get()
	r.must(err)
	i := slices.IndexFunc(all, func(o tc.Object) bool { return int(o.Ifindex) == r.ports[1].Index && o.Parent == tc.HandleRoot })
	if i < 0 || all[i].Netem == nil || all[i].Handle != handle {
		t.Fatalf("go-tc finds no netem of ours: %+v", all)
	}
	got := all[i].Netem
	want, err := translate(imp, 1500, 1)
	r.must(err)
	if *got.Latency64 != want.latency || *got.Jitter64 != want.jitter || *got.Rate64 != want.rate.bytes ||
		got.Qopt.Limit != want.limit || got.Qopt.Loss != want.loss || got.Qopt.Gap != want.gap ||
		got.Corrupt.Probability != want.corrupt || got.Reorder.Probability != want.reorder {
		t.Errorf("go-tc reads %+v, want %+v", got, want)
	}
}

func testSecondApply(t *testing.T) {
	r := joined(t, 1500)
	r.must(Apply(r.ports[1], emulation.Impairments{
		Rate: 64_000, Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 1, Queue: emulation.Queue{Packets: 1},
	}, 1))
	f := r.flow(0, 200)
	f.send(10)
	if c := r.settle(1, 10); c.Drops != 10 || c.SentPackets != 0 {
		t.Fatalf("with all lost: %+v", c)
	}
	f = r.flow(0, 200)
	r.must(Apply(r.ports[1], emulation.Impairments{Delay: time.Millisecond}, 1))
	want := emulation.Impairments{Delay: time.Millisecond}
	if got := r.state(1).Impairments; got != want {
		t.Errorf("after the second Apply: %+v, want %+v", got, want)
	}
	f.send(2000)
	f.receive(2000)
}

func testOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
	}{
		{"without a rate", emulation.Impairments{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}},
		{"with a rate", emulation.Impairments{Rate: 40_000_000, Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := joined(t, 1500)
			r.must(Apply(r.ports[1], c.imp, 3))
			f := r.flow(0, 300)
			f.send(3000)
			f.receive(3000)
			f.wantInOrder()
			if c := r.settle(1, 3000); c.Drops != 0 || c.SentPackets != 3000 || c.SentBytes != 3000*(300+ethernetHeader) {
				t.Errorf("counted %+v", c)
			}
		})
	}
}

func testQueue(t *testing.T) {
	// A packet takes 61 ms: the burst is over long before a second one left.
	imp := emulation.Impairments{Rate: 200_000, Queue: emulation.Queue{Packets: 20}}
	r := joined(t, 1500)
	r.must(Apply(r.ports[1], imp, 1))
	f := r.flow(0, 1500)
	f.send(200)
	state := r.state(1)
	if state.Limit != 21 || state.Counters.BacklogPackets > 21 {
		t.Errorf("the limit is %d with %d packets in it, want 21 and no more", state.Limit, state.Counters.BacklogPackets)
	}
	c := r.settle(1, 200)
	f.receive(int(c.SentPackets))
	f.wantInOrder()
	if c.SentPackets+uint64(c.Drops) != 200 || c.SentPackets < 21 || c.Drops == 0 {
		t.Errorf("of 200 packets %d went and %d were dropped, want 21 or more and the rest", c.SentPackets, c.Drops)
	}
}

func testDelay(t *testing.T) {
	const delay, jitter = 50 * time.Millisecond, 10 * time.Millisecond
	r := joined(t, 1500)
	r.must(Apply(r.ports[1], emulation.Impairments{Delay: delay, Jitter: jitter}, 1))
	f := r.flow(0, 100)
	for i := range 20 {
		sent := time.Now()
		f.send(1)
		f.receive(i + 1)
		if took := f.at[i].Sub(sent); took < delay-jitter {
			t.Errorf("packet %d took %v, want %v at least", i, took, delay-jitter)
		}
	}
}

func testRate(t *testing.T) {
	const rate, n = 2_000_000, 50
	r := joined(t, 1500)
	r.must(Apply(r.ports[1], emulation.Impairments{Rate: rate}, 1))
	f := r.flow(0, 1500)
	f.send(n)
	f.receive(n)
	// The frames' bits, at the rate, from before the first was sent.
	least := time.Duration(n * (1500 + ethernetHeader) * 8 * int64(time.Second) / rate)
	if took := f.at[n-1].Sub(f.first); took < least {
		t.Errorf("%d packets took %v, want %v at least", n, took, least)
	}
}

func testDirections(t *testing.T) {
	r := joined(t, 1500)
	r.must(Apply(r.ports[0], emulation.Impairments{Loss: 1}, 1))
	r.must(Apply(r.ports[1], emulation.Impairments{}, 2))
	up, down := r.flow(0, 100), r.flow(1, 100)
	down.send(100)
	up.send(100)
	up.receive(100)
	if c := r.settle(0, 100); c.Drops != 100 || c.SentPackets != 0 {
		t.Errorf("down lost %d and let %d pass, want 100 and 0", c.Drops, c.SentPackets)
	}
	down.receive(0)
}

func testChangeInFlight(t *testing.T) {
	r := joined(t, 1500)
	r.must(Apply(r.ports[1], emulation.Impairments{Delay: 300 * time.Millisecond}, 1))
	f := r.flow(0, 100)
	f.send(10)
	r.must(Apply(r.ports[1], emulation.Impairments{Delay: 200 * time.Millisecond, Jitter: time.Millisecond}, 1))
	f.send(10)
	f.receive(20)
	if c := r.settle(1, 20); c.SentPackets != 20 {
		t.Errorf("counted %+v after a change, want all 20", c)
	}
}

// testSeed holds State.Seeded to what the kernel does.
func testSeed(t *testing.T) {
	var lost [2][]uint64
	for i := range lost {
		r := joined(t, 1500)
		r.must(Apply(r.ports[1], emulation.Impairments{Loss: 0.5}, 42))
		f := r.flow(0, 100)
		f.send(256)
		c := r.settle(1, 256)
		f.receive(int(c.SentPackets))
		lost[i] = f.numbers
		if state := r.state(1); state.Seeded != kernelHasSeed(t) || (state.Seeded && state.Seed != 42) {
			t.Errorf("Seeded %t, seed %d", state.Seeded, state.Seed)
		}
	}
	// Without a seed the chance of twice the same is below 2^-200.
	if same := cmp.Equal(lost[0], lost[1]); same != kernelHasSeed(t) {
		t.Errorf("twice the same losses: %t; the kernel takes a seed: %t", same, kernelHasSeed(t))
	}
}

func testNoNetem(t *testing.T) {
	r := newRig(t, 1500)
	if state, err := Read(r.ports[0]); err == nil {
		t.Errorf("Read of an interface without netem: %+v", state)
	}
	gone := Port{NS: r.wire, Index: 4711, MTU: 1500}
	if err := Apply(gone, emulation.Impairments{}, 1); err == nil {
		t.Error("Apply to an interface that is not there: no error")
	}
}
