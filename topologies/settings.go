package topologies

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tquiclab/tquiclab/emulation"
)

// plainFields are those that Show always writes.
const plainFields = emulation.FieldRate | emulation.FieldDelay | emulation.FieldJitter | emulation.FieldLoss | emulation.FieldQueue

// set returns the fields of i that are not as if nothing had set them.
func set(i emulation.Impairments) (f emulation.Fields) {
	for _, s := range []struct {
		on    bool
		field emulation.Fields
	}{
		{i.Rate != 0, emulation.FieldRate},
		{i.Capacity != nil, emulation.FieldCapacity},
		{i.Steps != nil, emulation.FieldSteps},
		{i.Delay != 0, emulation.FieldDelay},
		{i.Jitter != 0, emulation.FieldJitter},
		{i.Loss != 0 || otherLoss(i), emulation.FieldLoss},
		{i.Duplicate != 0, emulation.FieldDuplicate},
		{i.Corrupt != 0, emulation.FieldCorrupt},
		{i.Reorder != emulation.Reorder{}, emulation.FieldReorder},
		{i.Slot != emulation.Slot{}, emulation.FieldSlot},
		{i.Queue != emulation.Queue{}, emulation.FieldQueue},
		{i.MTU != 0, emulation.FieldMTU},
		{i.Blackhole, emulation.FieldBlackhole},
	} {
		if s.on {
			f |= s.field
		}
	}
	return f
}

func otherLoss(i emulation.Impairments) bool {
	return i.GilbertElliott != emulation.GilbertElliott{} || i.FourState != emulation.FourState{} || i.LoseEvery != 0 || i.LosePackets != nil
}

// profileFields returns what a profile sets in a direction.
func profileFields(profiles []profile, name, way string) emulation.Fields {
	for _, p := range profiles {
		if p.name == name && way == "up" {
			return p.up.given()
		} else if p.name == name {
			return p.down.given()
		}
	}
	return 0
}

// sources are the traces of one direction, or of an event, by kind.
type sources map[emulation.Fields]TraceFile

func (t Topology) sources(link, way string, event int) sources {
	s := sources{}
	for _, f := range t.Traces {
		if f.Link != link || f.Direction != way || f.Event != event {
			continue
		}
		switch {
		case f.Kind == TraceTable:
			s[emulation.FieldJitter] = f
		case f.Kind == TraceMahimahi, f.Kind == TraceGenerated && !strings.Contains(f.Source, "window: "):
			s[emulation.FieldCapacity] = f
		default:
			s[emulation.FieldSteps] = f
		}
	}
	return s
}

// settings returns the fields of i key by key, as a file has them. A capacity trace
// that no source is known of has no such form: it is named by its rate.
func settings(i emulation.Impairments, fields emulation.Fields, from sources) []string {
	stepped := emulation.StepColumns(0)
	if i.Steps != nil {
		stepped = i.Steps.Columns
	}
	var s []string
	for _, k := range []struct {
		field emulation.Fields
		on    bool // there is a word for it here
		text  func() string
	}{
		{emulation.FieldRate, i.Capacity == nil && stepped&emulation.StepRate == 0, func() string { return "rate: " + FormatRate(i.Rate) }},
		{emulation.FieldCapacity, true, func() string { return "capacity: " + formatCapacity(i.Capacity, from[emulation.FieldCapacity]) }},
		{emulation.FieldDelay, stepped&emulation.StepDelay == 0, func() string { return "delay: " + FormatTime(i.Delay) }},
		{emulation.FieldJitter, true, func() string { return "jitter: " + formatJitter(i, from[emulation.FieldJitter]) }},
		{emulation.FieldLoss, stepped&emulation.StepLoss == 0 || otherLoss(i), func() string { return "loss: " + formatLoss(i) }},
		{emulation.FieldDuplicate, true, func() string { return "duplicate: " + FormatPercent(i.Duplicate) }},
		{emulation.FieldCorrupt, true, func() string { return "corrupt: " + FormatPercent(i.Corrupt) }},
		{emulation.FieldReorder, true, func() string { return "reorder: " + formatReorder(i.Reorder) }},
		{emulation.FieldSlot, true, func() string { return "slot: " + formatSlot(i.Slot) }},
		{emulation.FieldQueue, true, func() string { return "queue: " + formatQueue(i.Queue) }},
		{emulation.FieldMTU, true, func() string { return "mtu: " + formatMTU(i) }},
		{emulation.FieldSteps, true, func() string { return "steps: " + formatSteps(i.Steps, from[emulation.FieldSteps]) }},
		{emulation.FieldBlackhole, true, func() string { return "blackhole: " + strconv.FormatBool(i.Blackhole) }},
	} {
		if fields&k.field != 0 && k.on {
			s = append(s, k.text())
		}
	}
	return s
}

func formatCapacity(t *emulation.Trace, from TraceFile) string {
	switch {
	case t == nil:
		return none
	case from.Kind == TraceGenerated:
		return "{" + from.Source + "}"
	case from.Kind == "":
		return "a trace of " + FormatRate(threeDigits(t.MeanRate()))
	}
	return fmt.Sprintf("{trace: %s, sha256: %s}", quoted(from.Source), plain(from.SHA256))
}

