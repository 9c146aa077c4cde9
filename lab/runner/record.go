package runner

import (
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// measurement is everything that was read about one trial.
type measurement struct {
	planned
	from, to         string // nodes: who sends, who receives
	workload         topologies.Workload
	failure          error
	sender, receiver agent.Transfer
	// began is the zero of the series, on the clock of the reports; 0: there was no
	// transfer.
	began      int64
	clockTMS   *float64       // results.Trial has it
	received   int64          // bytes, the receiver's last word
	totals     sampler.Totals // over the transfer; nil when there was none
	wiresStart []lab.WireStatus
	wires      []lab.WireStatus // over the transfer
	stealStart float64
	stolen     float64
	changes    *changes // nil when the clock was never armed, or there is none
}

// trial makes the record.
func (m *measurement) trial() results.Trial {
	t := results.Trial{
		Round:   m.round,
		Order:   m.order,
		Arm:     m.arm.Arm,
		Bytes:   m.received,
		StolenS: m.stolen,
		Changes: m.changes.recorded(),

		ClockTMS: m.clockTMS,
	}
	if at, ok := m.changes.clock(); ok {
		t.ClockTMS = &at
	}
	switch {
	case m.failure != nil:
		t.Error = m.failure.Error()
		m.addTimed(&t, m.workload)
	case m.workload.Timed():
		m.judgeTimed(&t, m.workload)
	default:
		m.judge(&t)
	}
	if m.totals != nil {
		t.Paths = m.paths(t.GoodputBPS)
	}
	if m.sender.Usage.PeakRSS > 0 {
		t.Sender = usage(m.sender, t.Bytes, m.packets(m.from))
	}
	if m.receiver.Usage.PeakRSS > 0 {
		t.Receiver = usage(m.receiver, t.Bytes, m.packets(m.to))
	}
	return t
}

// judge fills in what a transfer that ran to its end came to. Goodput counts
// from the sender's first write to the receiver's last byte: both clocks are the
// machine's CLOCK_MONOTONIC.
func (m *measurement) judge(t *results.Trial) {
	s, r := m.sender.Report, m.receiver.Report
	t.Bytes = r.Bytes
	t.StallMaxMS, t.Stalls = ms(r.MaxGap), m.stalls()
	switch {
	case !r.Intact:
		t.Error = "not intact: the receiver says: " + r.Reason
	case !s.Intact:
		t.Error = "not intact: the sender says: " + s.Reason
	case s.Bytes != r.Bytes && !r.Unchecked: // what a program counts as sent may lie in a buffer at its end
		t.Error = "not intact: sender and receiver disagree on how much was sent"
	case r.Bytes == 0 || r.LastNS <= s.StartNS:
		t.Error = "nothing arrived"
	default:
		t.Intact, t.Unchecked = true, r.Unchecked
	}
	if d := float64(r.LastNS-s.StartNS) / 1e9; r.Bytes > 0 && d > 0 {
		t.DurationS = d
		t.GoodputBPS = float64(r.Bytes) * 8 / d
	}
}

// stalls returns when the receiver had nothing, on the series' clock.
func (m *measurement) stalls() []results.Stall {
	var all []results.Stall
	r := m.receiver.Report
	for _, g := range r.Gaps {
		all = append(all, results.Stall{AtMS: ms(time.Duration(r.StartNS-m.began) + g.At), MS: ms(g.For)})
	}
	return all
}

// paths returns each path's part, in the arm's order. Shares are those of the bytes
// that arrived.
func (m *measurement) paths(goodput float64) []results.TrialPath {
	var all uint64
	arriving, leaving := m.arm.arriving(m.to), m.arm.leaving(m.from)
	for _, g := range arriving {
		all += g.bytes(m.totals)
	}
	var paths []results.TrialPath
	for i, p := range m.arm.paths {
		t := results.TrialPath{
			Link:        p.Name,
			SentPackets: leaving[i].packets(m.totals),
		}
		engineSays(&t, m.sender.Stats)
		if all > 0 {
			t.Share = float64(arriving[i].bytes(m.totals)) / float64(all)
			t.GoodputBPS = goodput * t.Share
		}
		t.LostPackets, t.Drops = m.drops(p)
		paths = append(paths, t)
	}
	return paths
}

// drops returns what the path's wires dropped of the data, in all and by reason. What
// a wire dropped that other paths of the arm cross, too, is named with its link; the
// path's own losses are then not known: nil, as without any wire.
func (m *measurement) drops(p topologies.Path) (lost *uint64, reasons map[string]uint64) {
	crossings := m.arm.crossings()
	known, shared := false, false
	var n uint64
	for i, l := range p.Links {
		w := wire(m.wires, l.Name)
		if w == nil {
			continue
		}
		d := w.Down
		if way := p.Way(i); (way == "up") == (m.to == p.Nodes[len(p.Nodes)-1]) {
			d = w.Up
		}
		known = true
		n += d.DroppedPackets()
		if reasons == nil {
			reasons = map[string]uint64{}
		}
		for reason, packets := range d.Dropped {
			if crossings[l.Name] > 1 {
				reason += " on shared " + l.Name
			}
			reasons[reason] += packets
		}
		shared = shared || crossings[l.Name] > 1
	}
	if !known || shared {
		return nil, reasons
	}
	return &n, reasons
}

// packets returns how many data packets the node handled: those that the sender
// sent or the receiver received, over the arm's paths. The engine's own count goes
// before the interfaces', which count a train that the kernel segments late, or never
// on a link without impairments, as one.
func (m *measurement) packets(node string) uint64 {
	var n uint64
	if node == m.from {
		n = sum(m.sender.Stats, func(p engine.PathStats) uint64 { return p.SentPackets })
	} else {
		n = sum(m.receiver.Stats, func(p engine.PathStats) uint64 { return p.ReceivedPackets })
	}
	if n > 0 {
		return n
	}
	for _, i := range m.arm.at(node) {
		c := m.totals[i]
		if node == m.from {
			n += c.TxPackets
		} else {
			n += c.RxPackets
		}
	}
	return n
}

// sum adds up a count over all paths of all sessions.
func sum(sessions []engine.Stats, count func(engine.PathStats) uint64) (n uint64) {
	for _, s := range sessions {
		for _, p := range s.Paths {
			n += count(p)
		}
	}
	return n
}

// copied returns how many payload bytes all sessions copied, or nil when one does not
// count them.
func copied(sessions []engine.Stats) *uint64 {
	if len(sessions) == 0 {
		return nil
	}
	var n uint64
	for _, s := range sessions {
		if s.Copied == nil {
			return nil
		}
		n += *s.Copied
	}
	return &n
}

// usage puts a side's costs in relation to what it moved.
func usage(t agent.Transfer, bytes int64, packets uint64) results.Usage {
	u := t.Usage
	r := results.Usage{CPUS: u.CPU.Seconds(), PeakRSSBytes: u.PeakRSS, GCCycles: u.GCCycles}
	if bytes > 0 {
		r.CPUSPerGbit = r.CPUS / (float64(bytes) * 8 / 1e9)
	}
	if n := copied(t.Stats); n != nil && bytes > 0 {
		r.CopiesPerByte = new(float64(*n) / float64(bytes))
	}
	if packets > 0 {
		r.AllocsPerPacket = new(float64(u.Mallocs) / float64(packets))
		r.AllocBytesPerPacket = new(float64(u.AllocBytes) / float64(packets))
	}
	return r
}

// srtt returns the mean of the sessions' smoothed round-trip times on a link in
// ms, or nil where no session knows one.
func srtt(sessions []engine.Stats, link string) *float64 {
	var sum time.Duration
	n := 0
	for p := range pathStats(sessions, link) {
		if p.SRTT > 0 {
			sum += p.SRTT
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return new(float64(sum) / float64(n) / float64(time.Millisecond))
}

// pathStats goes over the sessions' statistics of one link.
func pathStats(sessions []engine.Stats, link string) func(yield func(engine.PathStats) bool) {
	return func(yield func(engine.PathStats) bool) {
		for _, s := range sessions {
			for _, p := range s.Paths {
				if p.Link == link && !yield(p) {
					return
				}
			}
		}
	}
}
