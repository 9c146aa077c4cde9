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
		Rate:  Rate(rapid.SampledFrom([]int64{0, 1_000, 33_333, 1_000_000, 33_333_333, 1_000_000_000}).Draw(t, "rate")),
		Delay: time.Duration(rapid.Int64Range(0, int64(50*ms)).Draw(t, "delay")),
		Loss:  rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "loss"),
		MTU:   rapid.SampledFrom([]int{0, 500, 1500}).Draw(t, "mtu"),
	}
	if rapid.Bool().Draw(t, "jittery") {
		imp.Jitter = time.Duration(rapid.Int64Range(0, int64(imp.Delay)).Draw(t, "jitter"))
	}
	if imp.Rate > 0 {
		switch rapid.IntRange(0, 3).Draw(t, "queue kind") {
		case 1:
			imp.Queue.Packets = rapid.IntRange(1, 10).Draw(t, "packets")
		case 2:
			imp.Queue.Bytes = ByteCount(rapid.Int64Range(1, 20_000).Draw(t, "bytes"))
		case 3:
			imp.Queue.Time = time.Duration(rapid.Int64Range(1, int64(100*ms)).Draw(t, "time"))
		}
	}
	return imp
}

// machine is a direction beside a plain account of what it was given.
type machine struct {
	d        *Direction
	imp      Impairments
	now      Time
	given    uint64
	next     uint64   // number of the next packet given
	held     []uint64 // numbers of the packets accepted and not yet back
	bytes    ByteCount
	arrivals map[uint64]Time
	lastOut  Time
	steady   bool // no Set so far
	free     Time // earliest end of transmission allowed by the rate, steady only
}

// Under any sequence of calls: what arrived has departed, was dropped or is held;
// packets come back in order, each once, never early; between any two departures
// lies the time that the rate takes for the bytes; the queue stays in its limit.
func TestDirectionProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		imp := drawImpairments(t)
		d, err := NewDirection(imp, NewSeed(rapid.Uint64().Draw(t, "seed"), "l", "up"))
		if err != nil {
			t.Fatal(err)
		}
		m := &machine{d: d, imp: imp, arrivals: map[uint64]Time{}, steady: true}
		t.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"arrive": m.arrive,
			"wait":   m.wait,
			"depart": m.depart,
			"set":    m.set,
		})
	})
}

func (m *machine) arrive(t *rapid.T) {
	size := ByteCount(rapid.SampledFrom([]int64{0, 60, 500, 1514}).Draw(t, "size"))
	data := binary.BigEndian.AppendUint64(nil, m.next)
	before := m.d.Counters()
	v := m.d.Enqueue(m.now, Packet{Size: size, IPSize: int(size), Data: data})
	if tooLarge := m.imp.MTU > 0 && int(size) > m.imp.MTU; tooLarge != (!v.Accepted && v.Reason == DropMTU) {
		t.Fatalf("packet of %d bytes, MTU %d: %+v", size, m.imp.MTU, v)
	}
	if after := m.d.Counters(); !v.Accepted && after.Dropped[v.Reason] != before.Dropped[v.Reason]+1 {
		t.Fatalf("drop for %v was not counted", v.Reason)
	}
	if v.Accepted {
		m.held = append(m.held, m.next)
		m.bytes += size
		m.arrivals[m.next] = m.now
	}
	m.next++
	m.given++
}

func (m *machine) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.Int64Range(0, int64(20*ms)).Draw(t, "by")))
}

func (m *machine) depart(t *rapid.T) {
	promised, any := m.d.NextDeparture()
	p, at, ok := m.d.Dequeue(m.now)
	if ok != (any && promised <= m.now) || ok && at != promised {
		t.Fatalf("at %d: departure %d (%v), promised %d (%v)", m.now, at, ok, promised, any)
	}
	if !ok {
		return
	}
	if len(m.held) == 0 || binary.BigEndian.Uint64(p.Data) != m.held[0] {
		t.Fatalf("packet %d departed, want the first of %v", binary.BigEndian.Uint64(p.Data), m.held)
	}
	arrived := m.arrivals[m.held[0]]
	m.held = m.held[1:]
	m.bytes -= p.Size
	if at < m.lastOut {
		t.Fatalf("departure at %d after one at %d", at, m.lastOut)
	}
	m.lastOut = at
	if !m.steady {
		return
	}
	m.free = max(m.free, arrived)
	if m.imp.Rate > 0 {
		m.free += Time(int64(p.Size) * 8e9 / int64(m.imp.Rate))
	}
	if earliest := m.free.Add(m.imp.Delay - m.imp.Jitter); at < earliest {
		t.Fatalf("departed at %d, %v before rate and delay allow", at, earliest.Sub(at))
	}
}

