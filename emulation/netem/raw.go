package netem

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// netem's attributes and structs (include/uapi/linux/pkt_sched.h); nl has those
// before Linux 4.16.
const (
	attrLatency64 = 10
	attrJitter64  = 11
	attrSlot      = 12
	attrSlotDist  = 13
	attrPrngSeed  = 14

	lossFourState      = 1 // NETEM_LOSS_GI
	lossGilbertElliott = 2 // NETEM_LOSS_GE

	sizeofQopt = 24 // struct tc_netem_qopt
	sizeofSlot = 40 // struct tc_netem_slot

	// Of struct tcmsg, and the attributes of statistics (gen_stats.h).
	sizeofTcmsg  = 20
	statsBasic   = 1
	statsQueue   = 3
	statsPackets = 8
)

// options is netem's whole set of parameters, in the kernel's units: probabilities
// in 2^-32, times in nanoseconds, the rate in bytes per second.
type options struct {
	latency, jitter int64
	nanoseconds     bool // latency and jitter are known to the nanosecond (since Linux 4.16)
	limit           uint32
	loss            uint32
	duplicate       uint32
	gap             uint32
	reorder         uint32
	corrupt         uint32
	correlations    [5]uint32 // delay, loss, duplicate, reorder, corrupt
	rate            rate
	ecn             uint32
	model           lossModel
	slot            slot
	seed            uint64
	seeded          bool // the kernel knows a seed (since Linux 6.6)

	// The kernel takes tables and never tells them.
	delayTable, slotTable []int16
	keepSlot              bool // leave the slots as they are in the kernel, in mid-course
}

// rate is struct tc_netem_rate with RATE64 worked in.
type rate struct {
	bytes          uint64
	packetOverhead int32
	cellSize       uint32
	cellOverhead   int32
}

// lossModel is struct tc_netem_gemodel (p, r, h, 1-k) or tc_netem_gimodel (p13, p31,
// p32, p14, p23). The zero value stands for independent loss.
type lossModel struct {
	kind       uint16
	parameters [5]uint32
}

func (m lossModel) size() int {
	if m.kind == lossFourState {
		return 5
	}
	return 4
}

// slot is struct tc_netem_slot.
type slot struct {
	min, max              int64
	packets, bytes        int32
	distDelay, distJitter int64
}

// qdisc is one queueing discipline as the kernel tells it.
type qdisc struct {
	index          int
	handle, parent uint32
	kind           string
	netem          options // if the kind is netem
	counters       Counters
}

// encode returns the attribute TCA_OPTIONS.
func (o *options) encode() *nl.RtAttr {
	c := o.correlations
	// struct tc_netem_qopt; its times are overruled by the attributes in ns.
	attr := nl.NewRtAttr(nl.TCA_OPTIONS, words(0, o.limit, o.loss, o.gap, o.duplicate, 0))
	attr.AddRtAttr(nl.TCA_NETEM_CORR, words(c[0], c[1], c[2]))
	attr.AddRtAttr(nl.TCA_NETEM_REORDER, words(o.reorder, c[3]))
	attr.AddRtAttr(nl.TCA_NETEM_CORRUPT, words(o.corrupt, c[4]))
	// The kernel takes the larger of the two rates.
	attr.AddRtAttr(nl.TCA_NETEM_RATE, words(uint32(min(o.rate.bytes, 1<<32-1)),
		uint32(o.rate.packetOverhead), o.rate.cellSize, uint32(o.rate.cellOverhead)))
	attr.AddRtAttr(nl.TCA_NETEM_RATE64, longs(int64(o.rate.bytes)))
	attr.AddRtAttr(attrLatency64, longs(o.latency))
	attr.AddRtAttr(attrJitter64, longs(o.jitter))
	attr.AddRtAttr(nl.TCA_NETEM_ECN, words(o.ecn))
	if o.model.kind != 0 {
		nest := attr.AddRtAttr(nl.TCA_NETEM_LOSS, nil)
		nest.AddRtAttr(int(o.model.kind), words(o.model.parameters[:o.model.size()]...))
	}
	if o.delayTable != nil {
		attr.AddRtAttr(nl.TCA_NETEM_DELAY_DIST, shorts(o.delayTable))
	}
	if !o.keepSlot {
		s := longs(o.slot.min, o.slot.max)
		s = append(s, words(uint32(o.slot.packets), uint32(o.slot.bytes))...)
		s = append(s, longs(o.slot.distDelay, o.slot.distJitter)...)
		attr.AddRtAttr(attrSlot, s)
		if o.slotTable != nil {
			attr.AddRtAttr(attrSlotDist, shorts(o.slotTable))
		}
	}
	attr.AddRtAttr(attrPrngSeed, longs(int64(o.seed)))
	return attr
}

