package emulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// GilbertElliott loses packets by a chain of two states, as netem's gemodel does:
// a packet is lost with the probability of the state that it finds, and then the
// state may change. Mind K: Gilbert's model, where every packet of a good time
// passes, has K = 1. The zero value is off.
type GilbertElliott struct {
	P float64 `json:"p"` // from the good state to the bad
	R float64 `json:"r"` // from the bad state to the good
	H float64 `json:"h"` // a packet passes in the bad state
	K float64 `json:"k"` // a packet passes in the good state
}

// FourState loses packets by the chain of netem's "loss state" (Salsano and
// others, the GI model). In state 1 packets pass, in 2 they pass within a burst of
// losses, in 3 they are lost in a burst, in 4 one is lost alone; from 4 the chain
// goes back to 1. A packet's fate is that of the state which it leads to. The zero
// value is off.
type FourState struct {
	P13 float64 `json:"p13"`
	P31 float64 `json:"p31"`
	P32 float64 `json:"p32"`
	P23 float64 `json:"p23"`
	P14 float64 `json:"p14"`
}

// PacketList is a list of packets by their number of arrival, from 1, ascending.
type PacketList []uint64

func (g GilbertElliott) validate() error {
	if g == (GilbertElliott{}) {
		return nil
	}
	return probabilities(named{"gilbert-elliott p", g.P}, named{"gilbert-elliott r", g.R},
		named{"gilbert-elliott h", g.H}, named{"gilbert-elliott k", g.K})
}

func (f FourState) validate() error {
	if f == (FourState{}) {
		return nil
	}
	return probabilities(named{"four-state p13", f.P13}, named{"four-state p31", f.P31}, named{"four-state p32", f.P32},
		named{"four-state p23", f.P23}, named{"four-state p14", f.P14},
		named{"four-state p13+p14", f.P13 + f.P14}, named{"four-state p31+p32", f.P31 + f.P32})
}

func (l PacketList) validate() error {
	if len(l) == 0 {
		return errors.New("the list of packets to lose is empty")
	}
	if l[0] == 0 {
		return errors.New("the list of packets to lose has packet 0: the first is 1")
	}
	for i, n := range l[1:] {
		if n <= l[i] {
			return fmt.Errorf("the list of packets to lose has %d after %d: it must ascend", n, l[i])
		}
	}
	return nil
}

// named is a probability and how the user calls it.
type named struct {
	name  string
	value float64
}

// probabilities returns an error for each value that is none.
func probabilities(values ...named) error {
	var errs []error
	for _, v := range values {
		if !(v.value >= 0 && v.value <= 1) {
			errs = append(errs, fmt.Errorf("%s %v is not a probability", v.name, v.value))
		}
	}
	return errors.Join(errs...)
}

// lossChains are the states of the loss models that have one, and their
// generators, made when first needed.
type lossChains struct {
	gilbertElliott *rand.Rand
	fourState      *rand.Rand
	bad            bool  // Gilbert-Elliott's state
	state          uint8 // of the four, from 1
}

// set makes what imp needs. A chain that is off starts anew when it comes back.
func (c *lossChains) set(imp *Impairments, seed Seed) {
	if imp.GilbertElliott == (GilbertElliott{}) {
		c.bad = false
	} else if c.gilbertElliott == nil {
		c.gilbertElliott = seed.stage("gilbert-elliott")
	}
	if imp.FourState == (FourState{}) || c.fourState == nil {
		c.state = 1
	}
	if imp.FourState != (FourState{}) && c.fourState == nil {
		c.fourState = seed.stage("four-state")
	}
}

// loses reports whether the models beside independent loss lose the packet that
// is the n-th to arrive. Every chain that is on moves, whatever another says.
func (c *lossChains) loses(imp *Impairments, n uint64) bool {
	lost := imp.LoseEvery > 0 && n%uint64(imp.LoseEvery) == 0
	if imp.LosePackets != nil {
		_, listed := slices.BinarySearch(*imp.LosePackets, n)
		lost = lost || listed
	}
	if imp.GilbertElliott != (GilbertElliott{}) {
		lost = c.twoStates(&imp.GilbertElliott) || lost
	}
	if imp.FourState != (FourState{}) {
		lost = c.fourStates(&imp.FourState) || lost
	}
	return lost
}

// twoStates is one step of Gilbert-Elliott (sch_netem.c, loss_gilb_ell).
func (c *lossChains) twoStates(g *GilbertElliott) bool {
	move, fate := c.gilbertElliott.Float64(), c.gilbertElliott.Float64()
	if c.bad {
		c.bad = move >= g.R
		return fate >= g.H
	}
	c.bad = move < g.P
	return fate >= g.K
}

// fourStates is one step of the four-state chain (sch_netem.c, loss_4state).
func (c *lossChains) fourStates(f *FourState) bool {
	move := c.fourState.Float64()
	switch c.state {
	case 1:
		if move < f.P14 {
			c.state = 4
		} else if move < f.P14+f.P13 {
			c.state = 3
		}
	case 2:
		if move < f.P23 {
			c.state = 3
		}
	case 3:
		if move < f.P32 {
			c.state = 2
		} else if move < f.P32+f.P31 {
			c.state = 1
		}
	case 4:
		c.state = 1
	}
	return c.state >= 3
}
