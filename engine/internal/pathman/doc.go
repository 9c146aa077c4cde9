// Package pathman decides which paths a multipath connection has: which pairs of
// addresses to open, which to give up because an address or a link went, and when to
// try again. What leaves on which path is the scheduler's business; that a path died on
// its way is found by the protocol, which probes it by itself.
//
//	kernel ── Watcher ── addresses ──┐
//	                                 ├── Manager ── Conn: open, close, prefer
//	connection ── events of paths ───┘
//
// Files: manager.go has the Manager, pure; discover.go its slots in discovery; run.go
// the loop that feeds it; address.go what it knows of addresses; watch.go,
// watch_linux.go and watch_other.go where that comes from.
//
// # Invariants
//
// The Manager works from states, not from changes: it is told all addresses, and asks
// the connection for all its paths, so that a missed event does no harm.
//
// The last path is never closed because its link went: it may come back, and to close
// it would end the connection. Once another path carries data, it is closed.
//
// What an application abandons is not opened again.
//
// # Limitations
//
// A server cannot open paths: one whose own link comes back waits for the client's next
// attempt.
package pathman
