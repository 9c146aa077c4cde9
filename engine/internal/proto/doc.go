// Package proto is the sans-IO core of QUIC version 1: one Conn is one side of one
// connection, an Endpoint finds the Conn that a datagram is for.
//
// It does no I/O, takes no lock, starts no goroutine and reads no clock. Its owner
// hands in datagrams and the time and polls for what is to be done; see
// docs/TQUIC.md for the pattern. One owner at a time; with one source of randomness
// and one sequence of calls a connection does the same thing bit for bit.
//
// Files, by subject:
//
//   - what the owner sees: api.go, config.go, conn.go, endpoint.go,
//     endpoint_accept.go, addresstoken.go, events.go, trace.go, trace_multipath.go,
//     conn_stats.go;
//   - a datagram comes in: conn_recv.go takes it apart and opens its packets,
//     conn_frames.go its frames, conn_ack.go settles what was sent, conn_crypto.go
//     and cryptostream.go talk to TLS, keys.go holds the keys;
//   - a train goes out: conn_send.go chooses, conn_packet.go seals, builder.go
//     collects a packet's frames and notes what it carried;
//   - time passes: conn_timer.go, idle.go; the end: conn_close.go;
//   - a path: path.go, conn_path.go, challenge.go, amplification.go, pmtu.go,
//     localids.go, remoteids.go, acks.go and ackpolicy.go; several of them: paths.go
//     has the set, multipath.go the owner's calls, conn_multipath.go the extension's
//     frames, missingids.go what comes of a path without connection IDs, abandon.go a
//     path's end, lastpath.go what follows when that was the last, vitals.go whether it
//     is alive, lateness.go how late it may be, schedule.go which one a train leaves on,
//     reinject.go what leaves on a second one, too; what the sides ask of each other's
//     ACKs in ackfrequency.go and ackask.go;
//   - data: stream.go, its halves stream_send.go and stream_recv.go, sendbuffer.go,
//     reassembler.go, page.go, flow.go; all streams of a connection in streams.go,
//     streams_in.go, streams_out.go, streams_fate.go, streamqueue.go; datagrams.go;
//     rangeset.go.
//
// # Invariants
//
// All state of a path is in its path struct, packet numbers and recovery included. Path
// 0 is the handshake's; there are others where both sides have multipath
// (docs/MULTIPATH.md).
//
// A packet in flight has its frames in its space's refLog, from Sent.First on; each
// is told acked or lost once, except that a probe may send what is not lost, and that
// what a silent path owes is sent on another one: copyState says which of the two stands
// for the data when it is lost.
//
// A Conn must not be copied: its streams point into it.
//
// # Limitations
//
// Version 1 only; no preferred address; the spin bit is 0. 0-RTT packets that come
// before the Initial are dropped, and sent again as lost. A server sends its answer
// to a client's address change only once the handshake is confirmed.
package proto
