package emulation

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawImpairments(t *rapid.T) Impairments {
	imp := Impairments{
		Delay: time.Duration(rapid.Int64Range(0, int64(50*ms)).Draw(t, "delay")),
		Loss:  rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "loss"),
		MTU:   rapid.SampledFrom([]int{0, 500, 1500}).Draw(t, "mtu"),
	}
	if rapid.Bool().Draw(t, "jittery") {
		imp.Jitter = time.Duration(rapid.Int64Range(0, int64(imp.Delay)).Draw(t, "jitter"))
	}
	drawCapacity(t, &imp)
	if rapid.Bool().Draw(t, "new stages") {
		drawStages(t, &imp)
	}
	if imp.waits() {
		drawQueue(t, &imp)
	}
	return imp
}

func drawCapacity(t *rapid.T, imp *Impairments) {
	switch rapid.IntRange(0, 4).Draw(t, "capacity") {
	case 0:
		trace := Trace(rapid.SliceOfN(rapid.Uint32Range(0, 30), 1, 8).Draw(t, "trace"))
		slices.Sort(trace)
		trace[len(trace)-1]++
		imp.Capacity = &trace
	case 1:
		imp.Steps = rates(0)
		for i := range rapid.IntRange(1, 5).Draw(t, "steps") {
			rate := rapid.SampledFrom([]Rate{0, 33_333, 1e6, 1e9}).Draw(t, "step")
			imp.Steps.Steps = append(imp.Steps.Steps, Step{At: time.Duration(i) * 5 * ms, Rate: rate})
		}
		imp.Steps.Steps = append(imp.Steps.Steps, Step{At: 40 * ms, Rate: 1e6})
		if rapid.Bool().Draw(t, "repeats") {
			imp.Steps.Period = 50 * ms
		}
	default:
		imp.Rate = Rate(rapid.SampledFrom([]int64{0, 1_000, 33_333, 1_000_000, 33_333_333, 1_000_000_000}).Draw(t, "rate"))
	}
}

// drawStages turns on some of the stages, in any combination.
func drawStages(t *rapid.T, imp *Impairments) {
	on := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) == 0 }
	if on("gilbert-elliott") {
		imp.GilbertElliott = GilbertElliott{P: 0.2, R: 0.5, H: 0.1, K: 1}
	} else if on("four-state") {
		imp.FourState = FourState{P13: 0.2, P31: 0.3, P32: 0.3, P23: 0.5, P14: 0.1}
	}
	if on("every") {
		imp.LoseEvery = 3
	}
	if on("listed") {
		imp.LosePackets = &PacketList{1, 4}
	}
	if on("duplicate") {
		imp.Duplicate = 0.5
	}
	if on("corrupt") {
		imp.Corrupt = 0.5
	}
	if imp.Delay > 0 && on("reorder") {
		imp.Reorder = Reorder{Probability: 0.5, Gap: rapid.IntRange(0, 3).Draw(t, "gap")}
	}
	if imp.Jitter > 0 && on("distribution") {
		imp.Distribution = rapid.SampledFrom([]Distribution{Normal, Pareto}).Draw(t, "which")
	}
	if on("slot") {
		imp.Slot = Slot{Max: 10 * ms, Packets: rapid.IntRange(0, 3).Draw(t, "in a slot")}
	}
	if imp.MTU > 0 && on("icmp") {
		imp.TooBig = TooBigICMP
	}
}

func drawQueue(t *rapid.T, imp *Impairments) {
	q := &imp.Queue
	switch kind := rapid.IntRange(0, 3).Draw(t, "queue kind"); {
	case kind == 1:
		q.Packets = rapid.IntRange(1, 10).Draw(t, "packets")
	case kind == 2:
		q.Bytes = ByteCount(rapid.Int64Range(1, 20_000).Draw(t, "bytes"))
	case kind == 3 && imp.MeanRate() > 0:
		q.Time = time.Duration(rapid.Int64Range(1, int64(100*ms)).Draw(t, "time"))
	}
	switch rapid.IntRange(0, 4).Draw(t, "discipline") {
	case 0:
		if q.limit() != (Limit{}) {
			q.Discipline = DropHead
		}
	case 1:
		q.Discipline, q.Target, q.Interval = CoDel, ms, 5*ms
		q.ECN = rapid.Bool().Draw(t, "ecn")
	case 2:
		q.Mark.Packets = 2
	}
}

