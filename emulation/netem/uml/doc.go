// Package uml runs a package's tests inside User-Mode Linux: a whole Linux
// kernel as an ordinary process, with the qdiscs and devices that the machine's
// own kernel may lack.
//
// It serves tests only. No command and no other package of the lab imports it,
// and it needs Debian's package user-mode-linux (a 6.1 kernel with netem, fq,
// htb, tbf, bridge and veth as modules under /usr/lib/uml/modules). Where that
// is missing, Run fails the test and says what to install: a test that needs a
// kernel is never skipped.
//
// # Use
//
// One test function stands on both sides. Outside it boots a kernel, which runs
// the same function again; inside it does the work:
//
//	func TestInUserModeLinux(t *testing.T) {
//		if uml.Inside() {
//			t.Run("up", testUp)
//			t.Run("down", testDown)
//			return
//		}
//		uml.Run(t, uml.Config{
//			Test:    "^TestInUserModeLinux$",
//			Modules: []string{"veth", "bridge", "sch_netem"},
//		})
//	}
//
// Run compiles the calling package's tests a second time, static and without
// the race detector (whose shadow memory does not fit the 39-bit address space
// of a process in there), boots the kernel on the host's own file tree, streams
// what the tests say to the log, and fails when one of them fails or is skipped,
// when none ran, when the kernel panics, or when the time is up.
//
// # What the inside looks like
//
//   - The file tree is the host's, read-only, at the same paths; the package's
//     folder is the working directory and the module is visible even when it
//     lies below /tmp. Host programs (ip, ethtool, tc) run as they are.
//   - /run, /tmp and /dev/shm are empty, writable and gone afterwards. Nothing on
//     the host can be written to except Config.Share, at its own path.
//   - /proc, /sys, /dev (null, zero, urandom, pts ...) are mounted, lo is up, and
//     the modules of Config.Modules are loaded with what they depend on.
//   - The tests run as root, children of a small init that adopts orphans; the
//     machine stops when they end, with all that they left running. os.Executable
//     works, so a test may start its own binary as an agent.
//   - One CPU, 100 Hz with high-resolution timers, system calls several times
//     dearer than outside, no MPTCP, no netem seed (that needs Linux 6.6), no
//     network beyond the machine's own namespaces.
//
// A test of the lab itself (`up` with backend netem, agents, `down`) needs the
// modules above and nothing more; ipv6 comes with bridge.
//
// # Files
//
// run.go is the API; build.go compiles what runs inside; machine.go starts the
// kernel and ends it; memory.go finds room for its memory; modules.go reads
// modules.dep; report.go reads what the tests said. internal/boot is the order
// that the outside gives the inside, umlinit the first process in there.
//
// # Invariants
//
// Whatever happens inside, Run returns: Config.Timeout and the deadline of the
// test that called it bound the machine's life, and if the test process itself
// dies the kernel tells the machine to stop. No process, file or socket of the
// machine outlives it.
package uml
