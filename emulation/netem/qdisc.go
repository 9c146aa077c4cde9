package netem

import (
	"errors"
	"fmt"

	"github.com/florianl/go-tc"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

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
	Impairments emulation.Impairments // in force; the queue in packets, absent if endless or none
	Limit       uint32                // netem's own: delay line and queue together, packets
	Seeded      bool                  // whether the kernel takes a seed
	Seed        uint64                // in force, if it does
	Counters    Counters
}

// Counters is what a qdisc has counted since it was made. A change does not
// reset them.
type Counters struct {
	SentPackets    uint32 // wraps
	SentBytes      uint64 // with Ethernet headers
	Drops          uint32 // random losses and packets that found the queue full; wraps
	Overlimits     uint32
	BacklogPackets uint32 // in the delay line and the queue
	BacklogBytes   uint32
}

// Apply makes the packets that leave through the port suffer imp, and nothing
// else from before. It reads back what it set. Packets in flight stay in flight.
//
// The seed is for this port alone: two ports with one seed lose in step. Kernels
// before Linux 6.6 ignore it; Read says so.
func Apply(port Port, imp emulation.Impairments, seed uint64) error {
	if err := apply(port, imp, seed); err != nil {
		return fmt.Errorf("set netem on interface %d: %w", port.Index, err)
	}
	return nil
}

func apply(port Port, imp emulation.Impairments, seed uint64) error {
	if err := Check(imp, port.MTU); err != nil {
		return err
	}
	want, err := attributes(imp, port.MTU, seed)
	if err != nil {
		return err
	}
	conn, err := open(port)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := clearRoot(conn, port.Index); err != nil {
		return err
	}
	err = conn.Qdisc().Replace(&tc.Object{
		Msg: tc.Msg{
			Family: unix.AF_UNSPEC, Ifindex: uint32(port.Index),
			Handle: handle, Parent: tc.HandleRoot,
		},
		Attribute: tc.Attribute{Kind: "netem", Netem: &want},
	})
	if err != nil {
		return lacking(err, "sch_netem", "CONFIG_NET_SCH_NETEM")
	}
	object, err := netemOf(conn, port.Index)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	return stands(*object.Netem, want)
}

// clearRoot takes away the root qdisc of an interface if it is not one of ours. The
// kernel refuses to put a netem in the place of one that duplicates
// (sch_netem.c, check_netem_in_tree, in stable kernels since 2025).
func clearRoot(conn *tc.Tc, index int) error {
	object, err := root(conn, index)
	if err != nil || object.Handle == 0 || object.Handle == handle {
		return err // none, the interface's default, or ours
	}
	if err := conn.Qdisc().Delete(&object); err != nil {
		return fmt.Errorf("take the %s away that was there: %w", object.Kind, err)
	}
	return nil
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
	object, err := netemOf(conn, port.Index)
	if err != nil {
		return State{}, err
	}
	imp, err := impairments(*object.Netem, port.MTU)
	if err != nil {
		return State{}, err
	}
	state := State{Impairments: imp, Limit: object.Netem.Qopt.Limit}
	if object.Netem.PrngSeed != nil {
		state.Seeded, state.Seed = true, *object.Netem.PrngSeed
	}
	// Not Stats2: go-tc 0.4.8 reads that nest of attributes as one flat struct.
	if s := object.Stats; s != nil {
		state.Counters = Counters{
			SentPackets: s.Packets, SentBytes: s.Bytes,
			Drops: s.Drops, Overlimits: s.Overlimits,
			BacklogPackets: s.Qlen, BacklogBytes: s.Backlog,
		}
	}
	return state, nil
}

// open returns a netlink socket for traffic control in the port's namespace.
func open(port Port) (*tc.Tc, error) {
	if port.NS <= 0 {
		// go-tc takes 0 for the namespace of whoever calls.
		return nil, fmt.Errorf("%d is no file descriptor of a wire's namespace", port.NS)
	}
	if port.Index <= 0 {
		return nil, fmt.Errorf("%d is no index of an interface", port.Index)
	}
	conn, err := tc.Open(&tc.Config{NetNS: port.NS})
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := conn.SetOption(netlink.ExtendedAcknowledge, true); err != nil {
		return nil, errors.Join(fmt.Errorf("ask netlink for its reasons: %w", err), conn.Close())
	}
	return conn, nil
}

// root returns the qdisc at the root of an interface, the zero Object if there
// is none.
func root(conn *tc.Tc, index int) (tc.Object, error) {
	all, err := conn.Qdisc().Get()
	if err != nil {
		return tc.Object{}, fmt.Errorf("list qdiscs: %w", err)
	}
	for _, object := range all {
		if int(object.Ifindex) == index && object.Parent == tc.HandleRoot {
			return object, nil
		}
	}
	return tc.Object{}, nil
}

// netemOf returns the netem at the root of an interface.
func netemOf(conn *tc.Tc, index int) (tc.Object, error) {
	object, err := root(conn, index)
	switch {
	case err != nil:
		return tc.Object{}, err
	case object.Kind == "":
		return tc.Object{}, errors.New("it has no qdisc")
	case object.Netem == nil:
		return tc.Object{}, fmt.Errorf("its qdisc is %s, not netem", object.Kind)
	}
	return object, nil
}

// stands returns what in the kernel differs from what was set. Delay and jitter
// are told in nanoseconds (since Linux 4.16), so no tick rounds them. A seed that
// is not told is not a difference: the kernel is too old for it.
func stands(got, want tc.Netem) error {
	var errs []error
	differ := func(what string, got, want any) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s is %v, not %v", what, got, want))
		}
	}
	if got.Latency64 == nil || got.Jitter64 == nil {
		return errors.New("the kernel tells no delay in nanoseconds: it is older than Linux 4.16")
	}
	differ("delay in ns", *got.Latency64, *want.Latency64)
	differ("jitter in ns", *got.Jitter64, *want.Jitter64)
	differ("rate in bytes/s", byteRate(got), byteRate(want))
	differ("limit", got.Qopt.Limit, want.Qopt.Limit)
	differ("loss of 2^32", got.Qopt.Loss, want.Qopt.Loss)
	differ("duplicate", got.Qopt.Duplicate, uint32(0))
	differ("gap", got.Qopt.Gap, uint32(0))
	for what, set := range map[string]bool{
		"a correlation": got.Corr != nil && *got.Corr != tc.NetemCorr{},
		"reordering":    got.Reorder != nil && *got.Reorder != tc.NetemReorder{},
		"corruption":    got.Corrupt != nil && *got.Corrupt != tc.NetemCorrupt{},
		"CE marking":    got.Ecn != nil && *got.Ecn != 0,
		"a slot":        got.Slot != nil,
		"a delay table": got.DelayDist != nil,
	} {
		if set {
			errs = append(errs, fmt.Errorf("%s is left from before", what))
		}
	}
	if got.PrngSeed != nil {
		differ("seed", *got.PrngSeed, *want.PrngSeed)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the kernel did not take all: %w", err)
	}
	return nil
}
