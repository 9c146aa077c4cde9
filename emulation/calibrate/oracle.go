package calibrate

import (
	"encoding/binary"
	"fmt"

	"github.com/tquiclab/tquiclab/emulation"
)

// expect returns what the model makes of the packets that were sent: an observation
// as a probe through a perfect wire would have it. start is when the lab's clock
// started, CLOCK_REALTIME in ns; 0: with the first packet.
func expect(r Request, packets []sent, start int64, seed uint64) (observation, error) {
	o := observation{sent: packets}
	if len(packets) == 0 {
		return o, nil
	}
	if start == 0 {
		start = packets[0].at
	}
	d, err := emulation.NewDirection(r.Impairments, emulation.NewSeed(seed, "calibrate", "up"))
	if err != nil {
		return o, fmt.Errorf("ask the model: %w", err)
	}
	d.Start(emulation.Time(start))
	m := modelled{model: d, player: emulation.NewPlayer(r.Impairments, r.Timeline), start: emulation.Time(start), out: &o}
	tags := make([]byte, 4*len(packets))
	for i, p := range packets {
		at := emulation.Time(p.at)
		if err := m.advance(at); err != nil {
			return o, err
		}
		tag := tags[4*i : 4*i+4]
		binary.NativeEndian.PutUint32(tag, uint32(i))
		d.Enqueue(at, emulation.Packet{Size: emulation.ByteCount(p.size + ethernetHeader), IPSize: p.size, Data: tag})
		m.forget()
	}
	return o, m.drain()
}

// modelled is a direction in virtual time.
type modelled struct {
	model  *emulation.Direction
	player *emulation.Player
	start  emulation.Time
	out    *observation
}

// advance lets everything happen up to a time.
func (m *modelled) advance(until emulation.Time) error {
	for {
		at, ok := m.player.Next()
		if !ok || m.start.Add(at) > until {
			break
		}
		m.collect(m.start.Add(at))
		at, imp, _ := m.player.Step()
		if err := m.model.Set(m.start.Add(at), imp); err != nil {
			return fmt.Errorf("ask the model: %w", err)
		}
	}
	m.collect(until)
	return nil
}

// drain lets the rest depart, as the timeline has it.
func (m *modelled) drain() error {
	for {
		at, ok := m.model.NextDeparture()
		if !ok {
			return nil
		}
		if err := m.advance(at); err != nil {
			return err
		}
	}
}

// collect takes what has departed. What was corrupted no receiver gets.
func (m *modelled) collect(until emulation.Time) {
	for at, ok := m.model.NextDeparture(); ok && at <= until; at, ok = m.model.NextDeparture() {
		p, at, ok := m.model.Dequeue(at)
		m.forget()
		if ok && p.Marks&emulation.Corrupted == 0 {
			m.out.arrivals = append(m.out.arrivals, arrival{int(binary.NativeEndian.Uint32(p.Data)), int64(at)})
		}
	}
}

// forget lets go of what the model dropped late.
func (m *modelled) forget() {
	for _, ok := m.model.Discarded(); ok; _, ok = m.model.Discarded() {
	}
}
