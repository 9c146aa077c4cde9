package topologies

import (
	"fmt"

	"github.com/tquiclab/tquiclab/emulation"
)

// lossFields are those that the key loss sets.
const lossFields = emulation.FieldLoss | emulation.FieldGilbertElliott | emulation.FieldFourState | emulation.FieldLoseEvery | emulation.FieldLosePackets

type fileLoss struct {
	random         field[float64]
	gilbertElliott field[fileGilbertElliott]
	fourState      field[fileFourState]
	every          field[uint64]
	packets        field[[]field[uint64]]
}

type fileGilbertElliott struct{ p, r, h, k field[float64] }

type fileFourState struct{ p13, p31, p32, p23, p14 field[float64] }

func lossKeys() []key[fileLoss] {
	return []key[fileLoss]{
		{
			name: "random", doc: "independent for each packet, such as 0.1%",
			schema: percentSchema(),
			decode: at(func(l *fileLoss) *field[float64] { return &l.random }, quantity(ParsePercent)),
		},
		{
			name: "gilbert-elliott", doc: "bursts by a chain of two states: {p: 1%, r: 20%, h: 0%, k: 100%}, or none",
			schema: orWord(objectSchema(gilbertElliottKeys()), none),
			decode: at(func(l *fileLoss) *field[fileGilbertElliott] { return &l.gilbertElliott }, orNone(mapping(gilbertElliottKeys(), nil))),
		},
		{
			name: "four-state", doc: "bursts by a chain of four states: {p13: 1%, p31: 50%, p32: 5%, p23: 50%, p14: 0.1%}, or none",
			schema: orWord(objectSchema(fourStateKeys()), none),
			decode: at(func(l *fileLoss) *field[fileFourState] { return &l.fourState }, orNone(mapping(fourStateKeys(), nil))),
		},
		{
			name: "every", doc: "every n-th packet, such as 100, or none",
			schema: orWord(integerSchema(1, mostPackets), none),
			decode: at(func(l *fileLoss) *field[uint64] { return &l.every }, orNone(integer("a number of packets", 1, mostPackets))),
		},
		{
			name: "packets", doc: "these packets by their number from 1, ascending, such as [1, 3, 15], or none",
			schema: orWord(listSchema(integerSchema(1, maxSeed), 1, maxListed), none),
			decode: at(func(l *fileLoss) *field[[]field[uint64]] { return &l.packets }, orNone(list(integer("a packet's number", 1, maxSeed)))),
		},
	}
}

func gilbertElliottKeys() []key[fileGilbertElliott] {
	return []key[fileGilbertElliott]{
		{
			name: "p", required: true, doc: "how often the good state turns bad, per packet", schema: percentSchema(),
			decode: at(func(g *fileGilbertElliott) *field[float64] { return &g.p }, quantity(ParsePercent)),
		},
		{
			name: "r", required: true, doc: "how often the bad state turns good, per packet", schema: percentSchema(),
			decode: at(func(g *fileGilbertElliott) *field[float64] { return &g.r }, quantity(ParsePercent)),
		},
		{
			name: "h", doc: "how many packets pass in the bad state, 0% unless set", schema: percentSchema(),
			decode: at(func(g *fileGilbertElliott) *field[float64] { return &g.h }, quantity(ParsePercent)),
		},
		{
			name: "k", doc: "how many packets pass in the good state, 100% unless set", schema: percentSchema(),
			decode: at(func(g *fileGilbertElliott) *field[float64] { return &g.k }, quantity(ParsePercent)),
		},
	}
}

func fourStateKeys() []key[fileFourState] {
	return []key[fileFourState]{
		{
			name: "p13", required: true, doc: "from passing to a burst of losses", schema: percentSchema(),
			decode: at(func(f *fileFourState) *field[float64] { return &f.p13 }, quantity(ParsePercent)),
		},
		{
			name: "p31", required: true, doc: "from a burst of losses back to passing", schema: percentSchema(),
			decode: at(func(f *fileFourState) *field[float64] { return &f.p31 }, quantity(ParsePercent)),
		},
		{
			name: "p32", doc: "from losing to passing within a burst, 0% unless set", schema: percentSchema(),
			decode: at(func(f *fileFourState) *field[float64] { return &f.p32 }, quantity(ParsePercent)),
		},
		{
			name: "p23", doc: "from passing to losing within a burst, 100% unless set", schema: percentSchema(),
			decode: at(func(f *fileFourState) *field[float64] { return &f.p23 }, quantity(ParsePercent)),
		},
		{
			name: "p14", doc: "from passing to one lost alone, 0% unless set", schema: percentSchema(),
			decode: at(func(f *fileFourState) *field[float64] { return &f.p14 }, quantity(ParsePercent)),
		},
	}
}

