package relay

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

// startSpec runs a relay process over wires of several rigs, the first of which is its
// owner. The wires' ports are those of the rigs, in order.
func startSpec(spec Spec, rigs ...*rig) *rig {
	owner := rigs[0]
	owner.tb.Helper()
	files := []*os.File{owner.listen()}
	for i, r := range rigs {
		for end, p := range r.ports() {
			spec.Wires[i].Ports[end] = len(files)
			files = append(files, p.File())
		}
	}
	owner.startChild(spec, files...)
	client, err := Dial(owner.socketPath)
	if err != nil {
		owner.tb.Fatal(err)
	}
	owner.client = client
	owner.tb.Cleanup(func() { _ = client.Close() })
	return owner
}

func patch(fields emulation.Fields, values emulation.Impairments) emulation.Patch {
	return emulation.Patch{Fields: fields, Values: values}
}

var hole = patch(emulation.FieldBlackhole, emulation.Impairments{Blackhole: true})

// wantLosses sends n datagrams, and checks that those come through, counted from the
// first of these, that the pure model lets through when it is made from the seed.
func (r *rig) wantLosses(f *flow, imp emulation.Impairments, seed uint64, n int) {
	r.tb.Helper()
	model, err := emulation.NewDirection(imp, emulation.NewSeed(seed, "test", "up"))
	if err != nil {
		r.tb.Fatal(err)
	}
	first, have := f.sent, len(f.got)
	var want []uint32
	for i := range n {
		// Header by header: Ethernet, IPv4, UDP.
		p := emulation.Packet{Size: emulation.ByteCount(14 + 28 + f.size), IPSize: 28 + f.size}
		if model.Enqueue(emulation.Time(i), p).Accepted {
			want = append(want, uint32(first+i))
		}
	}
	arrived := r.counters().Up.ArrivedPackets
	for left := n; left > 0; left -= lossBurst { // no more at a time than the relay's ring holds
		burst := min(left, lossBurst)
		f.send(burst, 0)
		arrived += uint64(burst)
		r.until("all of them", func(s WireStatus) bool {
			return s.Up.ArrivedPackets >= arrived && s.Up.HeldPackets == 0
		})
	}
	f.receive(have + len(want))
	f.wantNoMore()
	if diff := cmp.Diff(want, f.got[have:]); diff != "" {
		r.tb.Errorf("seed %d: other datagrams came through than the model says (-model +relay):\n%s", seed, diff)
	}
}

// lossBurst is how many packets wantLosses sends at a time.
const lossBurst = 1000

// The relay drops what the model drops in virtual time, from the seed that the clock
// was armed with: the same one again gives the same losses, another one others.
func TestArmGivesTheModelsLosses(t *testing.T) {
	for _, tc := range []struct {
		name string
		imp  emulation.Impairments
	}{
		{"independent", emulation.Impairments{Loss: 0.3}},
		{"in bursts, with copies", emulation.Impairments{GilbertElliott: emulation.GilbertElliott{P: 0.1, R: 0.3, K: 0, H: 1}}},
		{"listed", emulation.Impairments{LosePackets: &emulation.PacketList{1, 5, 6, 99}, LoseEvery: 7, Loss: 0.1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t).quiet()
			r.start(Wire{Up: tc.imp})
			f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
			const n = 500
			r.wantLosses(f, tc.imp, 7, n) // the Spec's seed
			for _, seed := range []uint64{7, 1<<32 + 7, 1<<32 + 7, 3} {
				if err := r.client.Arm(t.Context(), seed); err != nil {
					t.Fatal(err)
				}
				r.wantLosses(f, tc.imp, seed, n)
			}
			s := r.counters().Up
			if s.ArrivedPackets != 5*n || s.DepartedPackets != uint64(len(f.got)) {
				t.Errorf("counted %d arrivals and %d departures over five rounds, want %d and %d", s.ArrivedPackets, s.DepartedPackets, 5*n, len(f.got))
			}
			wantClean(t, s)
		})
	}
}

