package relay

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

const ms = time.Millisecond

// scene is what happens to a direction in virtual time, in the order of time.
type scene struct {
	base     emulation.Impairments
	timeline emulation.Timeline
	started  emulation.Time // by a client or another wire; never: by the first packet
	arrivals []arrival
	orders   []sceneOrder
}

type arrival struct {
	at   emulation.Time
	size int
	arp  bool
}

// sceneOrder is a command: a patch or, with a seed, an arming.
type sceneOrder struct {
	at    emulation.Time
	patch emulation.Patch
	seed  uint64
}

// outcome is what became of the arrivals: of each its verdict, of each that came out
// when, and of each drop when and what waited.
type outcome struct {
	Verdicts []string
	Out      []string
	Drops    []string
	Counters emulation.Counters
}

func (a arrival) packet(number int) emulation.Packet {
	return emulation.Packet{
		Size: emulation.ByteCount(a.size), IPSize: a.size - ethernetHeader,
		Data: binary.BigEndian.AppendUint32(nil, uint32(number)),
	}
}

// frame is what the lane looks at to tell whether the clock starts.
func (a arrival) frame() []byte {
	frame := make([]byte, 64)
	binary.BigEndian.PutUint16(frame[12:], etherTypeIPv4)
	frame[ethernetHeader] = 0x45
	if a.arp {
		frame[13] = 6
	}
	return frame
}

type departed struct {
	at     emulation.Time
	number uint32
	marks  emulation.Marks
}

func (o *outcome) collect(out []departed) {
	slices.SortStableFunc(out, func(a, b departed) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.number, b.number), cmp.Compare(a.marks, b.marks))
	})
	for _, d := range out {
		o.Out = append(o.Out, fmt.Sprintf("%d at %d %d", d.number, d.at, d.marks&^emulation.Shared))
	}
	slices.Sort(o.Drops)
}

// pure is the outcome by the model alone: each event at its time, a model for each
// course.
func (s scene) pure(seed emulation.Seed, seedOf func(sceneOrder) emulation.Seed) (o outcome) {
	var out []departed
	orders, started, byPacket := s.orders, s.started, s.started == never
	for first := 0; ; {
		until := never // of the course
		var patches []sceneOrder
		for len(orders) > 0 && until == never {
			if orders[0].seed > 0 {
				until = orders[0].at
				break
			}
			patches = append(patches, orders[0])
			orders = orders[1:]
		}
		last := first
		for last < len(s.arrivals) && s.arrivals[last].at < until {
			last++
		}
		from := started
		if from >= until {
			from = never // armed anew before
		}
		for i := first; byPacket && i < last && from == never; i++ {
			if !s.arrivals[i].arp {
				from = s.arrivals[i].at
			}
		}
		c := s.course(seed, from, first, last, patches, &o, &out)
		o.Counters = o.Counters.Plus(c)
		if until == never {
			o.collect(out)
			return o
		}
		seed, first, started, byPacket, orders = seedOf(orders[0]), last, never, true, orders[1:]
	}
}

// course runs one course to its end, whatever comes after it.
func (s scene) course(seed emulation.Seed, from emulation.Time, first, last int, patches []sceneOrder, o *outcome, out *[]departed) emulation.Counters {
	d, err := emulation.NewDirection(s.base, seed)
	if err != nil {
		panic(err)
	}
	d.ObserveDrops(func(drop emulation.Drop) { o.Drops = append(o.Drops, fmt.Sprintf("%+v", drop)) })
	player := emulation.NewPlayer(s.base, s.timeline)
	dequeue := func(until emulation.Time) {
		for {
			p, at, ok := d.Dequeue(until)
			if !ok {
				break
			}
			*out = append(*out, departed{at, binary.BigEndian.Uint32(p.Data), p.Marks})
		}
		for _, ok := d.Discarded(); ok; _, ok = d.Discarded() {
		}
	}
	begun := false
	playTo := func(t emulation.Time) {
		if from <= t && !begun {
			begun = true
			dequeue(from - 1)
			d.Start(from)
		}
		for at, ok := player.Next(); begun && ok && from.Add(at) <= t; at, ok = player.Next() {
			dequeue(from.Add(at) - 1)
			at, imp, _ := player.Step()
			_ = d.Set(from.Add(at), imp)
		}
	}
	for i := first; i < last || len(patches) > 0; {
		if len(patches) > 0 && (i == last || patches[0].at <= s.arrivals[i].at) {
			playTo(patches[0].at)
			dequeue(patches[0].at - 1)
			_ = d.Set(patches[0].at, player.Patch(patches[0].patch))
			patches = patches[1:]
			continue
		}
		a := s.arrivals[i]
		playTo(a.at)
		dequeue(a.at - 1)
		o.Verdicts = append(o.Verdicts, verdict(d.Enqueue(a.at, a.packet(i))))
		i++
	}
	for at, ok := d.NextDeparture(); ok; at, ok = d.NextDeparture() {
		playTo(at)
		dequeue(at)
	}
	return d.Counters()
}

