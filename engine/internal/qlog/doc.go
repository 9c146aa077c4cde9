// Package qlog writes what a connection traces as a qlog file: JSON Text Sequences
// (RFC 7464) with the schemas of draft-ietf-quic-qlog-main-schema-14 and
// draft-ietf-quic-qlog-quic-events-13.
//
// A Trace is a proto.Tracer. It turns each event into one record, in a buffer of
// its own that is used again, and hands that to a buffered writer. It decides
// nothing about the connection and never disturbs it: the first error of writing
// is kept for Close, and nothing is written after it.
//
// Files: trace.go has the Trace and its header, record.go the JSON; packet.go the
// packet events, frames.go the frames in them, control.go those without data or
// ranges, multipath.go those that the draft does not know; paths.go the events that it
// does not know; connection.go how a
// connection begins, goes and ends, errorcode.go the words for errors,
// parameters.go the transport parameters, keys.go the keys, recovery.go what
// recovery knows, tuple.go the paths; file.go opens files.
//
// # Invariants
//
// A Trace has one owner at a time, the connection's. Each record is valid JSON
// whatever a packet holds. Names, types and enumerations are the drafts'; words of
// the caller that the draft does not list are left out, or replaced by the draft's
// own catch-all. Payload, tokens and keys are not written, only their lengths. A
// stateless reset token is written where the draft requires it, in a preferred
// address, and nowhere else.
//
// Trace does not allocate once its buffer has grown, but when a path or an error
// is new.
//
// # Paths
//
// An event's tuple is its path's ID in decimal; without one it is path 0, as the
// draft has it for the path of the handshake. tuple_assigned gives a path's
// addresses.
//
// # Beyond the draft
//
// Packets carry ecn (a word of the draft's ECN type) in the event's data when they
// are marked. parameters_set has min_ack_delay, in microseconds, and
// initial_max_path_id. The frames of draft-ietf-quic-multipath and
// draft-ietf-quic-ack-frequency are UnknownFrames: frame_type is "unknown",
// frame_type_bytes the type, raw.length their length. They also have frame_name (the
// frame's name as its draft writes it, in lower case) and their fields:
//
//	path_ack                    path_id and AckFrame's fields
//	path_abandon                path_id, error_code
//	path_status_backup          path_id, sequence_number
//	path_status_available       path_id, sequence_number
//	path_new_connection_id      path_id and NewConnectionIDFrame's fields
//	path_retire_connection_id   path_id, sequence_number
//	max_path_id                 maximum
//	paths_blocked               limit
//	path_cids_blocked           path_id, sequence_number
//	ack_frequency               sequence_number, ack_eliciting_threshold,
//	                            request_max_ack_delay (ms), reordering_threshold
//	immediate_ack
//
// A frame that cannot be parsed is an UnknownFrame without a name that takes the
// rest of the packet.
//
// Where both sides have multipath, each event of a path says which in path_id, in its
// data: packet_sent, packet_received, packet_lost, packet_dropped (0 when the packet
// does not tell), recovery_metrics_updated, congestion_state_updated, mtu_updated,
// ecn_state_updated, migration_state_updated. Without multipath there is none.
//
// # Events of our own
//
// The namespace tquiclab has what the draft has no event for. All of it is of
// connections with multipath.
//
//	tquiclab:path_state_updated
//	  path_id
//	  old, new     validating    opened; its address is not validated yet
//	               active        it may carry data
//	               suspect       it owes acknowledgements for longer than they take
//	               dead          probe timeouts brought nothing either
//	               closing       abandoned
//	               closed        what was known of it is forgotten
//	  error_code   of PATH_ABANDON, with closing
//
//	tquiclab:scheduling_updated: the scheduler decides otherwise than before
//	  scheduler    its name
//	  path_id      what it chose; absent when it waits
//	  wait         true: nothing leaves although there is room; absent otherwise
//	  room         what may leave now on the path, of all paths when it waits; bytes
//	  smoothed_rtt of the path, ms; absent when it is not known
//	  ready        what waits to be sent, bytes; 1200 stands for some, or less
//	  trains       of data that left since the event before
//
//	tquiclab:data_reinjected: data that is under way is queued to be sent again
//	  from_path_id
//	  to_path_id   absent: on whatever path the scheduler chooses
//	  length       bytes of streams
//	  frames       STREAM frames that had them
//	  trigger      path_silent, path_closed, or tail: it arrives earlier on to_path_id
//
// A path is opened with its tuple_assigned before path_state_updated; old is absent in
// its first event. To wait while no path has room is no decision, and what the redundant
// scheduler copies is no reinjection.
//
// # Limitations
//
// Retry tokens, the packets' number lengths and spin bits are not traced. The
// extensions above have no schema URI, since none is registered. Numbers beyond
// 2^53 are JSON numbers, which some readers round.
package qlog