// Packets that are held when the clock is armed depart all the same, each once, behind
// those that the new model lets go at once; what is counted stays.
func TestArmKeepsWhatIsHeld(t *testing.T) {
	r := newRig(t).quiet()
	r.start(Wire{Up: emulation.Impairments{Delay: 700 * time.Millisecond, Rate: 10e6}, Down: emulation.Impairments{Delay: time.Hour}})
	f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
	f.send(50, 0)
	r.until("packets held", func(s WireStatus) bool { return s.Up.HeldPackets == 50 })
	if err := r.client.Arm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	now := patch(emulation.FieldDelay|emulation.FieldRate, emulation.Impairments{})
	if err := r.client.Set(t.Context(), []Setting{{Link: "test", Way: "up", Patch: now}}); err != nil {
		t.Fatal(err)
	}
	f.send(50, 0)
	f.receive(100)
	seen := map[uint32]bool{}
	for _, n := range f.got {
		seen[n] = true
	}
	if len(seen) != 100 || f.got[0] < 50 || f.got[99] > 50 {
		t.Errorf("came through: %v, want each of 100 once, the later half first", f.got)
	}
	f.wantNoMore()
	s := r.until("all departed", func(s WireStatus) bool { return s.Up.HeldPackets == 0 })
	if s.Up.ArrivedPackets != 100 || s.Up.DepartedPackets != 100 {
		t.Errorf("counted %d arrivals and %d departures, want 100 and 100", s.Up.ArrivedPackets, s.Up.DepartedPackets)
	}
	wantClean(t, s.Up)
	wantClean(t, s.Down)
}

// Rounds whose packets are never let go do not pile up.
func TestArmIsRefusedWhenTooMuchIsHeld(t *testing.T) {
	r := newRig(t).quiet()
	r.start(Wire{Up: emulation.Impairments{Delay: time.Hour}})
	f := r.flow(100, addrA4.Addr(), addrB4.Addr())
	var err error
	for n := range maxOlder + 5 {
		f.send(1, 0)
		r.until("the packet held", func(s WireStatus) bool { return s.Up.HeldPackets == n+1 })
		if err = r.client.Arm(t.Context(), 1); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "are still held") {
		t.Errorf("got %v, want an error", err)
	}
}