func verdict(v emulation.Verdict) string {
	if v.Accepted {
		return "accepted"
	}
	return fmt.Sprintf("%v %d", v.Reason, v.TellMTU)
}

// relayed is the outcome by a lane whose thread wakes when it wakes: late by what wakes
// returns, with batches that leave frames in the ring.
func (s scene) relayed(seed emulation.Seed, seedOf func(sceneOrder) emulation.Seed, late func() time.Duration, batch func() int) (outcome, error) {
	var o outcome
	start := newStart(s.started == never)
	first, err := newCourse(s.base, s.timeline, seed, start)
	if err != nil {
		return o, err
	}
	l := newLane(first)
	note := func(drop emulation.Drop) { o.Drops = append(o.Drops, fmt.Sprintf("%+v", drop)) }
	first.direction.ObserveDrops(note)
	var out []departed
	arrived, now := emulation.Time(0), emulation.Time(0)
	arrivals, orders := s.arrivals, s.orders
	for turns := 0; ; turns++ {
		if turns > 1_000_000 {
			return o, errors.New("no end")
		}
		// Sleep until something happens, as rest does, and somewhat longer.
		wake := l.nextChange()
		if wake != never {
			wake = wake.Add(settle)
		}
		if at, ok := l.NextDeparture(); ok {
			wake = min(wake, at)
		}
		if len(arrivals) > 0 {
			wake = min(wake, arrivals[0].at)
		}
		if len(orders) > 0 {
			wake = min(wake, orders[0].at.Add(-time.Duration(orderLead)))
		}
		if s.started != never {
			wake = min(wake, s.started)
		}
		if wake == never {
			break
		}
		now = max(now, wake).Add(late())
		// Orders come in before their time, the start of another wire before what departs
		// after it.
		if len(orders) > 0 {
			now = min(now, orders[0].at-1)
		}
		now = min(now, s.started)
		if len(orders) > 0 && l.orders.Load() == nil {
			next := orders[0]
			ord := &order{instant: &atomic.Int64{}, patch: next.patch, done: make(chan error, 1)}
			ord.instant.Store(int64(next.at))
			if next.seed > 0 {
				if ord.arm, err = newCourse(s.base, s.timeline, seedOf(next), newStart(true)); err != nil {
					return o, err
				}
				if s.started >= next.at {
					s.started = never
				}
			}
			l.orders.Store(ord)
			orders = orders[1:]
		}
		if s.started <= now {
			start.set(s.started)
			s.started = never
		}
		before, n, room := now, 0, batch()
		for ; n < room && len(arrivals) > 0 && arrivals[0].at <= now; n++ {
			a := arrivals[0]
			arrived, arrivals = a.at, arrivals[1:]
			course := l.course
			l.meet(arrived, a.frame())
			if l.course != course {
				l.direction.ObserveDrops(note)
			}
			o.Verdicts = append(o.Verdicts, verdict(l.Enqueue(arrived, a.packet(len(s.arrivals)-len(arrivals)-1))))
			for _, ok := l.Discarded(); ok; _, ok = l.Discarded() {
			}
		}
		until, seen := now, max(arrived, before.Add(-settle))
		if n == room {
			until, seen = arrived, arrived
		}
		course := l.course
		until = l.play(until, seen)
		if l.course != course {
			l.direction.ObserveDrops(note)
		}
		last := emulation.Time(0)
		for p, at, ok := l.Dequeue(until); ok; p, at, ok = l.Dequeue(until) {
			if at < last || at > until {
				return o, fmt.Errorf("a departure at %d comes after one at %d, asked for up to %d", at, last, until)
			}
			last = at
			out = append(out, departed{at, binary.BigEndian.Uint32(p.Data), p.Marks})
		}
		for _, ok := l.Discarded(); ok; _, ok = l.Discarded() {
		}
		if len(arrivals) == 0 && len(orders) == 0 && l.orders.Load() == nil && s.started == never && l.Counters().HeldPackets == 0 {
			break
		}
	}
	o.Counters = l.Counters()
	o.collect(out)
	return o, nil
}