// machine is a direction beside a plain account of what it was given.
type machine struct {
	d         *Direction
	imp       Impairments
	now       Time
	given     uint64
	next      uint64 // number of the next packet given
	held      map[uint64]bool
	arrivals  map[uint64]Time
	lastOut   Time
	lastSent  uint64 // number of the newest packet that departed
	steady    bool   // no Set so far
	reordered bool   // reordering was on at some time
	free      Time   // earliest end of transmission allowed by the rate, steady only
}

// Under any sequence of calls: what arrived or was copied has departed, was dropped
// or is held; the data of each accepted packet come back for good once; packets
// depart in order unless reordering is on, never early; between any two departures
// lies the time that the rate takes for the bytes; the queue stays in its limit.
func TestDirectionProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		imp := drawImpairments(t)
		d, err := NewDirection(imp, NewSeed(rapid.Uint64().Draw(t, "seed"), "l", "up"))
		if err != nil {
			t.Fatal(err)
		}
		m := &machine{d: d, imp: imp, held: map[uint64]bool{}, arrivals: map[uint64]Time{}, steady: true}
		m.reordered = imp.Reorder != Reorder{}
		t.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"arrive": m.arrive,
			"wait":   m.wait,
			"depart": m.depart,
			"set":    m.set,
		})
		for at, ok := d.NextDeparture(); ok; at, ok = d.NextDeparture() {
			m.now = max(m.now, at)
			m.depart(t)
		}
		if len(m.held) != 0 || d.Counters().HeldPackets != 0 {
			t.Fatalf("an idle direction holds the data of %v; %+v", m.held, d.Counters())
		}
	})
}

func (m *machine) arrive(t *rapid.T) {
	size := ByteCount(rapid.SampledFrom([]int64{0, 60, 500, 1514}).Draw(t, "size"))
	data := binary.BigEndian.AppendUint64(nil, m.next)
	before := m.d.Counters()
	v := m.d.Enqueue(m.now, Packet{Size: size, IPSize: int(size), Data: data, ECN: ECN(m.next % 4)})
	if tooLarge := m.imp.MTU > 0 && int(size) > m.imp.MTU; tooLarge != (!v.Accepted && v.Reason == DropMTU) || (v.TellMTU > 0) != (tooLarge && m.imp.TooBig == TooBigICMP) {
		t.Fatalf("packet of %d bytes, MTU %d: %+v", size, m.imp.MTU, v)
	}
	if after := m.d.Counters(); !v.Accepted && after.Dropped[v.Reason] <= before.Dropped[v.Reason] {
		t.Fatalf("drop for %v was not counted", v.Reason)
	}
	if v.Accepted {
		m.held[m.next] = true
		m.arrivals[m.next] = m.now
	}
	m.next++
	m.given++
	m.reclaim(t)
}

// reclaim takes back what was dropped after it was accepted.
func (m *machine) reclaim(t *rapid.T) {
	for p, ok := m.d.Discarded(); ok; p, ok = m.d.Discarded() {
		m.release(t, p)
	}
}

// release takes back a packet's data, unless another shares them.
func (m *machine) release(t *rapid.T, p Packet) uint64 {
	n := binary.BigEndian.Uint64(p.Data)
	if !m.held[n] {
		t.Fatalf("the data of packet %d came back once too often", n)
	}
	if p.Marks&Shared == 0 {
		delete(m.held, n)
	}
	return n
}

func (m *machine) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.Int64Range(0, int64(20*ms)).Draw(t, "by")))
}

func (m *machine) depart(t *rapid.T) {
	promised, any := m.d.NextDeparture()
	p, at, ok := m.d.Dequeue(m.now)
	m.reclaim(t)
	due := any && promised <= m.now
	if ok && (!due || at < promised) || !m.reordered && (ok != due || ok && at != promised) {
		t.Fatalf("at %d: departure %d (%v), promised %d (%v)", m.now, at, ok, promised, any)
	}
	if !ok {
		return
	}
	n := m.release(t, p)
	if !m.reordered && n < m.lastSent {
		t.Fatalf("packet %d departed after %d", n, m.lastSent)
	}
	m.lastSent = n
	if at < m.lastOut || at < m.arrivals[n] {
		t.Fatalf("departure at %d, after one at %d, of a packet that arrived at %d", at, m.lastOut, m.arrivals[n])
	}
	m.lastOut = at
	if !m.steady || m.reordered {
		return
	}
	m.free = max(m.free, m.arrivals[n])
	if m.imp.Rate > 0 {
		m.free += Time(int64(p.Size) * 8e9 / int64(m.imp.Rate))
	}
	least := m.imp.Delay - m.imp.Jitter
	if m.imp.Distribution != Uniform {
		least = 0
	}
	if earliest := m.free.Add(least); at < earliest {
		t.Fatalf("departed at %d, %v before rate and delay allow", at, earliest.Sub(at))
	}
}

