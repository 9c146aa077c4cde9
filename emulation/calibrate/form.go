package calibrate

import "time"

// Form is how long a probe takes, and how much its figures may be off.
type Form struct {
	Pulses int           // packets that meet an empty link
	Stream time.Duration // at half of the rate
	Train  time.Duration // above the rate
	// Packets bounds those of the stream, and those of the train, where each is a system
	// call.
	Packets int

	// A delay may be off by the larger of DelayShare of it and Delay, a rate by
	// RateShare, a queue by the larger of QueueShare and Queue, a mean burst of losses by
	// BurstShare, all beyond what chance explains.
	DelayShare, RateShare, QueueShare, BurstShare float64
	Delay, Queue                                  time.Duration
}

// Short returns the form that runs before a run: about a second for each direction.
func Short() Form {
	return Form{
		Pulses: 60, Stream: 300 * time.Millisecond, Train: 300 * time.Millisecond, Packets: 4000,
		DelayShare: 0.01, Delay: 500 * time.Microsecond, RateShare: 0.03,
		QueueShare: 0.05, Queue: 3 * time.Millisecond, BurstShare: 0.25,
	}
}

// Full returns the form that `calibrate` runs. Its tolerances are those that the
// backends promise: a delay within 1 % or 0.3 ms, a rate within 1 % over 5 s, bursts
// within 10 %.
func Full() Form {
	return Form{
		Pulses: 400, Stream: 5 * time.Second, Train: 5 * time.Second, Packets: 100_000,
		DelayShare: 0.01, Delay: 300 * time.Microsecond, RateShare: 0.01,
		QueueShare: 0.03, Queue: 2 * time.Millisecond, BurstShare: 0.10,
	}
}
