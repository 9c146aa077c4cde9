package netem

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

// ErrNotSupported is what this kernel lacks for the backend; the error around it
// says which module and option would help.
var ErrNotSupported = errors.New("not supported by this kernel")

// loopback is the index of lo in each network namespace.
const loopback = 1

// Kernel is what differs between kernels on which the backend works.
type Kernel struct {
	Seeded bool // the same seed gives the same random numbers (since Linux 6.6)
}

// Probe asks the kernel whether the backend works here, by using it on lo of a
// namespace that is gone when Probe returns. It answers in three ways: a Kernel; an
// error that is ErrNotSupported; or another error if it could not tell, as without
// the right to make a namespace.
//
// As any use of netem would, it makes the kernel load modules that it has.
func Probe() (Kernel, error) {
	ns, err := scratchNamespace()
	if err != nil {
		return Kernel{}, fmt.Errorf("probe netem (root?): %w", err)
	}
	defer ns.Close()
	port := Port{NS: int(ns.Fd()), Index: loopback, MTU: 1500}
	if err := Apply(port, emulation.Impairments{}, 1); err != nil {
		return Kernel{}, fmt.Errorf("probe netem: %w", err)
	}
	state, err := Read(port)
	if err != nil {
		return Kernel{}, fmt.Errorf("probe netem: %w", err)
	}
	if err := makeBridge(port.NS); err != nil {
		return Kernel{}, fmt.Errorf("probe netem: %w", err)
	}
	return Kernel{Seeded: state.Seeded}, nil
}

// lacking returns err, as ErrNotSupported if it is the kernel's way of saying
// that it has no module of that name.
func lacking(err error, module, option string) error {
	// ENOENT: no qdisc of that kind (sch_api.c, qdisc_create). EOPNOTSUPP: no
	// such kind of link (rtnetlink.c), or no traffic control at all.
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: it has no %s (modprobe %s, or a kernel with %s): %w", ErrNotSupported, module, module, option, err)
	}
	return err
}