func TestStartKinds(t *testing.T) {
	timeline := emulation.Timeline{{Patch: hole}} // from the start on
	for _, kind := range []StartKind{StartFirstPacket, StartUp, StartManual} {
		t.Run("start="+string(kind), func(t *testing.T) {
			r := startSpec(Spec{Lab: "rig", Seed: 1, Start: kind, Wires: []Wire{{Link: "test", UpTimeline: timeline}}}, newRig(t).quiet())
			f := r.flow(100, addrA4.Addr(), addrB4.Addr())
			_, running, err := r.client.Started(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if running != (kind == StartUp) {
				t.Errorf("started before a packet: %v", running)
			}
			if kind == StartManual {
				f.send(5, 0)
				f.receive(5)
				r.wantStart(0)
			}
			at := r.wantSwallows(f)
			if err := r.client.Start(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "arm it to start anew") {
				t.Errorf("started twice: %v", err)
			}
			// Once more, on all but manual by a packet.
			if err := r.client.Arm(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if at, running, err := r.client.Started(t.Context()); running || err != nil {
				t.Errorf("armed: started at %d (%v)", at, err)
			}
			if kind == StartManual {
				f.send(5, 0)
				f.receive(10)
				r.wantStart(0)
			}
			if again := r.wantSwallows(f); again <= at {
				t.Errorf("armed anew the clock started at %d, before at %d", again, at)
			}
		})
	}
}

// wantStart starts the clock.
func (r *rig) wantStart(at int64) {
	r.tb.Helper()
	if err := r.client.Start(context.Background(), at); err != nil {
		r.tb.Fatal(err)
	}
}

// wantSwallows checks that the wire is a black hole from the start on, and returns the
// start.
func (r *rig) wantSwallows(f *flow) int64 {
	r.tb.Helper()
	before := r.counters().Up.Dropped["blackhole"]
	f.send(5, 0)
	r.until("five packets swallowed", func(s WireStatus) bool { return s.Up.Dropped["blackhole"] == before+5 })
	at, err := r.client.AwaitStart(context.Background())
	if err != nil {
		r.tb.Fatal(err)
	}
	s := r.until("what is in force", func(s WireStatus) bool { return s.Up.Impairments.Blackhole })
	if clock, err := newClock(); err != nil || emulation.Time(at) > clock.now() || s.Up.At < emulation.Time(at) {
		r.tb.Errorf("started at %d, which is now or later (%v); figures of %d", at, err, s.Up.At)
	}
	f.wantNoMore()
	return at
}

// The start may lie ahead or a little behind, and all wires have the same.
func TestStartAtAnInstant(t *testing.T) {
	clock, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	r := startSpec(Spec{Lab: "rig", Start: StartManual, Wires: []Wire{{
		Link: "test", UpTimeline: emulation.Timeline{{At: time.Hour, Patch: hole}},
	}}}, newRig(t).quiet())
	f := r.flow(100, addrA4.Addr(), addrB4.Addr())
	for _, tc := range []struct {
		name, want string
		by         time.Duration
	}{
		{"long ago", "want a time on CLOCK_MONOTONIC from 10s ago to 24h0m0s ahead", -time.Hour},
		{"far ahead", "want a time on CLOCK_MONOTONIC", 48 * time.Hour},
		{"a while ago", "", -time.Second},
		{"ahead", "", time.Hour},
	} {
		at := int64(clock.now().Add(tc.by))
		err := r.client.Start(t.Context(), at)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if got, ok, err := r.client.Started(t.Context()); got != at || !ok || err != nil {
			t.Errorf("%s: started at %d (%v, %v), want %d", tc.name, got, ok, err, at)
		}
		f.send(1, 1) // nothing of the timeline has come
		if err := r.client.Arm(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
}

// Await returns when the clock starts, also when it is armed in between, and is cut
// short by its context.
func TestAwaitStart(t *testing.T) {
	r := newRig(t).quiet()
	r.start(Wire{})
	ctx, cancel := context.WithCancel(t.Context())
	cut := make(chan error)
	go func() {
		_, err := r.client.AwaitStart(ctx)
		cut <- err
	}()
	got := make(chan int64)
	go func() {
		at, err := r.client.AwaitStart(context.Background())
		if err != nil {
			t.Error(err)
		}
		got <- at
	}()
	cancel()
	if err := <-cut; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	for seed := range uint64(3) {
		if err := r.client.Arm(t.Context(), seed); err != nil {
			t.Fatal(err)
		}
	}
	r.flow(100, addrA4.Addr(), addrB4.Addr()).send(1, 1)
	if at, ok, err := r.client.Started(t.Context()); !ok || err != nil || <-got != at {
		t.Errorf("awaited another start than %d (%v, %v)", at, ok, err)
	}
}

// Whoever awaits the start when the clock is armed anew awaits the next one.
func TestAwaitGoesOnWithTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := idle()
		got := make(chan emulation.Time)
		go func() {
			at, _ := r.awaitStart(time.Hour)
			got <- at
		}()
		synctest.Wait()
		next := newStart(true)
		close(r.start.Swap(next).over)
		next.set(7)
		if at := <-got; at != 7 {
			t.Errorf("started at %d, want 7", at)
		}
	})
}

// A change takes effect on all that it names, or on nothing.
func TestSet(t *testing.T) {
	one, two := newRig(t).quiet(), newRig(t).quiet()
	slow := emulation.Impairments{Rate: 1e9, Queue: emulation.Queue{Time: time.Millisecond}}
	r := startSpec(Spec{Lab: "rig", Wires: []Wire{{Link: "one", Up: slow}, {Link: "two"}}}, one, two)
	status := func() (s [4]emulation.Impairments) {
		all, err := r.client.Counters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range all.Wires {
			s[2*i], s[2*i+1] = w.Up.Impairments, w.Down.Impairments
		}
		return s
	}
	delay := emulation.Impairments{Delay: 3 * time.Millisecond}
	delayed := slow
	delayed.Delay = delay.Delay
	for _, tc := range []struct {
		name     string
		settings []Setting
		want     string
		after    [4]emulation.Impairments
	}{
		{"two links, one impossible", []Setting{
			{Link: "two", Patch: hole},
			{Link: "one", Way: "up", Patch: patch(emulation.FieldRate, emulation.Impairments{})},
		}, "link one up: queue in time needs a rate", [4]emulation.Impairments{slow}},
		{"possible on one way only", []Setting{
			{Link: "one", Patch: patch(emulation.FieldQueue, emulation.Impairments{Queue: emulation.Queue{Packets: 9}})},
		}, "link one down: a queue needs a rate", [4]emulation.Impairments{slow}},
		{"unknown link", []Setting{{Link: "two", Patch: hole}, {Link: "three", Patch: hole}}, `link "three" has no wire here`, [4]emulation.Impairments{slow}},
		{"both links", []Setting{
			{Link: "one", Way: "up", Patch: patch(emulation.FieldDelay, delay)},
			{Link: "two", Way: "down", Patch: hole},
			{Link: "two", Patch: patch(emulation.FieldDelay, delay)},
		}, "", [4]emulation.Impairments{delayed, {}, delay, {Delay: delay.Delay, Blackhole: true}}},
		{"impossible alone, possible together, or with what was set before", []Setting{
			{Link: "two", Way: "up", Patch: patch(emulation.FieldReorder, emulation.Impairments{Reorder: emulation.Reorder{Probability: 1}})},
			{Link: "one", Way: "down", Patch: patch(emulation.FieldReorder, emulation.Impairments{Reorder: emulation.Reorder{Probability: 1}})},
			{Link: "one", Way: "down", Patch: patch(emulation.FieldDelay, delay)},
		}, "", [4]emulation.Impairments{
			delayed,
			{Delay: delay.Delay, Reorder: emulation.Reorder{Probability: 1}},
			{Delay: delay.Delay, Reorder: emulation.Reorder{Probability: 1}},
			{Delay: delay.Delay, Blackhole: true},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := r.client.Set(t.Context(), tc.settings)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			var got [4]emulation.Impairments
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if got = status(); got == tc.after {
					break
				}
			}
			if diff := cmp.Diff(tc.after, got); diff != "" {
				t.Errorf("in force (-want +got):\n%s", diff)
			}
		})
	}
	if err := r.client.Arm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	err := r.client.Set(t.Context(), []Setting{
		{Link: "two", Patch: hole},
		{Link: "one", Way: "down", Patch: patch(emulation.FieldReorder, emulation.Impairments{Reorder: emulation.Reorder{Probability: 1}})},
	})
	if err == nil {
		t.Error("armed anew, a link still has what was set before")
	}
	if got := status(); got != [4]emulation.Impairments{slow} {
		t.Errorf("in force after a change that is impossible since the clock was armed: %+v", got)
	}
}

