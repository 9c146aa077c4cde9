// Package iperf3 is the engine "iperf3": the program of that name, TCP on one path, as
// a yardstick that everybody knows.
//
// iperf3 makes its own traffic, so that its sessions are engine.Generators and carry no
// streams. Its own account is taken for what was moved; nobody looks at the bytes. Its
// processes are the agent's children: each side starts its own for each transfer, in
// the agent's namespace and as its user, and ends it by its process handle.
//
// Files: engine.go is the engine and its listener, session.go the session, program.go
// runs the program, output.go reads what it prints.
//
// # Limitations
//
// iperf3 counts time in whole seconds and streams up to 128, rounds bytes up to its
// block size, and takes one test at a time: one connection a trial. A server that
// receives stops counting when the sender says that it is done, whatever is under way. Between reading its
// clock and ours lies the end of its process, some milliseconds. It says nothing while
// it runs.
package iperf3
