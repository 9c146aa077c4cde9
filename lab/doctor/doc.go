// Package doctor asks this machine what labs and engines can use on it, by using
// it: each Check has a probe, and each probe answers in one of three ways.
//
//	yes            it works here
//	no             this machine does not have it; the check says what brings it
//	could not tell the probe failed for another reason, as without root
//
// Probes of the kernel run in network namespaces of their own, without a name, that
// end with the probe. Like any use, they make the kernel load modules that it has;
// nothing else of the machine changes.
//
// Files: check.go has checks, findings and the run over them; checks.go lists them.
// The probes: scratch.go runs one in a namespace, links.go is interfaces and
// qdiscs, sockets.go is socket options, system.go is privileges and settings,
// tools.go is programs and disks. table.go prints a report.
//
// # Limitations
//
// A probe says that the kernel takes a request, not that it is fast or right:
// calibration does that for links, tests for the rest.
package doctor
