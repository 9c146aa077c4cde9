package topologies

import (
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// none is the word that files write for an impairment that is off.
const none = "none"

// direction is what a file, a profile or a change by hand says about one direction.
type direction struct {
	rate      field[emulation.Rate]
	capacity  field[fileCapacity]
	steps     field[fileSteps]
	delay     field[time.Duration]
	jitter    field[fileJitter]
	loss      field[fileLoss]
	duplicate field[float64]
	corrupt   field[float64]
	reorder   field[fileReorder]
	slot      field[fileSlot]
	queue     field[fileQueue]
	mtu       field[fileMTU]
	blackhole field[bool]
}

type fileJitter struct {
	width        field[time.Duration]
	distribution field[emulation.Distribution]
	table        field[string] // a file's name
	sha256       field[string]
}

type fileReorder struct {
	probability field[float64]
	gap         field[uint64]
}

type fileSlot struct {
	least, most field[time.Duration]
	packets     field[uint64]
	bytes       field[emulation.ByteCount]
}

type fileQueue struct {
	limit            field[emulation.Queue]
	discipline       field[emulation.Discipline]
	target, interval field[time.Duration]
	ecn              field[bool]
	mark             field[emulation.Limit]
}

type fileMTU struct {
	size   field[uint64] // 0: any
	tooBig field[emulation.TooBig]
}

func directionKeys() []key[direction] {
	return []key[direction]{
		{
			name: "rate", doc: "capacity in bit/s of Ethernet frames, such as 30mbit, or unlimited",
			schema: orWord(textSchema(rateMeasure().pattern()), Unlimited),
			decode: at(func(w *direction) *field[emulation.Rate] { return &w.rate }, quantity(ParseRate)),
		},
		{
			name: "capacity", doc: "a trace in place of a rate: {trace: FILE} in Mahimahi's format, or {generate: lte, duration: 60s}, or none",
			schema: orWord(objectSchema(capacityKeys()), none),
			decode: at(func(w *direction) *field[fileCapacity] { return &w.capacity }, orNone(mapping(capacityKeys(), nil))),
		},
		{
			name: "steps", doc: "rate, delay and loss in the course of time: a list such as [{at: 0s, rate: 10mbit}, {at: 5s, rate: 2mbit}], or none",
			schema: stepsSchema(),
			decode: at(func(w *direction) *field[fileSteps] { return &w.steps }, orNone(steps)),
		},
		{
			name: "delay", doc: "one-way delay, such as 30ms",
			schema: timeSchema(),
			decode: at(func(w *direction) *field[time.Duration] { return &w.delay }, quantity(ParseTime)),
		},
		{
			name: "jitter", doc: "how much the delay varies, never reordering, such as 5ms for evenly up to that, or {width: 5ms, distribution: normal}",
			schema: eitherSchema(timeSchema(), jitterKeys()),
			decode: at(func(w *direction) *field[fileJitter] { return &w.jitter },
				either(quantity(ParseTime), func(v *fileJitter) *field[time.Duration] { return &v.width }, jitterKeys())),
		},
		{
			name: "loss", doc: "random loss, independent for each packet, such as 0.1%, or a mapping with other models",
			schema: eitherSchema(percentSchema(), lossKeys()),
			decode: at(func(w *direction) *field[fileLoss] { return &w.loss },
				either(quantity(ParsePercent), func(v *fileLoss) *field[float64] { return &v.random }, lossKeys())),
		},
		{
			name: "duplicate", doc: "how many packets are followed by a copy, such as 0.1%",
			schema: percentSchema(),
			decode: at(func(w *direction) *field[float64] { return &w.duplicate }, quantity(ParsePercent)),
		},
		{
			name: "corrupt", doc: "how many packets get one bit flipped, such as 0.1%",
			schema: percentSchema(),
			decode: at(func(w *direction) *field[float64] { return &w.corrupt }, quantity(ParsePercent)),
		},
		{
			name: "reorder", doc: "how many packets take no delay and overtake others, such as 1%, or {probability: 1%, gap: 5}",
			schema: eitherSchema(percentSchema(), reorderKeys()),
			decode: at(func(w *direction) *field[fileReorder] { return &w.reorder },
				either(quantity(ParsePercent), func(v *fileReorder) *field[float64] { return &v.probability }, reorderKeys())),
		},
		{
			name: "slot", doc: "packets leave in bursts, as from media that aggregate: {min: 2ms, max: 6ms, packets: 40}, or none",
			schema: orWord(objectSchema(slotKeys()), none),
			decode: at(func(w *direction) *field[fileSlot] { return &w.slot }, orNone(mapping(slotKeys(), nil))),
		},
		{
			name: "queue", doc: "limit of the buffer in front of the rate, such as 100ms, 64KB or 50packets, or unlimited, or a mapping with its discipline",
			schema: eitherSchema(orWord(textSchema(queueMeasure().pattern()), Unlimited), queueKeys()),
			decode: at(func(w *direction) *field[fileQueue] { return &w.queue },
				either(quantity(ParseQueue), func(v *fileQueue) *field[emulation.Queue] { return &v.limit }, queueKeys())),
		},
		{
			name: "mtu", doc: "largest IP packet in bytes that the wire passes, or any; larger ones vanish, or with {size: 1400, too-big: icmp} are answered",
			schema: eitherSchema(orWord(integerSchema(minMTU4, maxMTU), anySize), mtuKeys()),
			decode: at(func(w *direction) *field[fileMTU] { return &w.mtu },
				either(orAny(mtu), func(v *fileMTU) *field[uint64] { return &v.size }, mtuKeys())),
		},
		{
			name: "blackhole", doc: "true: nothing passes, false unless set",
			schema: schema{"type": "boolean"},
			decode: at(func(w *direction) *field[bool] { return &w.blackhole }, boolean),
		},
	}
}

func jitterKeys() []key[fileJitter] {
	return []key[fileJitter]{
		{
			name: "width", required: true, doc: "half the width of the uniform distribution, the standard deviation of the others",
			schema: timeSchema(),
			decode: at(func(j *fileJitter) *field[time.Duration] { return &j.width }, quantity(ParseTime)),
		},
		{
			name: "distribution", doc: "uniform, normal, pareto or table, uniform unless set",
			schema: wordSchema(words(distributions())),
			decode: at(func(j *fileJitter) *field[emulation.Distribution] { return &j.distribution }, wordOf("distribution", distributions())),
		},
		{
			name: "table", doc: "the file of the distribution table, in the form of iproute2's *.dist",
			schema: textSchema(`.`),
			decode: at(func(j *fileJitter) *field[string] { return &j.table }, path),
		},
		{
			name: "sha256", doc: "what the table's file must have, in hex",
			schema: textSchema(hashPattern),
			decode: at(func(j *fileJitter) *field[string] { return &j.sha256 }, quantity(parseHash)),
		},
	}
}

func reorderKeys() []key[fileReorder] {
	return []key[fileReorder]{
		{
			name: "probability", required: true, doc: "how many packets take no delay",
			schema: percentSchema(),
			decode: at(func(r *fileReorder) *field[float64] { return &r.probability }, quantity(ParsePercent)),
		},
		{
			name: "gap", doc: "after one that did, the next gap-1 packets do not; 0 unless set",
			schema: integerSchema(0, mostPackets),
			decode: at(func(r *fileReorder) *field[uint64] { return &r.gap }, integer("a number of packets", 0, mostPackets)),
		},
	}
}

func slotKeys() []key[fileSlot] {
	return []key[fileSlot]{
		{
			name: "min", doc: "least time before the next burst, 0s unless set",
			schema: timeSchema(),
			decode: at(func(s *fileSlot) *field[time.Duration] { return &s.least }, quantity(ParseTime)),
		},
		{
			name: "max", required: true, doc: "most time before the next burst",
			schema: timeSchema(),
			decode: at(func(s *fileSlot) *field[time.Duration] { return &s.most }, quantity(ParseTime)),
		},
		{
			name: "packets", doc: "how many packets a burst takes, any unless set",
			schema: orWord(integerSchema(1, mostPackets), anySize),
			decode: at(func(s *fileSlot) *field[uint64] { return &s.packets }, orAny(integer("a number of packets", 1, mostPackets))),
		},
		{
			name: "bytes", doc: "how many bytes a burst takes, such as 64KB, any unless set",
			schema: orWord(sizeSchema(), anySize),
			decode: at(func(s *fileSlot) *field[emulation.ByteCount] { return &s.bytes }, orAny(quantity(ParseSize))),
		},
	}
}

func queueKeys() []key[fileQueue] {
	return []key[fileQueue]{
		{
			name: "limit", doc: "how much it holds, such as 100ms, 64KB or 50packets, unlimited unless set",
			schema: orWord(textSchema(queueMeasure().pattern()), Unlimited),
			decode: at(func(q *fileQueue) *field[emulation.Queue] { return &q.limit }, quantity(ParseQueue)),
		},
		{
			name: "discipline", doc: "drop-tail, drop-head or codel, drop-tail unless set",
			schema: wordSchema(words(disciplines())),
			decode: at(func(q *fileQueue) *field[emulation.Discipline] { return &q.discipline }, wordOf("discipline", disciplines())),
		},
		{
			name: "target", doc: "CoDel's acceptable wait, 5ms unless set",
			schema: timeSchema(),
			decode: at(func(q *fileQueue) *field[time.Duration] { return &q.target }, positiveTime),
		},
		{
			name: "interval", doc: "CoDel's interval, 100ms unless set",
			schema: timeSchema(),
			decode: at(func(q *fileQueue) *field[time.Duration] { return &q.interval }, positiveTime),
		},
		{
			name: "ecn", doc: "true: CoDel marks packets that are capable of ECN in place of dropping them",
			schema: schema{"type": "boolean"},
			decode: at(func(q *fileQueue) *field[bool] { return &q.ecn }, boolean),
		},
		{
			name: "mark", doc: "the level past which packets that are capable of ECN are marked CE, such as 20packets, 30KB or 5ms, none unless set",
			schema: orWord(textSchema(queueMeasure().pattern()), none),
			decode: at(func(q *fileQueue) *field[emulation.Limit] { return &q.mark }, orNone(quantity(parseLimit))),
		},
	}
}

func mtuKeys() []key[fileMTU] {
	return []key[fileMTU]{
		{
			name: "size", required: true, doc: "largest IP packet in bytes that the wire passes, or any",
			schema: orWord(integerSchema(minMTU4, maxMTU), anySize),
			decode: at(func(m *fileMTU) *field[uint64] { return &m.size }, orAny(mtu)),
		},
		{
			name: "too-big", doc: "what becomes of larger ones: silent (they vanish, the default) or icmp (the sender is told)",
			schema: wordSchema(words(tooBigs())),
			decode: at(func(m *fileMTU) *field[emulation.TooBig] { return &m.tooBig }, wordOf("treatment", tooBigs())),
		},
	}
}

func distributions() []emulation.Distribution {
	return []emulation.Distribution{emulation.Uniform, emulation.Normal, emulation.Pareto, emulation.Empirical}
}

func disciplines() []emulation.Discipline {
	return []emulation.Discipline{emulation.DropTail, emulation.DropHead, emulation.CoDel}
}

func tooBigs() []emulation.TooBig {
	return []emulation.TooBig{emulation.TooBigSilent, emulation.TooBigICMP}
}

// parseLimit reads a level as a queue's limit is written.
func parseLimit(text string) (emulation.Limit, error) {
	q, err := ParseQueue(text)
	if text == Unlimited {
		err = &QuantityError{Text: quote(text) + " is no level", Expected: queueMeasure().wanted() + ", or " + none}
	}
	return emulation.Limit{Packets: q.Packets, Bytes: q.Bytes, Time: q.Time}, err
}