func (m *machine) set(t *rapid.T) {
	imp := drawImpairments(t)
	if err := m.d.Set(m.now, imp); err != nil {
		t.Fatal(err)
	}
	m.reclaim(t)
	m.imp, m.steady = imp, false
	m.reordered = m.reordered || imp.Reorder != Reorder{}
}

func (m *machine) check(t *rapid.T) {
	c := m.d.Counters()
	if c.ArrivedPackets != m.given || c.ArrivedPackets+c.DuplicatedPackets != c.DepartedPackets+c.DroppedPackets()+uint64(c.HeldPackets) {
		t.Fatalf("%d packets given: %+v", m.given, c)
	}
	if c.ArrivedBytes+c.DuplicatedBytes != c.DepartedBytes+c.DroppedBytes+uint64(c.HeldBytes) {
		t.Fatalf("bytes do not add up: %+v", c)
	}
	if len(m.held) > c.HeldPackets || 2*len(m.held) < c.HeldPackets {
		t.Fatalf("holds %d packets with the data of %v", c.HeldPackets, m.held)
	}
	if _, any := m.d.NextDeparture(); any != (c.HeldPackets > 0) {
		t.Fatalf("next departure known: %v, packets held: %d", any, c.HeldPackets)
	}
	if !m.steady {
		return
	}
	q := m.imp.Queue
	if q.Packets > 0 && m.d.queue.len() > q.Packets ||
		q.Bytes > 0 && m.d.queueBytes > q.Bytes ||
		q.Time > 0 && m.d.queueBytes > bytesIn(q.Time, m.imp.MeanRate()) {
		t.Fatalf("queue of %d packets, %d bytes is over %+v", m.d.queue.len(), m.d.queueBytes, q)
	}
}

// The same seed and calls give the same verdicts and departures.
func TestSameSeedSameRun(t *testing.T) {
	run := func(seed uint64) []int64 {
		d, err := NewDirection(Impairments{
			Rate: 10 * mbit, Delay: 20 * ms, Jitter: 5 * ms, Loss: 0.05, Queue: Queue{Packets: 10},
		}, NewSeed(seed, "wifi", "up"))
		if err != nil {
			t.Fatal(err)
		}
		var log []int64
		for i := range 5000 {
			now := Time(i) * Time(ms)
			v := d.Enqueue(now, packet(frame))
			if !v.Accepted {
				log = append(log, -1-int64(v.Reason))
			}
			for _, at, ok := d.Dequeue(now); ok; _, at, ok = d.Dequeue(now) {
				log = append(log, int64(at))
			}
		}
		return log
	}
	if !slices.Equal(run(1), run(1)) {
		t.Error("two runs with one seed differ")
	}
	if slices.Equal(run(1), run(2)) {
		t.Error("two seeds give the same run")
	}
}

