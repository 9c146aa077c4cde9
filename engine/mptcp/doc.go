// Package mptcp has the engines "mptcp" and "mptcp-tls": kernel MPTCP (RFC 8684)
// through Go's net package, one MPTCP connection per stream.
//
// Sessions, streams and preamble are package tcp's; the sockets are MPTCP, and a
// connection that fell back to plain TCP is refused. The dialler connects on the
// first path. The other subflows are the kernel's doing: its path manager makes them
// from the endpoints and limits of the two namespaces, which whoever set those up
// must have given (ip mptcp endpoint add ... signal at the listener, ip mptcp limits
// set add_addr_accepted ... at the dialler). A dialler waits for them, subflowWait at
// most, before a stream carries data.
//
// Files: engine.go the engines and the probe, subflows.go the wait for subflows and
// the statistics, sockopt.go what the kernel tells about subflows.
//
// # Limits
//
// MPTCP's own re-injection is not visible from outside. A subflow that the kernel
// closed takes its counters with it: those that were read last stand for it. Figures
// need Linux 5.16; before it the paths have none.
package mptcp