func (m *machine) set(t *rapid.T) {
	imp := drawImpairments(t)
	if err := m.d.Set(m.now, imp); err != nil {
		t.Fatal(err)
	}
	m.imp, m.steady = imp, false
}

func (m *machine) check(t *rapid.T) {
	c := m.d.Counters()
	if c.ArrivedPackets != m.given || c.ArrivedPackets != c.DepartedPackets+c.DroppedPackets()+uint64(c.HeldPackets) {
		t.Fatalf("%d packets given: %+v", m.given, c)
	}
	if c.ArrivedBytes != c.DepartedBytes+c.DroppedBytes+uint64(c.HeldBytes) {
		t.Fatalf("bytes do not add up: %+v", c)
	}
	if c.HeldPackets != len(m.held) || c.HeldBytes != m.bytes {
		t.Fatalf("holds %d packets, %d bytes; want %d, %d", c.HeldPackets, c.HeldBytes, len(m.held), m.bytes)
	}
	if _, any := m.d.NextDeparture(); any != (len(m.held) > 0) {
		t.Fatalf("next departure known: %v, packets held: %d", any, len(m.held))
	}
	if !m.steady {
		return
	}
	q := m.imp.Queue
	if q.Packets > 0 && m.d.queue.len() > q.Packets ||
		q.Bytes > 0 && m.d.queueBytes > q.Bytes ||
		q.Time > 0 && int64(m.d.queueBytes)*8e9/int64(m.imp.Rate) > int64(q.Time) {
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
	f.Add([]byte{0, 0, 0, 1, 1, 255, 2, 3, 0, 0, 200, 7}, int64(1_000_000), int64(ms), int64(0), uint8(1), int64(5))
	f.Add([]byte{3, 9, 0, 200, 1, 1}, int64(0), int64(0), int64(0), uint8(0), int64(0))
	f.Add([]byte{0, 200, 3, 1, 2, 250}, int64(1)<<62, int64(MaxDelay), int64(MaxDelay), uint8(3), int64(1)<<62)
	f.Fuzz(func(t *testing.T, calls []byte, rate, delay, jitter int64, kind uint8, limit int64) {
		imp := Impairments{Rate: Rate(rate), Delay: time.Duration(delay), Jitter: time.Duration(jitter), Loss: 0.1}
		switch kind % 4 {
		case 1:
			imp.Queue.Packets = int(limit)
		case 2:
			imp.Queue.Bytes = ByteCount(limit)
		case 3:
			imp.Queue.Time = time.Duration(limit)
		}
		d, err := NewDirection(imp, Seed{})
		if err != nil {
			return
		}
		var now Time
		for i := 0; i+1 < min(len(calls), 1000); i += 2 { // 500 packets of 1 MiB at 1 bit/s still end before Time does
			v := int64(calls[i+1])
			switch calls[i] % 4 {
			case 0:
				d.Enqueue(now-Time(v%7), packet(ByteCount(v*v*v/8)))
			case 1:
				now += Time(v * v * v * v)
			case 2:
				d.Dequeue(now)
			case 3:
				imp.Rate = Rate(v << (v % 50))
				_ = d.Set(now, imp)
			}
		}
		for last := Time(-1 << 62); ; {
			at, ok := d.NextDeparture()
			if !ok {
				break
			}
			if at < last {
				t.Fatalf("departure at %d after %d", at, last)
			}
			if _, _, ok := d.Dequeue(at); !ok {
				t.Fatalf("nothing departs at the promised %d", at)
			}
			last = at
		}
		c := d.Counters()
		if c.HeldPackets != 0 || c.HeldBytes != 0 || c.ArrivedPackets != c.DepartedPackets+c.DroppedPackets() {
			t.Fatalf("packets do not add up: %+v", c)
		}
	})
}