// words, longs and shorts are numbers as the kernel lays them out.
func words(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func longs(values ...int64) (b []byte) {
	for _, v := range values {
		b = binary.NativeEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func shorts(table []int16) []byte {
	b := make([]byte, 0, 2*len(table))
	for _, v := range table {
		b = binary.NativeEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// errShort says that a message ends before what it announces.
var errShort = errors.New("the kernel's message is cut short")

// attributes calls take for each attribute in b, nested ones as they are.
func attributes(b []byte, take func(kind uint16, value []byte) error) error {
	for len(b) > 0 {
		if len(b) < unix.SizeofRtAttr {
			return errShort
		}
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return errShort
		}
		kind := binary.NativeEndian.Uint16(b[2:]) & nl.NLA_TYPE_MASK
		if err := take(kind, b[unix.SizeofRtAttr:size]); err != nil {
			return err
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return nil
}

// decodeQdisc reads a message RTM_NEWQDISC without its header. What it does not
// know it leaves aside.
func decodeQdisc(b []byte) (qdisc, error) {
	if len(b) < sizeofTcmsg {
		return qdisc{}, errShort
	}
	e := binary.NativeEndian
	q := qdisc{index: int(int32(e.Uint32(b[4:]))), handle: e.Uint32(b[8:]), parent: e.Uint32(b[12:])}
	var netem []byte
	err := attributes(b[sizeofTcmsg:], func(kind uint16, value []byte) (err error) {
		switch kind {
		case nl.TCA_KIND:
			q.kind = string(bytes.TrimRight(value, "\x00"))
		case nl.TCA_OPTIONS:
			netem = value
		case nl.TCA_STATS2:
			q.counters, err = decodeCounters(value)
		}
		return err
	})
	if err == nil && q.kind == "netem" {
		q.netem, err = decodeOptions(netem)
	}
	if err != nil {
		return qdisc{}, fmt.Errorf("decode qdisc %q of interface %d: %w", q.kind, q.index, err)
	}
	return q, nil
}

// decodeCounters reads the attribute TCA_STATS2.
func decodeCounters(b []byte) (c Counters, err error) {
	e := binary.NativeEndian
	err = attributes(b, func(kind uint16, value []byte) error {
		switch kind {
		case statsBasic: // struct gnet_stats_basic
			if len(value) < 12 {
				return errShort
			}
			c.SentBytes = e.Uint64(value)
			if c.SentPackets == 0 {
				c.SentPackets = uint64(e.Uint32(value[8:]))
			}
		case statsPackets: // where 32 bits have wrapped (since Linux 5.7)
			if len(value) < 8 {
				return errShort
			}
			c.SentPackets = e.Uint64(value)
		case statsQueue: // struct gnet_stats_queue
			if len(value) < 20 {
				return errShort
			}
			c.BacklogPackets, c.BacklogBytes = e.Uint32(value), e.Uint32(value[4:])
			c.Drops, c.Overlimits = e.Uint32(value[8:]), e.Uint32(value[16:])
		}
		return nil
	})
	return c, err
}

// decodeOptions reads netem's attribute TCA_OPTIONS: a struct with attributes
// behind it.
func decodeOptions(b []byte) (options, error) {
	if len(b) < sizeofQopt {
		return options{}, errShort
	}
	e := binary.NativeEndian
	o := options{limit: e.Uint32(b[4:]), loss: e.Uint32(b[8:]), gap: e.Uint32(b[12:]), duplicate: e.Uint32(b[16:])}
	told := map[uint16]bool{}
	err := attributes(b[sizeofQopt:], func(kind uint16, value []byte) error {
		told[kind] = true
		return o.decode(kind, value)
	})
	o.nanoseconds = told[attrLatency64] && told[attrJitter64]
	return o, err
}

// decode reads one of netem's attributes.
func (o *options) decode(kind uint16, value []byte) error {
	e := binary.NativeEndian
	sizes := map[uint16]int{
		nl.TCA_NETEM_CORR: 12, nl.TCA_NETEM_REORDER: 8, nl.TCA_NETEM_CORRUPT: 8, nl.TCA_NETEM_RATE: 16, nl.TCA_NETEM_RATE64: 8,
		nl.TCA_NETEM_ECN: 4, attrLatency64: 8, attrJitter64: 8, attrSlot: sizeofSlot, attrPrngSeed: 8,
	}
	if len(value) < sizes[kind] {
		return errShort
	}
	word := func(i int) uint32 { return e.Uint32(value[4*i:]) }
	switch kind {
	case nl.TCA_NETEM_CORR:
		o.correlations[0], o.correlations[1], o.correlations[2] = word(0), word(1), word(2)
	case nl.TCA_NETEM_REORDER:
		o.reorder, o.correlations[3] = word(0), word(1)
	case nl.TCA_NETEM_CORRUPT:
		o.corrupt, o.correlations[4] = word(0), word(1)
	case nl.TCA_NETEM_RATE:
		o.rate = rate{max(o.rate.bytes, uint64(word(0))), int32(word(1)), word(2), int32(word(3))}
	case nl.TCA_NETEM_RATE64:
		o.rate.bytes = max(o.rate.bytes, e.Uint64(value))
	case nl.TCA_NETEM_ECN:
		o.ecn = word(0)
	case attrLatency64:
		o.latency = int64(e.Uint64(value))
	case attrJitter64:
		o.jitter = int64(e.Uint64(value))
	case attrPrngSeed:
		o.seed, o.seeded = e.Uint64(value), true
	case attrSlot:
		o.slot = slot{
			int64(e.Uint64(value)), int64(e.Uint64(value[8:])), int32(word(4)), int32(word(5)),
			int64(e.Uint64(value[24:])), int64(e.Uint64(value[32:])),
		}
	case nl.TCA_NETEM_LOSS:
		return attributes(value, o.decodeLoss)
	}
	return nil
}

// decodeLoss reads what is in the attribute TCA_NETEM_LOSS.
func (o *options) decodeLoss(kind uint16, value []byte) error {
	if kind != lossFourState && kind != lossGilbertElliott {
		return nil
	}
	m := lossModel{kind: kind}
	if len(value) < 4*m.size() {
		return errShort
	}
	for i := range m.size() {
		m.parameters[i] = binary.NativeEndian.Uint32(value[4*i:])
	}
	o.model = m
	return nil
}
