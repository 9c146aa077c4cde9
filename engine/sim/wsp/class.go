package wsp

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/sim"
)

// Points is how many pairs of paths a class has in the papers.
const Points = 253

// Class is a quarter of the experiment: the ranges of what a path may be like. Lower
// bounds but the capacity's are 0.
type Class struct {
	Name        string
	MaxRTT      time.Duration // without queueing
	MaxQueueing time.Duration // how long a full queue takes to drain
	MaxLoss     float64       // random, each way
	seed        uint64
}

// The capacity of a path, bit/s, in all classes.
const (
	minCapacity = 0.1e6
	maxCapacity = 100e6
)

// Classes returns the four classes.
func Classes() []Class {
	return []Class{
		{Name: "low-bdp-no-loss", MaxRTT: 50 * time.Millisecond, MaxQueueing: 100 * time.Millisecond, seed: 1},
		{Name: "low-bdp-losses", MaxRTT: 50 * time.Millisecond, MaxQueueing: 100 * time.Millisecond, MaxLoss: 0.025, seed: 2},
		{Name: "high-bdp-no-loss", MaxRTT: 400 * time.Millisecond, MaxQueueing: 2 * time.Second, seed: 3},
		{Name: "high-bdp-losses", MaxRTT: 400 * time.Millisecond, MaxQueueing: 2 * time.Second, MaxLoss: 0.025, seed: 4},
	}
}

// Path is what one of the two paths is like, in both directions.
type Path struct {
	Capacity emulation.Rate `json:"capacity_bps"`
	RTT      time.Duration  `json:"rtt_ns"`
	Queueing time.Duration  `json:"queueing_ns"`
	Loss     float64        `json:"loss"`
}

// Scenario is a pair of paths.
type Scenario struct {
	Class string  `json:"class"`
	Point int     `json:"point"` // from 0
	Paths [2]Path `json:"paths"`
}

// Scenarios returns the class's pairs of paths.
func (c Class) Scenarios() ([]Scenario, error) {
	perPath := 3
	if c.MaxLoss > 0 {
		perPath++
	}
	points, err := Design(Points, 2*perPath, c.seed)
	if err != nil {
		return nil, fmt.Errorf("class %s: %w", c.Name, err)
	}
	var all []Scenario
	for i, p := range points {
		all = append(all, Scenario{Class: c.Name, Point: i, Paths: [2]Path{c.path(p[:perPath]), c.path(p[perPath:])}})
	}
	return all, nil
}

// path scales a point of the unit cube to the class's ranges. Figures are rounded to
// what people write: kbit/s, and tenths of a millisecond.
func (c Class) path(p []float64) Path {
	const step = 100 * time.Microsecond
	span := func(whole time.Duration, part float64) time.Duration {
		return time.Duration(part * float64(whole)).Round(step)
	}
	path := Path{
		Capacity: emulation.Rate(math.Round((minCapacity+p[0]*(maxCapacity-minCapacity))/1e3) * 1e3),
		RTT:      span(c.MaxRTT, p[1]), Queueing: span(c.MaxQueueing, p[2]),
	}
	if len(p) > 3 {
		path.Loss = math.Round(p[3]*c.MaxLoss*1e5) / 1e5
	}
	return path
}

// A queue holds at least so many packets, whatever its time: what Mininet's token
// bucket (15 kB) lets through at once in front of it.
const (
	minQueue   = 10
	packetSize = 1500
)

// Link returns the path as a simulated link, the first or the second of its scenario.
func (p Path) Link(name string, number byte) sim.Link {
	way := emulation.Impairments{
		Rate: p.Capacity, Delay: p.RTT / 2, Loss: p.Loss,
		Queue: emulation.Queue{Packets: max(minQueue, int(math.Ceil(float64(p.Capacity)*p.Queueing.Seconds()/(8*packetSize))))},
	}
	return sim.Link{
		Name: name, Up: way, Down: way,
		Client: netip.AddrFrom4([4]byte{10, 79, number, 1}), Server: netip.AddrFrom4([4]byte{10, 79, number, 2}),
	}
}

// Names of a scenario's links.
const (
	FirstLink  = "first"
	SecondLink = "second"
)

// Links returns both paths as links, in the scenario's order.
func (s Scenario) Links() [2]sim.Link {
	return [2]sim.Link{s.Paths[0].Link(FirstLink, 0), s.Paths[1].Link(SecondLink, 1)}
}
