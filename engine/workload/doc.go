// Package workload is the traffic of a trial over an engine's sessions, with every byte
// checked by the receiver: bulk transfers (Bulk, Serve), requests and frames that are due
// by the clock (Paced, ServePaced), and set-ups of sessions (Handshake). What follows is of Bulk; the others say theirs at their types.
//
// It knows the engine contract and nothing of the transports behind it. The
// dialler's side calls Bulk.Request, the listener's side Serve; either may be the
// sender. What each stream carries follows from the seed, the stream's number and
// the offset, so the two sides share nothing but the request.
//
// On each stream:
//
//	request   dialler to listener, 56 bytes
//	data      sender to receiver, in segments, the last one empty
//	verdict   receiver to sender, 24 bytes, after the last byte was read and checked
//	end       the sender's half-close
//
// So a sender that returns without an error knows what the receiver got. The
// listener always has the last word (its verdict, or its end) and waits until the
// dialler has ended the stream upon it, so either side may close its sessions as soon
// as its call has returned.
//
// The protocol itself is in Flow, which does no I/O: Request and Serve drive one in a
// goroutine per stream, a simulation drives them event by event.
//
// Files: bulk.go has the two calls and the set of streams, transfer.go drives a flow
// over a stream, exchange.go is the books of one side, flow.go the life of one
// stream, request.go the request and the verdict on the wire, segment.go how data is
// delimited, pattern.go what the bytes are, report.go what comes out, gaps.go when
// nothing came, clock.go when it happened. Of a paced exchange paced.go has the plan
// and what comes out, pacedrun.go drives the flows, pacedbooks.go is the books,
// pacedflow.go the life of one stream, message.go the wire, latency.go the histogram.
// Of handshakes handshake.go has the plan, what comes out and the wire, and dials,
// answering.go answers; handshakedial.go and handshakeanswer.go are the books and the
// flows of both sides.
//
// # Invariants
//
// A byte is counted once it was read and handed to the check; the order is the
// stream's. The end of the context ends everything, and the report so far is still
// returned.
//
// # Limits
//
// The request and the verdict are not authenticated beyond what the engine does.
// A corrupt byte is reported, not repaired; what follows it is counted unchecked.
package workload