func (d *decoder) loss(f field[fileLoss], base emulation.Impairments, v *emulation.Impairments) bool {
	if f.state != good {
		return f.state == absent
	}
	if f.part {
		v.Loss, v.GilbertElliott, v.FourState, v.LoseEvery, v.LosePackets = base.Loss, base.GilbertElliott, base.FourState, base.LoseEvery, base.LosePackets
	}
	l := &f.value
	v.Loss, v.LoseEvery = l.random.or(v.Loss), int(l.every.or(uint64(v.LoseEvery)))
	sound := l.random.state != bad && l.every.state != bad && l.packets.state != bad
	if g := &l.gilbertElliott; g.state == good {
		value, ok := d.gilbertElliott(g, v.GilbertElliott)
		v.GilbertElliott, sound = value, sound && ok
	}
	if g := &l.fourState; g.state == good {
		value, ok := d.fourState(g, v.FourState)
		v.FourState, sound = value, sound && ok
	}
	if l.packets.state == good {
		list, ok := d.packetList(l.packets)
		v.LosePackets, sound = list, sound && ok
	}
	return sound && l.gilbertElliott.state != bad && l.fourState.state != bad
}

func (d *decoder) gilbertElliott(f *field[fileGilbertElliott], base emulation.GilbertElliott) (emulation.GilbertElliott, bool) {
	g := &f.value
	if *g == (fileGilbertElliott{}) {
		return emulation.GilbertElliott{}, true // none
	}
	if !f.part || base == (emulation.GilbertElliott{}) {
		base = emulation.GilbertElliott{K: 1}
	}
	out := emulation.GilbertElliott{P: g.p.or(base.P), R: g.r.or(base.R), H: g.h.or(base.H), K: g.k.or(base.K)}
	if g.p.state == bad || g.r.state == bad || g.h.state == bad || g.k.state == bad {
		return out, false
	}
	if out == (emulation.GilbertElliott{}) {
		d.problem(f.place, Problem{Text: "a Gilbert-Elliott chain that stays in a state without a packet that passes", Expected: "one of p, r, h and k above 0%; 100% loss is random: 100%"})
		return out, false
	}
	return out, true
}

func (d *decoder) fourState(f *field[fileFourState], base emulation.FourState) (emulation.FourState, bool) {
	s := &f.value
	if *s == (fileFourState{}) {
		return emulation.FourState{}, true // none
	}
	if !f.part || base == (emulation.FourState{}) {
		base = emulation.FourState{P23: 1}
	}
	out := emulation.FourState{P13: s.p13.or(base.P13), P31: s.p31.or(base.P31), P32: s.p32.or(base.P32), P23: s.p23.or(base.P23), P14: s.p14.or(base.P14)}
	for _, p := range []state{s.p13.state, s.p31.state, s.p32.state, s.p23.state, s.p14.state} {
		if p == bad {
			return out, false
		}
	}
	if out == (emulation.FourState{}) {
		d.problem(f.place, Problem{Text: "a chain of four states that never leaves the first", Expected: "p13 or p14 above 0%, or none"})
		return out, false
	}
	for _, sum := range []struct {
		names string
		value float64
	}{{"p13 and p14", out.P13 + out.P14}, {"p31 and p32", out.P31 + out.P32}} {
		if sum.value > 1 {
			d.problem(f.place, Problem{Text: sum.names + " are over 100% in sum", Expected: "at most 100%: they are the ways out of one state"})
			return out, false
		}
	}
	return out, true
}

// maxListed is how many packets a list may have.
const maxListed = 65_536

func (d *decoder) packetList(f field[[]field[uint64]]) (*emulation.PacketList, bool) {
	if f.value == nil {
		return nil, true // none
	}
	if n := len(f.value); n == 0 || n > maxListed {
		d.problem(f.place, Problem{Text: count(n, "packet"), Expected: fmt.Sprintf("1 to %d, or none", maxListed)})
		return nil, false
	}
	list := make(emulation.PacketList, len(f.value))
	for i, n := range f.value {
		if n.state != good {
			return nil, false
		}
		if list[i] = n.value; i > 0 && n.value <= list[i-1] {
			d.problem(n.place, Problem{Text: fmt.Sprintf("packet %d after %d", n.value, list[i-1]), Expected: "an ascending list"})
			return nil, false
		}
	}
	return &list, true
}
