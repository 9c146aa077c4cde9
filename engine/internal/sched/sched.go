package sched

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Scheduler chooses the path of each train. It has one owner, does no I/O and reads no
// clock. What it returns depends on what it was told alone.
type Scheduler interface {
	// Pick returns the index in paths of the path that the next train leaves on; Wait
	// when it is better to wait for a path that has no room now than to use one that
	// has. Only paths with View.Room above 0 may be returned. paths are in the order of
	// their IDs, without those that cannot carry data.
	Pick(now clock.Time, paths []View, need Need) int
	// OnSent says that a train with n bytes of data left on a path.
	OnSent(path wire.PathID, n wire.ByteCount)
}

// Wait is Pick's answer when nothing should leave yet. The scheduler is asked again at
// the next acknowledgment, or when a pacer lets more leave.
const Wait = -1

// View is what a Scheduler sees of a path.
type View struct {
	ID wire.PathID
	// Room is what may leave now by window and pacer, bytes. 0: nothing.
	Room wire.ByteCount
	// Next is when the pacer lets more leave while Room is 0; clock.Never: not before an
	// acknowledgment.
	Next clock.Time

	Window, InFlight     wire.ByteCount // congestion control's
	SRTT, MinRTT, RTTVar time.Duration  // 0: not measured yet
	Datagram             wire.ByteCount // largest UDP payload
	// Rate is the delivery rate that the path has shown of late, byte/s; 0: not known.
	Rate int64
	// SlowStart: the window still grows to find the path's rate.
	SlowStart bool
	// Backup: either side asks for the path to be used only when no other can be.
	Backup bool
	// Suspect: the path owes an acknowledgment for longer than it should take.
	Suspect bool
	// Weight is the configured share of the path, any positive number; 0: none given.
	Weight float64
}

// Need is what is to be sent.
type Need struct {
	// Ready is how many bytes of data wait to be sent, of what flow control allows.
	Ready wire.ByteCount
	// Credit is how much new data the peer's flow control of the connection allows
	// beyond what was ever sent.
	Credit wire.ByteCount
	// Ending: the application has written all there is of every stream that has data, and
	// flow control allows it; Ready is what is left of it.
	Ending bool
}

// Traits is what a scheduler asks of the connection beside the choice of paths.
type Traits struct {
	// Redundant: what leaves on one path is to leave on every other one, too.
	Redundant bool
}
