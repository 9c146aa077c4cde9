package emulation

import "strings"

// Features is a set of the things that Impairments can ask for. A backend holds
// what is asked against what it can do, and refuses the rest by name.
type Features uint32

// The features.
const (
	FeatureRate Features = 1 << iota
	FeatureDelay
	FeatureJitter
	FeatureLoss
	FeatureQueue
	FeatureMTU
	FeatureTooBig
	FeatureGilbertElliott
	FeatureFourState
	FeatureLoseEvery
	FeatureLosePackets
	FeatureDuplicate
	FeatureCorrupt
	FeatureReorder
	FeatureDistribution
	FeatureSlot
	FeatureCapacity
	FeatureSteps
	FeatureDropHead
	FeatureCoDel
	FeatureMark
	FeatureBlackhole
	endOfFeatures
)

// AllFeatures is what the model can do.
const AllFeatures = endOfFeatures - 1

// PlainFeatures are those that every backend has: a fixed rate, delay and loss, a
// drop-tail queue, uniform jitter, and an MTU that drops in silence.
const PlainFeatures = FeatureRate | FeatureDelay | FeatureJitter | FeatureLoss | FeatureQueue | FeatureMTU

var featureNames = [...]string{
	"rate", "delay", "jitter", "loss", "queue", "mtu", "icmp too big",
	"gilbert-elliott loss", "four-state loss", "loss of every n-th", "loss of listed packets",
	"duplicate", "corrupt", "reorder", "jitter distribution", "slot", "capacity trace", "steps",
	"drop-head", "codel", "ce marking", "blackhole",
}

// Without returns the features of f that are not among can.
func (f Features) Without(can Features) Features { return f &^ can }

// String returns the names, with commas; "none" for the empty set.
func (f Features) String() string {
	var names []string
	for i, name := range featureNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Features returns what i asks for.
func (i Impairments) Features() Features {
	var f Features
	for _, feature := range []struct {
		bit Features
		on  bool
	}{
		{FeatureRate, i.Rate != 0},
		{FeatureDelay, i.Delay != 0},
		{FeatureJitter, i.Jitter != 0},
		{FeatureLoss, i.Loss != 0},
		{FeatureQueue, i.Queue != Queue{}},
		{FeatureMTU, i.MTU != 0},
		{FeatureTooBig, i.TooBig != TooBigSilent},
		{FeatureGilbertElliott, i.GilbertElliott != GilbertElliott{}},
		{FeatureFourState, i.FourState != FourState{}},
		{FeatureLoseEvery, i.LoseEvery != 0},
		{FeatureLosePackets, i.LosePackets != nil},
		{FeatureDuplicate, i.Duplicate != 0},
		{FeatureCorrupt, i.Corrupt != 0},
		{FeatureReorder, i.Reorder != Reorder{}},
		{FeatureDistribution, i.Distribution != Uniform},
		{FeatureSlot, i.Slot != Slot{}},
		{FeatureCapacity, i.Capacity != nil},
		{FeatureSteps, i.Steps != nil},
		{FeatureDropHead, i.Queue.Discipline == DropHead},
		{FeatureCoDel, i.Queue.Discipline == CoDel},
		{FeatureMark, i.Queue.ECN || i.Queue.Mark != Limit{}},
		{FeatureBlackhole, i.Blackhole},
	} {
		if feature.on {
			f |= feature.bit
		}
	}
	return f
}
