package sim

import (
	"errors"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// Report is what a simulated transfer came to. Its times are virtual.
type Report struct {
	// Sender and Receiver are the two sides' reports, by the definitions of a real
	// transfer.
	Sender, Receiver workload.Report
	// BeganNS is when the transfer began, on the clock of Sender and Receiver; 0: never.
	// Samples count from it.
	BeganNS int64
	// Clock is when the clock started from which timelines, traces, steps and outages
	// count, from the transfer's beginning on: below 0, since a handshake's first packet
	// starts it.
	Clock time.Duration
	// Stats are the sender's, one of each connection, as they stood at the end.
	Stats []engine.Stats
	// Links is what the links did during the transfer, in Config's order, and behind them
	// the trunks; empty when it never began.
	Links []LinkCounters
	// SetUp is how long the handshakes took, Elapsed how long the transfer, from open
	// connections to its last event.
	SetUp, Elapsed time.Duration
	// Events is how many events the simulation had: what it cost to compute.
	Events uint64
}

// Goodput returns the payload delivered per second, in bit/s: from the sender's first
// write to the receiver's last byte. 0 when nothing arrived.
func (r Report) Goodput() float64 {
	d := r.Receiver.LastNS - r.Sender.StartNS
	if r.Receiver.Bytes == 0 || d <= 0 {
		return 0
	}
	return float64(r.Receiver.Bytes) * 8e9 / float64(d)
}

// Err returns why the transfer is not what was asked for, or nil.
func (r Report) Err() error {
	switch {
	case !r.Receiver.Intact:
		return errors.New("not intact: the receiver says: " + r.Receiver.Reason)
	case !r.Sender.Intact:
		return errors.New("not intact: the sender says: " + r.Sender.Reason)
	}
	return nil
}
