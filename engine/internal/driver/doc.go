// Package driver runs connections of proto in real time over udpio's sockets. All
// goroutines, locks, timers and system calls of tquic are here and in udpio; what
// the protocol does is proto's business.
//
//	socket ── reader goroutine ──┬─ Endpoint.mu: whose is each datagram
//	                             └─ Conn.mu: handle the batch, send what follows from it
//	application ── Conn.mu: read, write, open ...; wake the connection's goroutine
//	connection's goroutine ── Conn.mu: timers, and what the application asks to send
//
// Whoever holds Conn.mu owns the connection's proto.Conn. An owner ends with settle:
// events out, trains out, timer. A train is built under the lock and written to the
// socket without it; meanwhile others may call the connection, and only the one that
// sends goes on sending, so trains leave in order.
//
// Nothing is woken for a packet: the application for edges (events), the
// connection's goroutine when its deadline moves forwards or there is something to
// send that nobody is about to.
//
// Files: endpoint.go has the Endpoint: routes, accepting, dialling; sockets.go its
// sockets; reader.go what comes in; conn.go a connection's calls; paths.go those on its
// paths; loop.go its goroutine, sending and events; stream.go streams; wait.go signals
// and deadlines.
//
// # Invariants
//
// Lock order: Stream.readMu or writeMu, Conn.mu, Endpoint.mu. No lock is held during
// a system call that may wait, nor while the application is called.
//
// Each goroutine is in Endpoint.tasks: Wait waits for all. A reader ends with its
// socket, a connection's goroutine when its connection is drained or aborted.
//
// Time is monotonic, counted from the endpoint's creation.
//
// # Limitations
//
// A TLS handshake runs in the reader's goroutine: signing a certificate holds up the
// socket's other connections for as long as it takes. A reader writes some trains
// itself, so a full socket buffer holds it up, too.
package driver