// FuzzDirection reads calls from bytes: no sequence, however odd in time or size,
// may panic, lose count or leave packets behind.
func FuzzDirection(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 1, 255, 2, 3, 0, 0, 200, 7}, int64(1_000_000), int64(ms), int64(0), uint8(1), int64(5), uint32(0))
	f.Add([]byte{3, 9, 0, 200, 1, 1}, int64(0), int64(0), int64(0), uint8(0), int64(0), uint32(0))
	f.Add([]byte{0, 200, 3, 1, 2, 250}, int64(1)<<62, int64(MaxDelay), int64(MaxDelay), uint8(3), int64(1)<<62, uint32(0))
	f.Add([]byte{0, 40, 0, 40, 0, 40, 1, 60, 0, 40, 2, 0, 3, 3}, int64(1e6), int64(ms), int64(ms), uint8(6), int64(1), uint32(1)<<20-1)
	f.Add([]byte{0, 40, 0, 90, 1, 90, 3, 7, 0, 40, 2, 0}, int64(1e6), int64(ms), int64(1), uint8(9), int64(9000), uint32(0x3f0ff))
	f.Fuzz(func(t *testing.T, calls []byte, rate, delay, jitter int64, kind uint8, limit int64, stages uint32) {
		imp := Impairments{Rate: Rate(rate), Delay: time.Duration(delay), Jitter: time.Duration(jitter), Loss: 0.1}
		switch kind % 4 {
		case 1:
			imp.Queue.Packets = int(limit)
		case 2:
			imp.Queue.Bytes = ByteCount(limit)
		case 3:
			imp.Queue.Time = time.Duration(limit)
		}
		imp.Queue.Discipline = Discipline(kind / 4 % 4)
		addStages(&imp, stages)
		d, err := NewDirection(imp, Seed{})
		if err != nil {
			return
		}
		var now Time
		for i := 0; i+1 < min(len(calls), 1000); i += 2 { // 500 packets of 1 MiB at 1 bit/s still end before Time does
			v := int64(calls[i+1])
			switch calls[i] % 4 {
			case 0:
				p := packet(ByteCount(v * v * v / 8))
				p.ECN, p.Data = ECN(v%4), calls
				d.Enqueue(now-Time(v%7), p)
			case 1:
				now += Time(v * v * v * v)
			case 2:
				d.Dequeue(now)
			case 3:
				if imp.Capacity == nil && !imp.stepped(StepRate) {
					imp.Rate = Rate(v << (v % 50))
				}
				_ = d.Set(now, imp)
			}
		}
		drain(t, d)
	})
}

// addStages turns a stage on for each bit.
func addStages(imp *Impairments, bits uint32) {
	for i, add := range []func(){
		func() { imp.GilbertElliott = GilbertElliott{P: 0.3, R: 0.3, H: 0.5, K: 0.9} },
		func() { imp.GilbertElliott, imp.FourState = GilbertElliott{}, FourState{P13: 0.5, P31: 0.5} },
		func() { imp.LoseEvery = 5 },
		func() { imp.LosePackets = &PacketList{2, 9} },
		func() { imp.Duplicate = 0.5 },
		func() { imp.Corrupt = 0.5 },
		func() { imp.Reorder = Reorder{Probability: 0.5, Gap: 2} },
		func() { imp.Distribution = Normal },
		func() { imp.Distribution = Pareto },
		func() { imp.Distribution, imp.JitterTable = Empirical, &Table{-32768, 32767} },
		func() { imp.Slot = Slot{Max: time.Second, Packets: 2} },
		func() { imp.Slot = Slot{Min: 1, Max: 1, Bytes: 1} },
		func() { imp.Rate, imp.Capacity = 0, &Trace{0, 3, 3, 1000} },
		func() { imp.Rate, imp.Capacity = 0, &Trace{12_000_000} },
		func() { imp.Rate, imp.Capacity, imp.Steps = 0, nil, rates(5, Step{Rate: 1e9}, Step{At: 1}) },
		func() { imp.Rate, imp.Capacity, imp.Steps = 0, nil, rates(0, Step{}, Step{At: time.Hour, Rate: 100}) },
		func() { imp.Queue.ECN = true },
		func() { imp.Queue.Mark.Bytes = 3000 },
		func() { imp.MTU, imp.TooBig = 1400, TooBigICMP },
		func() { imp.Blackhole = true },
	} {
		if bits&(1<<i) != 0 {
			add()
		}
	}
}

// drain collects all that is held, at the promised times.
func drain(t *testing.T, d *Direction) {
	t.Helper()
	for last := Time(-1 << 62); ; {
		at, ok := d.NextDeparture()
		if !ok {
			break
		}
		_, out, ok := d.Dequeue(at)
		if !ok && d.features&FeatureReorder == 0 {
			t.Fatalf("nothing departs at the promised %d", at)
		}
		if ok && (out < last || out > at) {
			t.Fatalf("departure at %d after %d, promised %d", out, last, at)
		}
		if ok {
			last = out
		}
	}
	for _, ok := d.Discarded(); ok; _, ok = d.Discarded() {
	}
	c := d.Counters()
	if c.HeldPackets != 0 || c.HeldBytes != 0 || c.ArrivedPackets+c.DuplicatedPackets != c.DepartedPackets+c.DroppedPackets() {
		t.Fatalf("packets do not add up: %+v", c)
	}
}
