// Package engine is the contract that every transport under test fulfils.
//
// An Engine listens and dials; a Session carries byte streams over one or more
// Paths. Adapters live in the subpackages (tcp, mptcp, quicgo, iperf3) and stay thin:
// what an engine can do is data (Capabilities), what it did is neutral
// statistics (Stats). Some do more: a Generator makes its own traffic, a Lingerer has
// something left when its sessions are closed. A Registry is a value that the command builds; nothing
// here registers itself.
//
// The package imports no other tree and enters no network namespace: a process
// that runs an engine has been put into its namespace by the lab.
package engine