func formatSteps(s *emulation.Schedule, from TraceFile) string {
	if s == nil {
		return none
	}
	if from.Kind == TraceGenerated {
		return "{" + from.Source + "}"
	}
	repeat := ""
	if s.Period != 0 {
		repeat = ", repeat: " + FormatTime(s.Period)
	}
	if from.Kind == TraceCSV {
		return fmt.Sprintf("{csv: %s, sha256: %s%s}", quoted(from.Source), plain(from.SHA256), repeat)
	}
	items := make([]string, len(s.Steps))
	for i, step := range s.Steps {
		items[i] = "{at: " + FormatTime(step.At)
		if s.Columns&emulation.StepRate != 0 {
			items[i] += ", rate: " + formatStepRate(step.Rate)
		}
		if s.Columns&emulation.StepDelay != 0 {
			items[i] += ", delay: " + FormatTime(step.Delay)
		}
		if s.Columns&emulation.StepLoss != 0 {
			items[i] += ", loss: " + FormatPercent(step.Loss)
		}
		items[i] += "}"
	}
	list := "[" + strings.Join(items, ", ") + "]"
	if repeat == "" {
		return list
	}
	return "{list: " + list + repeat + "}"
}

func formatStepRate(r emulation.Rate) string {
	if r == 0 {
		return none
	}
	return FormatRate(r)
}

func formatJitter(i emulation.Impairments, from TraceFile) string {
	width := FormatTime(i.Jitter)
	switch {
	case i.Distribution == emulation.Uniform:
		return width
	case i.JitterTable != nil:
		return fmt.Sprintf("{width: %s, distribution: %v, table: %s, sha256: %s}", width, i.Distribution, quoted(from.Source), plain(from.SHA256))
	}
	return fmt.Sprintf("{width: %s, distribution: %v}", width, i.Distribution)
}

func formatLoss(i emulation.Impairments) string {
	if !otherLoss(i) {
		return FormatPercent(i.Loss)
	}
	var s []string
	if i.Loss != 0 {
		s = append(s, "random: "+FormatPercent(i.Loss))
	}
	if g := i.GilbertElliott; g != (emulation.GilbertElliott{}) {
		s = append(s, fmt.Sprintf("gilbert-elliott: {p: %s, r: %s, h: %s, k: %s}", FormatPercent(g.P), FormatPercent(g.R), FormatPercent(g.H), FormatPercent(g.K)))
	}
	if f := i.FourState; f != (emulation.FourState{}) {
		s = append(s, fmt.Sprintf("four-state: {p13: %s, p31: %s, p32: %s, p23: %s, p14: %s}",
			FormatPercent(f.P13), FormatPercent(f.P31), FormatPercent(f.P32), FormatPercent(f.P23), FormatPercent(f.P14)))
	}
	if i.LoseEvery != 0 {
		s = append(s, fmt.Sprintf("every: %d", i.LoseEvery))
	}
	if i.LosePackets != nil {
		numbers := make([]string, len(*i.LosePackets))
		for n, packet := range *i.LosePackets {
			numbers[n] = strconv.FormatUint(packet, 10)
		}
		s = append(s, "packets: ["+strings.Join(numbers, ", ")+"]")
	}
	return "{" + strings.Join(s, ", ") + "}"
}

func formatReorder(r emulation.Reorder) string {
	if r.Gap == 0 {
		return FormatPercent(r.Probability)
	}
	return fmt.Sprintf("{probability: %s, gap: %d}", FormatPercent(r.Probability), r.Gap)
}

func formatSlot(s emulation.Slot) string {
	if s == (emulation.Slot{}) {
		return none
	}
	text := fmt.Sprintf("{min: %s, max: %s", FormatTime(s.Min), FormatTime(s.Max))
	if s.Packets != 0 {
		text += fmt.Sprintf(", packets: %d", s.Packets)
	}
	if s.Bytes != 0 {
		text += ", bytes: " + FormatSize(s.Bytes)
	}
	return text + "}"
}

// formatQueue is FormatQueue with all that a queue has beside its limit.
func formatQueue(q emulation.Queue) string {
	if limit := (emulation.Queue{Packets: q.Packets, Bytes: q.Bytes, Time: q.Time}); q == limit {
		return FormatQueue(q)
	}
	text := fmt.Sprintf("{limit: %s, discipline: %v", FormatQueue(q), q.Discipline)
	if q.Target != 0 {
		text += ", target: " + FormatTime(q.Target)
	}
	if q.Interval != 0 {
		text += ", interval: " + FormatTime(q.Interval)
	}
	if q.ECN {
		text += ", ecn: true"
	}
	if q.Mark != (emulation.Limit{}) {
		text += ", mark: " + FormatQueue(emulation.Queue{Packets: q.Mark.Packets, Bytes: q.Mark.Bytes, Time: q.Mark.Time})
	}
	return text + "}"
}

func formatMTU(i emulation.Impairments) string {
	switch {
	case i.MTU == 0:
		return anySize
	case i.TooBig != emulation.TooBigSilent:
		return fmt.Sprintf("{size: %d, too-big: %v}", i.MTU, i.TooBig)
	}
	return strconv.Itoa(i.MTU)
}

// quoted returns a path in double quotes: it may have what ends a flow value.
func quoted(path string) string { return strconv.Quote(path) }
