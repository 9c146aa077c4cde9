package recovery

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// machine drives a Detector at random and keeps books of its own: every packet with
// what became of it.
type machine struct {
	d    *Detector
	now  clock.Time
	next [NumSpaces]wire.PacketNumber
	sent [NumSpaces]map[wire.PacketNumber]*entry
	out  Result
	path int
}

type entry struct {
	Sent
	path int
	fate string // "", acked, lost, dropped
}

func newController(t *rapid.T) congest.Controller {
	c, err := congest.New(rapid.SampledFrom(congest.Names()).Draw(t, "controller"), congest.Config{Now: start})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newMachine(t *rapid.T) *machine {
	m := &machine{now: start}
	side := rapid.SampledFrom([]wire.Perspective{wire.Client, wire.Server}).Draw(t, "side")
	m.d = New(Config{Side: side, Controller: newController(t)})
	for i := range m.sent {
		m.sent[i] = map[wire.PacketNumber]*entry{}
	}
	return m
}

func drawSpace(t *rapid.T) Space { return Space(rapid.IntRange(0, int(NumSpaces)-1).Draw(t, "space")) }

func (m *machine) advance(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.Int64Range(0, int64(500*ms)).Draw(t, "advance")))
}

func (m *machine) send(t *rapid.T) {
	sp := drawSpace(t)
	kind := rapid.SampledFrom([]string{"data", "data", "data", "padding", "ack", "probe"}).Draw(t, "kind")
	for range rapid.IntRange(1, 40).Draw(t, "packets") {
		p := Sent{
			Number: m.next[sp], Time: m.now, Size: wire.ByteCount(rapid.IntRange(30, 1500).Draw(t, "size")),
			AckEliciting: kind == "data" || kind == "probe", InFlight: kind != "ack", MTUProbe: kind == "probe",
			ECT: m.d.ECNCapable(),
		}
		m.next[sp]++
		m.sent[sp][p.Number] = &entry{Sent: p, path: m.path}
		m.d.OnSent(sp, p)
	}
}

func (m *machine) skip(t *rapid.T) {
	sp := drawSpace(t)
	m.d.Skip(sp, m.next[sp])
	m.next[sp]++
}

// ack acknowledges random stretches of what was sent: of any age, again and again.
func (m *machine) ack(t *rapid.T) {
	sp := drawSpace(t)
	var ranges []wire.Range
	for top := m.next[sp] - 1; top >= 0 && len(ranges) < 4; {
		high := top - wire.PacketNumber(rapid.IntRange(0, 5).Draw(t, "gap"))
		if high < 0 {
			break
		}
		r := span(max(0, high-wire.PacketNumber(rapid.IntRange(0, 60).Draw(t, "length"))), high)
		top = r.Smallest - 2
		ranges = append(ranges, m.withoutSkips(sp, r)...)
	}
	if len(ranges) == 0 {
		return
	}
	a := Ack{
		Largest: ranges[0].Largest, Delay: time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "delay")),
		HasECN: rapid.Bool().Draw(t, "ECN"), ECT0: uint64(rapid.IntRange(0, 100).Draw(t, "ECT0")),
	}
	m.out.Reset()
	if err := m.d.Ack(m.now, sp, a, slices.Values(ranges), &m.out); err != nil {
		t.Fatalf("Ack of %v: %v", ranges, err)
	}
	for _, p := range m.out.Acked {
		if !slices.ContainsFunc(ranges, func(r wire.Range) bool { return r.Smallest <= p.Number && p.Number <= r.Largest }) {
			t.Fatalf("packet %d acknowledged by %v", p.Number, ranges)
		}
	}
	m.note(t, sp)
	// Nothing that the frame covers is left.
	for _, r := range ranges {
		for n := r.Smallest; n <= r.Largest; n++ {
			if e := m.sent[sp][n]; e.fate == "" && e.InFlight {
				t.Fatalf("packet %d of %v has no fate after its acknowledgment", n, r)
			}
		}
	}
}

// withoutSkips cuts r, descending, at the numbers that were left out.
func (m *machine) withoutSkips(sp Space, r wire.Range) (out []wire.Range) {
	for high := r.Largest; high >= r.Smallest; high-- {
		low := high
		for low >= r.Smallest && m.sent[sp][low] != nil {
			low--
		}
		if low < high {
			out = append(out, span(low+1, high))
		}
		high = low
	}
	return out
}

