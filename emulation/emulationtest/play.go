package emulationtest

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Arrival is a packet that reaches a wire.
type Arrival struct {
	At   emulation.Time
	Size emulation.ByteCount // of the frame
	ECN  emulation.ECN
}

// Departure is a packet that leaves a wire.
type Departure struct {
	Number int // of its arrival, from 0
	At     emulation.Time
	Marks  emulation.Marks
	ECN    emulation.ECN
}

// ethernetHeader is what a frame has before its IP packet.
const ethernetHeader = 14

// Every returns n arrivals of one size, the first at 0 and then one each interval.
func Every(interval time.Duration, n int, size emulation.ByteCount) []Arrival {
	arrivals := make([]Arrival, n)
	for i := range arrivals {
		arrivals[i] = Arrival{At: emulation.Time(0).Add(time.Duration(i) * interval), Size: size}
	}
	return arrivals
}

// Play returns what the model makes of arrivals, which are in the order of time, and
// what it counted.
func Play(imp emulation.Impairments, seed emulation.Seed, arrivals []Arrival) ([]Departure, emulation.Counters, error) {
	d, err := emulation.NewDirection(imp, seed)
	if err != nil {
		return nil, emulation.Counters{}, err
	}
	var out []Departure
	collect := func(now emulation.Time) {
		for {
			p, at, ok := d.Dequeue(now)
			if !ok {
				break
			}
			out = append(out, Departure{int(binary.NativeEndian.Uint64(p.Data)), at, p.Marks, p.ECN})
		}
		for more := true; more; {
			_, more = d.Discarded()
		}
	}
	for i, a := range arrivals {
		for at, any := d.NextDeparture(); any && at <= a.At; at, any = d.NextDeparture() {
			collect(at)
		}
		d.Enqueue(a.At, emulation.Packet{
			Size: a.Size, IPSize: int(a.Size) - ethernetHeader, ECN: a.ECN,
			Data: binary.NativeEndian.AppendUint64(nil, uint64(i)),
		})
	}
	collect(math.MaxInt64)
	return out, d.Counters(), nil
}

// Lost returns which of n packets are not among the departures.
func Lost(n int, departures []Departure) []bool {
	lost := make([]bool, n)
	for i := range lost {
		lost[i] = true
	}
	for _, d := range departures {
		lost[d.Number] = false
	}
	return lost
}

// Delays returns how long after its arrival each departure came, in seconds.
func Delays(arrivals []Arrival, departures []Departure) []float64 {
	delays := make([]float64, len(departures))
	for i, d := range departures {
		delays[i] = d.At.Sub(arrivals[d.Number].At).Seconds()
	}
	return delays
}