// While the timeline ramps and commands come from many sides, every packet comes
// through once, and every command is carried out.
func TestCommandsWhileForwarding(t *testing.T) {
	ramp := emulation.Timeline{
		{Every: 40 * ms, Ramp: 35 * ms, Patch: patch(emulation.FieldRate, emulation.Impairments{Rate: 400e6})},
		{At: 20 * ms, Every: 40 * ms, Ramp: 35 * ms, Patch: patch(emulation.FieldRate, emulation.Impairments{Rate: 900e6})},
	}
	r := startSpec(Spec{Lab: "rig", Wires: []Wire{{
		Link: "test", UpTimeline: ramp, DownTimeline: ramp, Up: emulation.Impairments{Rate: 1e9}, Down: emulation.Impairments{Rate: 1e9},
	}}}, newRig(t).quiet())
	f := r.flow(1000, addrA4.Addr(), addrB4.Addr())
	var commands sync.WaitGroup
	stop := make(chan struct{})
	for i := range 3 {
		commands.Go(func() {
			client, err := Dial(r.socketPath)
			if err != nil {
				t.Error(err)
				return
			}
			defer client.Close()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if i == 0 {
					err = client.Arm(t.Context(), uint64(n))
				} else {
					queue := emulation.Queue{Packets: 2000 + n}
					err = client.Set(t.Context(), []Setting{{Link: "test", Patch: patch(emulation.FieldQueue, emulation.Impairments{Queue: queue})}})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	const n = 20_000
	f.send(n, 300)
	f.receive(n)
	close(stop)
	commands.Wait()
	slices.Sort(f.got) // a fresh model may overtake what one before it holds
	f.wantInOrder()
	s := r.until("all counted", func(s WireStatus) bool { return s.Up.DepartedPackets >= n })
	wantClean(t, s.Up)
	if s.Up.RefusedChanges != 0 {
		t.Errorf("%d changes were refused: %s", s.Up.RefusedChanges, s.Up.RefusedChange)
	}
}

// A change of the timeline that one by hand has made impossible is told, and what is in
// force stays.
func TestRefusedChangeIsTold(t *testing.T) {
	r := startSpec(Spec{Lab: "rig", Start: StartManual, Wires: []Wire{{
		Link: "test", Up: emulation.Impairments{Rate: 1e9},
		UpTimeline: emulation.Timeline{{At: time.Second, Patch: patch(emulation.FieldRate, emulation.Impairments{})}},
	}}}, newRig(t).quiet())
	r.wantStart(0)
	queue := patch(emulation.FieldQueue, emulation.Impairments{Queue: emulation.Queue{Time: time.Millisecond}})
	if err := r.client.Set(t.Context(), []Setting{{Link: "test", Way: "up", Patch: queue}}); err != nil {
		t.Fatal(err)
	}
	s := r.until("a refused change", func(s WireStatus) bool { return s.Up.RefusedChanges == 1 })
	if want := "queue in time needs a rate"; !strings.Contains(s.Up.RefusedChange, want) || s.Up.Impairments.Rate != 1e9 {
		t.Errorf("refused for %q with %d bit/s in force, want %q and 1e9", s.Up.RefusedChange, s.Up.Impairments.Rate, want)
	}
}

func TestRequestThatIsTooLong(t *testing.T) {
	r := newRig(t)
	r.start(Wire{})
	trace := make(emulation.Trace, 700_000)
	for i := range trace {
		trace[i] = uint32(i)
	}
	set := func(n int) error {
		short := trace[:n]
		return r.client.Set(t.Context(), []Setting{{Link: "test", Patch: patch(emulation.FieldCapacity, emulation.Impairments{Capacity: &short})}})
	}
	if err := set(700_000); err == nil || !strings.Contains(err.Error(), "use a shorter trace") {
		t.Errorf("got %v, want it refused", err)
	}
	if err := set(100_000); err != nil {
		t.Error(err)
	}
	s := r.until("the trace", func(s WireStatus) bool { return s.Up.Omitted != 0 })
	if s.Up.Omitted != emulation.FieldCapacity || s.Up.Rate != trace[:100_000].MeanRate() {
		t.Errorf("the status omits %v and has the rate %d", s.Up.Omitted, s.Up.Rate)
	}
}