func drawScene(t *rapid.T) scene {
	s := scene{started: never, base: emulation.Impairments{Delay: time.Duration(rapid.IntRange(0, 30).Draw(t, "delay")) * ms}}
	imp := &s.base
	imp.Loss = rapid.SampledFrom([]float64{0, 0.2}).Draw(t, "loss")
	imp.MTU = rapid.SampledFrom([]int{0, 1000}).Draw(t, "mtu")
	if rapid.Bool().Draw(t, "jittery") {
		imp.Jitter = imp.Delay / 2
	}
	if rapid.Bool().Draw(t, "duplicates") {
		imp.Duplicate = 0.3
	}
	if imp.Delay > 0 && rapid.Bool().Draw(t, "reorders") {
		imp.Reorder.Probability = 0.3
	}
	switch rapid.IntRange(0, 3).Draw(t, "capacity") {
	case 0:
		imp.Capacity = &emulation.Trace{1, 4, 5, 5, 9, 20}
	case 1:
		imp.Steps = &emulation.Schedule{Columns: emulation.StepRate, Period: 20 * ms, Steps: []emulation.Step{{Rate: 5e6}, {At: 7 * ms}, {At: 13 * ms, Rate: 1e7}}}
	default:
		imp.Rate = 3_333_333
	}
	imp.Queue.Packets = rapid.IntRange(1, 8).Draw(t, "queue")
	switch rapid.IntRange(0, 3).Draw(t, "discipline") {
	case 0:
		imp.Queue.Discipline = emulation.DropHead
	case 1:
		imp.Queue.Discipline, imp.Queue.Target, imp.Queue.Interval = emulation.CoDel, ms, 5*ms
	}
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		c := emulation.Change{At: time.Duration(rapid.Int64Range(0, int64(60*ms)).Draw(t, "at")), Patch: drawPatch(t)}
		if c.Patch.Fields&^emulation.RampFields == 0 && rapid.Bool().Draw(t, "ramped") {
			c.Ramp = 35 * ms
		} else if rapid.Bool().Draw(t, "repeated") {
			c.Every, c.Times = 15*ms, 3
		}
		s.timeline = append(s.timeline, c)
	}
	now := emulation.Time(ms)
	for range rapid.IntRange(1, 60).Draw(t, "arrivals") {
		now = now.Add(time.Duration(rapid.Int64Range(1, int64(3*ms)).Draw(t, "gap")))
		s.arrivals = append(s.arrivals, arrival{
			at: now, size: rapid.SampledFrom([]int{60, 700, 1514}).Draw(t, "size"), arp: rapid.IntRange(0, 9).Draw(t, "arp") == 0,
		})
	}
	if rapid.Bool().Draw(t, "started by another") {
		s.started = emulation.Time(rapid.Int64Range(int64(ms), int64(now)).Draw(t, "when"))
	}
	at := emulation.Time(2 * ms)
	for range rapid.IntRange(0, 4).Draw(t, "orders") {
		at = at.Add(2*ms + time.Duration(rapid.Int64Range(0, int64(20*ms)).Draw(t, "wait")))
		o := sceneOrder{at: at}
		if rapid.Bool().Draw(t, "arm") {
			o.seed = rapid.Uint64Range(1, 9).Draw(t, "seed")
		} else {
			o.patch = drawPatch(t)
		}
		s.orders = append(s.orders, o)
	}
	return s
}

func drawPatch(t *rapid.T) emulation.Patch {
	switch rapid.IntRange(0, 4).Draw(t, "patch") {
	case 0:
		rate := emulation.Rate(rapid.SampledFrom([]int{1e6, 20e6}).Draw(t, "rate"))
		return emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: rate}}
	case 1:
		return emulation.Patch{Fields: emulation.FieldLoss, Values: emulation.Impairments{Loss: rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "p")}}
	case 2:
		return emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: rapid.Bool().Draw(t, "hole")}}
	case 3:
		return emulation.Patch{Fields: emulation.FieldDelay | emulation.FieldJitter, Values: emulation.Impairments{Delay: 40 * ms, Jitter: 3 * ms}}
	}
	return emulation.Patch{Fields: emulation.FieldQueue, Values: emulation.Impairments{Queue: emulation.Queue{Packets: 3}}}
}

