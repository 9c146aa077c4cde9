package netem

import (
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/emulation"
)

// handle is the major number of our qdiscs ("tq"). The kernel changes a qdisc
// that has the handle in place, keeping what is in flight, and replaces one that
// has another.
const handle = 0x7471 << 16

// Port is one of the two interfaces of a wire, in the wire's namespace.
type Port struct {
	NS    int // open file descriptor of the namespace; borrowed for the call
	Index int // of the interface
	MTU   int // of the link, bytes of IP packet: what a queue is converted with
}

// State is what the kernel says about a port's qdisc.
type State struct {
	// Impairments are those in force, as far as the kernel tells. Queue is in packets,
	// and absent if it is endless, or where there is jitter or no rate. Distribution is
	// never told. Independent loss is part of GilbertElliott, a black hole a Loss of 1.
	Impairments emulation.Impairments
	Limit       uint32 // netem's own: delay line and queue together, packets
	Seeded      bool   // whether the kernel takes a seed
	Seed        uint64 // in force, if it does
	Counters    Counters
}

// Counters is what a qdisc has counted since it was made. A change does not
// reset them.
type Counters struct {
	SentPackets    uint64 // copies included
	SentBytes      uint64 // with Ethernet headers
	Drops          uint32 // random losses, of copies, too, and packets that found the queue full; wraps
	Overlimits     uint32
	BacklogPackets uint32 // in the delay line and the queue
	BacklogBytes   uint32
}

// Apply makes the packets that leave through the port suffer imp, and nothing
// else from before: randomness starts at seed, loss chains in their good state, slots
// with one that is open. It reads back what it set. Packets in flight stay in flight,
// with the departure times that they have; a root qdisc that is not ours goes, and
// what it holds is lost.
//
// The seed is for this port alone: two ports with one seed lose in step. Kernels
// before Linux 6.6 ignore it; Read says so.
func Apply(port Port, imp emulation.Impairments, seed uint64) error {
	err := set(port, imp, func(before *qdisc) (uint64, bool, error) {
		return seed, false, nil
	})
	if err != nil {
		return fmt.Errorf("set netem on interface %d: %w", port.Index, err)
	}
	return nil
}

// Change makes imp take the place of what Apply set, in one step under the qdisc's
// lock: each packet meets either the old or the new, and none is lost. What is not
// asked to change goes on: packets in flight, counters, slots, and randomness, with a
// seed that follows from the one in force, lest each change repeats the same losses.
// Only a loss chain starts anew. It reads back what it set.
func Change(port Port, imp emulation.Impairments) error {
	err := set(port, imp, func(before *qdisc) (uint64, bool, error) {
		if !before.ours() {
			return 0, false, errors.New("no netem of ours is there to be changed: Apply comes first")
		}
		return nextSeed(before.netem.seed), true, nil
	})
	if err != nil {
		return fmt.Errorf("change netem on interface %d: %w", port.Index, err)
	}
	return nil
}

// set sets imp. What was there before tells start the seed, and whether slots go on.
func set(port Port, imp emulation.Impairments, start func(before *qdisc) (seed uint64, goOn bool, err error)) error {
	if err := Check(imp, port.MTU); err != nil {
		return err
	}
	conn, err := open(port)
	if err != nil {
		return err
	}
	defer conn.Close()
	before, err := conn.root(port.Index)
	if err != nil {
		return err
	}
	seed, goOn, err := start(&before)
	if err != nil {
		return err
	}
	want, err := translate(imp, port.MTU, seed)
	if err != nil {
		return err
	}
	want.keepSlot = goOn && before.netem.slot == want.slot
	if before.handle != 0 && !before.ours() {
		// The kernel refuses to put a netem in the place of one that duplicates
		// (sch_netem.c, check_netem_in_tree, in stable kernels since 2025).
		if err := conn.remove(before); err != nil {
			return fmt.Errorf("take the %s away that was there: %w", before.kind, err)
		}
	}
	if err := conn.replace(port.Index, &want); err != nil {
		return lacking(err, "sch_netem", "CONFIG_NET_SCH_NETEM")
	}
	after, err := conn.netem(port.Index)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	return stands(after.netem, want)
}

// ours reports whether q is a netem that this package has set.
func (q *qdisc) ours() bool { return q.handle == handle && q.kind == "netem" }

// nextSeed returns the seed that follows a seed (SplitMix64: Steele, Lea and Flood,
// 2014).
func nextSeed(seed uint64) uint64 {
	seed += 0x9e3779b97f4a7c15
	seed = (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
	seed = (seed ^ seed>>27) * 0x94d049bb133111eb
	return seed ^ seed>>31
}

// Read returns what is set on the port and what it has counted.
func Read(port Port) (State, error) {
	state, err := read(port)
	if err != nil {
		return State{}, fmt.Errorf("read netem on interface %d: %w", port.Index, err)
	}
	return state, nil
}

func read(port Port) (State, error) {
	conn, err := open(port)
	if err != nil {
		return State{}, err
	}
	defer conn.Close()
	q, err := conn.netem(port.Index)
	if err != nil {
		return State{}, err
	}
	imp, err := impairments(&q.netem, port.MTU)
	return State{
		Impairments: imp, Limit: q.netem.limit,
		Seeded: q.netem.seeded, Seed: q.netem.seed,
		Counters: q.counters,
	}, err
}

// stands returns what in the kernel differs from what was set. A seed that is not
// told is not a difference: the kernel is too old for it. Tables are never told.
func stands(got, want options) error {
	if !got.nanoseconds {
		return errTicks
	}
	if !got.seeded {
		got.seed = want.seed
	}
	var errs []error
	differ := func(what string, got, want any) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s is %v, not %v", what, got, want))
		}
	}
	differ("delay in ns", got.latency, want.latency)
	differ("jitter in ns", got.jitter, want.jitter)
	differ("rate in bytes/s", got.rate, want.rate)
	differ("limit", got.limit, want.limit)
	differ("loss of 2^32", got.loss, want.loss)
	differ("loss model", got.model, want.model)
	differ("duplicate of 2^32", got.duplicate, want.duplicate)
	differ("corrupt of 2^32", got.corrupt, want.corrupt)
	differ("gap", got.gap, want.gap)
	if want.gap > 0 {
		differ("reorder of 2^32", got.reorder, want.reorder)
	}
	differ("correlation", got.correlations, want.correlations)
	differ("CE marking", got.ecn, want.ecn)
	differ("slot", got.slot, want.slot)
	differ("seed", got.seed, want.seed)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the kernel did not take all: %w", err)
	}
	return nil
}
