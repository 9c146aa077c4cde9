// Package wire is the bytes of QUIC version 1: variable-length integers, packet
// headers, frames and transport parameters (RFC 9000, 8999, 9221, 9287), with the
// frames of draft-ietf-quic-ack-frequency and draft-ietf-quic-multipath. It is not
// packet protection (package handshake), nor does it know what a connection allows:
// which frame a packet type may carry, limits and states are package proto's.
//
// # Files
//
//	ids.go            packet numbers, path, stream and connection IDs, versions
//	errors.go         transport error codes, TransportError
//	varint.go         variable-length integers
//	packetnumber.go   truncated packet numbers
//	range.go          a range of packet numbers
//	packettype.go     packet types
//	header.go         long and short headers of version 1
//	invariant.go      what all versions share; Version Negotiation
//	frametype.go      frame types
//	frame.go          a frame of any type
//	bare.go           PADDING, PING, HANDSHAKE_DONE
//	ack.go            ACK, PATH_ACK
//	stream.go         STREAM, RESET_STREAM, STOP_SENDING
//	crypto.go         CRYPTO, NEW_TOKEN
//	flow.go           MAX_DATA, MAX_STREAMS, DATA_BLOCKED and their like
//	connid.go         NEW_CONNECTION_ID, RETIRE_CONNECTION_ID, and those for a path
//	path.go           PATH_CHALLENGE, PATH_RESPONSE
//	close.go          CONNECTION_CLOSE
//	datagram.go       DATAGRAM
//	ackfrequency.go   ACK_FREQUENCY, IMMEDIATE_ACK, with the draft's code points
//	multipath.go      PATH_ABANDON and its like, with the draft's code points
//	params.go         transport parameters; paramsappend.go, paramsparse.go
//	cursor.go         how fields are read
//
// # Invariants
//
// A frame is a value. Append appends it, type included, in its shortest form (but the
// ranges of a parsed ACK frame as they came), and Len says in how many bytes. ParseX takes the type, which ParseFrameType has read, and the
// bytes after it, and returns how many of those the frame took. With an error, which is
// a *TransportError, the rest of what it returns means nothing.
//
// Byte slices in parsed frames and headers are those of the input, which the caller
// must not change while they are in use. Nothing but ParseFrame,
// ParseTransportParameters, ParseVersions and errors allocates.
//
// No input makes a parser panic. Appending a number that its field cannot hold does:
// it is a defect of ours.
//
// # Limitations
//
// Version 1 is the only one. The fixed bit must be set in long headers (ParseLong), so
// an endpoint must not send the grease_quic_bit parameter.
package wire
