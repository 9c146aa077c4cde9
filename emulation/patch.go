package emulation

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Fields is a set of the parts of Impairments that can be changed by themselves.
type Fields uint32

// The fields. Each has its value, and what belongs to it, in Impairments.
const (
	FieldRate   Fields = 1 << iota // with it go Capacity and the rates of Steps
	FieldDelay                     // with it go the delays of Steps
	FieldJitter                    // Jitter, Distribution and JitterTable
	FieldLoss                      // with it go the losses of Steps
	FieldQueue
	FieldMTU // MTU and TooBig
	FieldGilbertElliott
	FieldFourState
	FieldLoseEvery
	FieldLosePackets
	FieldDuplicate
	FieldCorrupt
	FieldReorder
	FieldSlot
	FieldCapacity // with it go Rate and the rates of Steps
	FieldSteps    // with it go the values that it sets
	FieldBlackhole
	endOfFields
)

// AllFields is every field: a patch with it replaces the whole.
const AllFields = endOfFields - 1

var fieldNames = []string{
	"rate", "delay", "jitter", "loss", "queue", "mtu", "gilbert-elliott", "four-state", "lose-every", "lose-packets",
	"duplicate", "corrupt", "reorder", "slot", "capacity", "steps", "blackhole",
}

// Names returns the names of the fields in f.
func (f Fields) Names() []string {
	names := []string{}
	for i, name := range fieldNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String returns the names, with commas.
func (f Fields) String() string { return strings.Join(f.Names(), ", ") }

// MarshalJSON writes the names as a list.
func (f Fields) MarshalJSON() ([]byte, error) {
	if f&^AllFields != 0 {
		return nil, fmt.Errorf("fields: there is no %#x", uint32(f&^AllFields))
	}
	return json.Marshal(f.Names())
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Fields) UnmarshalJSON(data []byte) error {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return err
	}
	*f = 0
	for _, name := range names {
		i, err := indexOf(fieldNames, name, "field")
		if err != nil {
			return err
		}
		*f |= 1 << i
	}
	return nil
}

// Patch is a change to Impairments: the named fields get the values of Values, the
// others stay.
type Patch struct {
	Fields Fields      `json:"fields"`
	Values Impairments `json:"values,omitzero"`
}

// IsZero reports whether p changes nothing.
func (p Patch) IsZero() bool { return p.Fields == 0 }

// And returns the patch that does what p does and then what q does.
func (p Patch) And(q Patch) Patch {
	return Patch{Fields: p.Fields | q.Fields, Values: p.Values.With(q)}
}

// With returns i changed by p. What a new value excludes goes: a rate takes a
// capacity trace's place, a loss the losses of a schedule, and the other way round.
func (i Impairments) With(p Patch) Impairments {
	v := p.Values
	if p.Fields&FieldRate != 0 {
		i.Rate, i.Capacity = v.Rate, nil
		i.dropSteps(StepRate)
	}
	if p.Fields&FieldCapacity != 0 {
		i.Capacity = v.Capacity
		if v.Capacity != nil {
			i.Rate = 0
			i.dropSteps(StepRate)
		}
	}
	if p.Fields&FieldDelay != 0 {
		i.Delay = v.Delay
		i.dropSteps(StepDelay)
	}
	if p.Fields&FieldLoss != 0 {
		i.Loss = v.Loss
		i.dropSteps(StepLoss)
	}
	i.setRest(p.Fields, &v)
	if p.Fields&FieldSteps != 0 {
		i.setSteps(v.Steps) // last: its own values are zero where it sets them
	}
	return i
}

// setRest sets the fields that exclude nothing.
func (i *Impairments) setRest(f Fields, v *Impairments) {
	if f&FieldJitter != 0 {
		i.Jitter, i.Distribution, i.JitterTable = v.Jitter, v.Distribution, v.JitterTable
	}
	if f&FieldQueue != 0 {
		i.Queue = v.Queue
	}
	if f&FieldMTU != 0 {
		i.MTU, i.TooBig = v.MTU, v.TooBig
	}
	if f&FieldGilbertElliott != 0 {
		i.GilbertElliott = v.GilbertElliott
	}
	if f&FieldFourState != 0 {
		i.FourState = v.FourState
	}
	if f&FieldLoseEvery != 0 {
		i.LoseEvery = v.LoseEvery
	}
	if f&FieldLosePackets != 0 {
		i.LosePackets = v.LosePackets
	}
	if f&FieldDuplicate != 0 {
		i.Duplicate = v.Duplicate
	}
	if f&FieldCorrupt != 0 {
		i.Corrupt = v.Corrupt
	}
	if f&FieldReorder != 0 {
		i.Reorder = v.Reorder
	}
	if f&FieldSlot != 0 {
		i.Slot = v.Slot
	}
	if f&FieldBlackhole != 0 {
		i.Blackhole = v.Blackhole
	}
}

// setSteps puts a schedule in the place of the values that it sets.
func (i *Impairments) setSteps(s *Schedule) {
	i.Steps = s
	if i.stepped(StepRate) {
		i.Rate, i.Capacity = 0, nil
	}
	if i.stepped(StepDelay) {
		i.Delay = 0
	}
	if i.stepped(StepLoss) {
		i.Loss = 0
	}
}

// dropSteps takes columns out of the schedule, which stays as it is for whoever
// shares it.
func (i *Impairments) dropSteps(c StepColumns) {
	if i.Steps == nil || i.Steps.Columns&c == 0 {
		return
	}
	left := *i.Steps
	left.Columns &^= c
	i.Steps = &left
	if left.Columns == 0 {
		i.Steps = nil
	}
}