// lie acknowledges what was not sent yet.
func (m *machine) lie(t *rapid.T) {
	sp := drawSpace(t)
	r := span(0, m.next[sp]+wire.PacketNumber(rapid.Int64Range(0, 1<<61).Draw(t, "beyond")))
	m.out.Reset()
	if err := m.d.Ack(m.now, sp, Ack{Largest: r.Largest}, slices.Values([]wire.Range{r}), &m.out); err == nil {
		t.Fatalf("Ack of %v went well with %d as the next packet", r, m.next[sp])
	}
	m.note(t, sp)
}

func (m *machine) timeout(t *rapid.T) {
	at := m.d.Timeout()
	if at == clock.Never {
		return
	}
	m.now = max(m.now, at)
	m.out.Reset()
	e := m.d.HandleTimeout(m.now, &m.out)
	m.note(t, e.Space)
	if e.PTO && m.d.ProbesDue(e.Space) == 0 {
		t.Fatalf("a PTO for %v asks for no probe", e.Space)
	}
	if e.PTO && len(m.out.Lost) > 0 {
		t.Fatalf("a PTO declared %d packets lost", len(m.out.Lost))
	}
}

func (m *machine) discard(t *rapid.T) {
	sp := drawSpace(t)
	m.out.Reset()
	m.d.Discard(sp, &m.out)
	m.note(t, sp)
	for n, e := range m.sent[sp] {
		if e.fate == "" && e.InFlight {
			t.Fatalf("packet %d has no fate after its space was discarded", n)
		}
	}
}

func (m *machine) migrate(t *rapid.T) {
	m.path++
	m.d.ResetPath(m.now, newController(t))
}

// note writes the result of a call about one space into the books.
func (m *machine) note(t *rapid.T, sp Space) {
	m.settle(t, m.sent[sp], m.out.Acked, "acked")
	m.settle(t, m.sent[sp], m.out.Lost, "lost")
	m.settle(t, m.sent[sp], m.out.Dropped, "dropped")
}

func (m *machine) settle(t *rapid.T, books map[wire.PacketNumber]*entry, packets []Sent, fate string) {
	for _, p := range packets {
		switch e := books[p.Number]; {
		case e == nil:
			t.Fatalf("packet %d is %s and was never sent", p.Number, fate)
		case e.fate != "":
			t.Fatalf("packet %d is %s and was %s before", p.Number, fate, e.fate)
		case fate == "lost" && !e.InFlight:
			t.Fatalf("packet %d is lost and was not in flight", p.Number)
		default:
			e.fate = fate
		}
	}
}

// check compares the books.
func (m *machine) check(t *rapid.T) {
	var bytes wire.ByteCount
	packets := 0
	for sp := range NumSpaces {
		oldest := m.next[sp]
		for n, e := range m.sent[sp] {
			if e.fate != "" || !e.InFlight {
				continue
			}
			oldest = min(oldest, n)
			if e.path == m.path {
				bytes += e.Size
				packets++
			}
		}
		if p, ok := m.d.Oldest(sp); (ok && p.Number > oldest) || (!ok && oldest < m.next[sp]) {
			t.Fatalf("oldest of %v is %d, %v: want %d", sp, p.Number, ok, oldest)
		}
	}
	if got := m.d.BytesInFlight(); got != bytes || m.d.PacketsInFlight() != packets {
		t.Fatalf("%d bytes of %d packets in flight, want %d of %d", got, m.d.PacketsInFlight(), bytes, packets)
	}
	if st := m.d.State(); st.Window < 2400 {
		t.Fatalf("window = %d, want two datagrams at least", st.Window)
	}
	allowed, next := m.d.Budget(m.now, 64<<10)
	if room := m.d.State().Window - bytes; allowed < 0 || (allowed > room && allowed > 0) || (allowed == 0 && next <= m.now) {
		t.Fatalf("budget = %d at %d with room for %d", allowed, next, room)
	}
}

// Each packet is acknowledged, lost or dropped, once; what is in flight is always the
// sum of the packets without a fate.
func TestMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"advance": m.advance,
			"send":    m.send,
			"skip":    m.skip,
			"ack":     m.ack,
			"lie":     m.lie,
			"timeout": m.timeout,
			"discard": m.discard,
			"migrate": m.migrate,
			"confirm": func(*rapid.T) { m.d.HandshakeConfirmed() },
			"limited": func(*rapid.T) { m.d.SetAppLimited() },
		})
		for sp := range NumSpaces {
			m.out.Reset()
			m.d.Discard(sp, &m.out)
			m.note(t, sp)
			for n, e := range m.sent[sp] {
				if e.fate == "" && e.InFlight {
					t.Fatalf("packet %d of %v never had a fate", n, sp)
				}
			}
		}
		if got := m.d.BytesInFlight(); got != 0 {
			t.Fatalf("%d bytes in flight at the end", got)
		}
	})
}
