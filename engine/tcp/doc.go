// Package tcp has the engines "tcp" and "tcp-tls": byte streams over kernel TCP, one
// connection per stream, all on one path.
//
// Package mptcp builds its engines from the same parts: a Kind says what its
// sockets are, the rest is here.
//
// # On the wire
//
// A session has a control connection and one connection per stream. Each begins
// with a preamble of 24 bytes: a magic, what the connection is, and the session's
// random token. The listener answers the control connection's with one byte, so a
// dialler knows that it has found an engine of its own kind; the end of the control
// connection is the end of the session for the other side. The first stream's
// connection is made by Dial, so that opening the stream costs nothing; it becomes a
// stream with one more byte.
//
// Strangers have preambleTimeout to send a preamble and are then cut off; no more
// than maxPending of them are listened to at a time. Without TLS anybody who can
// see the token can join a session: the engine is for a lab.
//
// Files: engine.go the engines and Kind, dial.go and listener.go the two sides,
// session.go and stream.go what they make, preamble.go the bytes above, options.go
// socket options, stats.go what the kernel counts.
//
// # Limits
//
// Send and receive buffers are left to the kernel's own tuning, whose limits
// (net.ipv4.tcp_wmem, tcp_rmem) are the namespace's. A dialler's local port cannot
// be fixed: a session is more than one connection.
package tcp
