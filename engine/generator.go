package engine

import (
	"context"
	"time"
)

// Generator is a session of a transport that is a program of its own and makes its
// own traffic: no stream can be opened on it, and it says itself what a transfer came
// to. The dialler's side says what to do, the listener's serves it; both call Generate
// once.
type Generator interface {
	Session
	// Generate runs this side of a transfer. It returns when the transfer is over or ctx
	// ends.
	Generate(ctx context.Context, t Transfer) (Generated, error)
}

// Transfer is what a Generator is asked for. On the listener's side only Sends counts.
type Transfer struct {
	Sends    bool          // this side sends
	Bytes    int64         // payload over all streams; 0: by time
	Duration time.Duration // of the sending; 0: by size
	Streams  int
}

// Generated is what a transfer came to on one side, by the program's own account.
type Generated struct {
	Bytes int64 // payload: sent by a sender, received by a receiver
	// StartNS and LastNS are CLOCK_MONOTONIC, ns: the beginning and the last byte.
	StartNS, LastNS int64
	// CPU is user and system time of the program, PeakRSS its largest resident set in
	// bytes.
	CPU     time.Duration
	PeakRSS int64
}