// Whenever the thread wakes, however frames come in batches, whatever the timeline and
// the commands: each packet has the verdict and the departure, and each drop the time
// and the queue, that the model alone gives in virtual time. Courses that have ended
// give up their packets as if nothing had come after them, and all is counted.
func TestLaneIsTheModelInVirtualTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		seed := emulation.NewSeed(1, "l", "up")
		armed := func(o sceneOrder) emulation.Seed { return emulation.NewSeed(o.seed, "l", "up") }
		late := func() time.Duration {
			if rapid.IntRange(0, 9).Draw(t, "very late") == 0 {
				return time.Duration(rapid.Int64Range(0, int64(15*ms)).Draw(t, "by"))
			}
			return time.Duration(rapid.Int64Range(0, int64(60*time.Microsecond)).Draw(t, "late"))
		}
		batch := func() int { return rapid.SampledFrom([]int{1, 3, 64}).Draw(t, "batch") }
		got, err := s.relayed(seed, armed, late, batch)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(s.pure(seed, armed), got); diff != "" {
			t.Fatalf("the relay is not the model (-model +relay):\n%s", diff)
		}
	})
}

// A frame that came in just before a change and is seen just after it meets what was
// before the change.
func TestChangeWaitsForFramesOnTheirWay(t *testing.T) {
	hole := emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: true}}
	c, err := newCourse(emulation.Impairments{}, emulation.Timeline{{At: 10 * ms, Patch: hole}}, emulation.Seed{}, newStart(true))
	if err != nil {
		t.Fatal(err)
	}
	l := newLane(c)
	enqueue := func(at emulation.Time) bool {
		l.meet(at, arrival{}.frame())
		return l.Enqueue(at, arrival{size: 100}.packet(0)).Accepted
	}
	const begin = emulation.Time(ms)
	enqueue(begin)
	change := begin.Add(10 * ms)
	if got, want := l.play(change.Add(5*time.Microsecond), change.Add(-time.Microsecond)), change-1; got != want {
		t.Errorf("departures may go up to %d, want %d: not past the change", got, want)
	}
	if !enqueue(change - 1) {
		t.Error("a packet that arrived before the change meets it")
	}
	if got, want := l.play(change+100, change+50), change+100; got != want {
		t.Errorf("departures may go up to %d, want %d", got, want)
	}
	if enqueue(change + 60) {
		t.Error("a packet that arrived after the change does not meet it")
	}
}

// What a lane does for each packet does not allocate, with a timeline in force.
func TestLaneDoesNotAllocate(t *testing.T) {
	patch := emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: 1e9}}
	c, err := newCourse(emulation.Impairments{Loss: 0.5}, emulation.Timeline{{At: time.Hour, Patch: patch}}, emulation.Seed{}, newStart(true))
	if err != nil {
		t.Fatal(err)
	}
	l := newLane(c)
	defer l.log.follow("l", "up").end()
	frame, packet, now := arrival{}.frame(), arrival{size: 100}.packet(0), emulation.Time(ms)
	step := func() {
		now += 1000
		l.meet(now, frame)
		l.Enqueue(now, packet)
		l.Dequeue(l.play(now, now))
		l.Discarded()
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations a packet, want 0", n)
	}
}

// BenchmarkLane is what a packet costs in the model alone, and in a lane with a
// timeline whose next change is not due.
func BenchmarkLane(b *testing.B) {
	imp := emulation.Impairments{Rate: 10e9, Delay: ms, Loss: 0.01}
	rate := emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: 1e9}}
	frame, packet := arrival{}.frame(), arrival{size: 1514}.packet(0)
	b.Run("through=model", func(b *testing.B) {
		model, err := emulation.NewDirection(imp, emulation.Seed{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for now := emulation.Time(0); b.Loop(); now += 2000 {
			model.Enqueue(now, packet)
			model.Dequeue(now)
		}
	})
	b.Run("through=lane", func(b *testing.B) {
		c, err := newCourse(imp, emulation.Timeline{{At: 700 * time.Hour, Patch: rate}}, emulation.Seed{}, newStart(true))
		if err != nil {
			b.Fatal(err)
		}
		l := newLane(c)
		b.ReportAllocs()
		for now := emulation.Time(0); b.Loop(); now += 2000 {
			l.meet(now, frame)
			l.Enqueue(now, packet)
			l.Dequeue(l.play(now, now))
		}
	})
}
