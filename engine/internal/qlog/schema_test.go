package qlog

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// This file is the drafts' CDDL as far as this package writes it, and what doc.go
// adds to it. An unknown field, type or word is a fault.

// check returns what is wrong with a JSON value, or "".
type check func(v any) string

func isText(v any) string {
	if _, ok := v.(string); !ok {
		return fmt.Sprintf("%v is no text", v)
	}
	return ""
}

func isBool(v any) string {
	if _, ok := v.(bool); !ok {
		return fmt.Sprintf("%v is no bool", v)
	}
	return ""
}

func isFloat(v any) string {
	n, ok := v.(json.Number)
	if !ok {
		return fmt.Sprintf("%v is no number", v)
	}
	if _, err := n.Float64(); err != nil {
		return err.Error()
	}
	return ""
}

// isUint wants an integer that is not more than limit.
func isUint(limit uint64) check {
	return func(v any) string {
		n, ok := v.(json.Number)
		if !ok {
			return fmt.Sprintf("%v is no number", v)
		}
		var u uint64
		if err := json.Unmarshal([]byte(n), &u); err != nil || u > limit {
			return fmt.Sprintf("%v is no integer from 0 to %d", v, limit)
		}
		return ""
	}
}

func matches(pattern string) check {
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	return func(v any) string {
		s, ok := v.(string)
		if !ok || !re.MatchString(s) {
			return fmt.Sprintf("%v does not match %s", v, pattern)
		}
		return ""
	}
}

func oneOf(words string) check { return matches(strings.ReplaceAll(regexp.QuoteMeta(words), " ", "|")) }

func either(a, b check) check {
	return func(v any) string {
		if why := a(v); why != "" {
			if other := b(v); other != "" {
				return why + ", and " + other
			}
		}
		return ""
	}
}

// list wants an array of at least least elements.
func list(least int, element check) check {
	return func(v any) string {
		a, ok := v.([]any)
		if !ok || len(a) < least {
			return fmt.Sprintf("%v is no array of %d or more", v, least)
		}
		for i, e := range a {
			if why := element(e); why != "" {
				return fmt.Sprintf("[%d]: %s", i, why)
			}
		}
		return ""
	}
}

// fields are an object's members; those with a question mark may be absent.
type fields map[string]check

func (f fields) with(more fields) fields {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

func object(f fields) check {
	return func(v any) string {
		o, ok := v.(map[string]any)
		if !ok {
			return fmt.Sprintf("%v is no object", v)
		}
		for _, k := range slices.Sorted(maps.Keys(o)) {
			c, ok := f[k]
			if !ok {
				c, ok = f["?"+k]
			}
			if !ok {
				return "unknown field " + k
			}
			if why := c(o[k]); why != "" {
				return k + ": " + why
			}
		}
		for k := range f {
			if _, ok := o[k]; !ok && k[0] != '?' {
				return "no field " + k
			}
		}
		return ""
	}
}

var (
	hexstring = matches("([0-9a-f]{2})*")
	uint8s    = isUint(math.MaxUint8)
	uint16s   = isUint(math.MaxUint16)
	uint32s   = isUint(math.MaxUint32)
	uint64s   = isUint(math.MaxUint64)

	version   = hexstring
	connID    = hexstring
	initiator = oneOf("local remote")
	tupleID   = matches("[0-9]*")
	anything  = func(any) string { return "" }

	// The token has 16 bytes.
	resetToken = matches("[0-9a-f]{32}")

	rawInfo  = object(fields{"?length": uint64s, "?payload_length": uint64s, "?data": hexstring})
	token    = object(fields{"?type": oneOf("retry resumption"), "?details": anything, "?raw": rawInfo})
	endpoint = object(fields{
		"?ip_v4": isText, "?port_v4": uint16s, "?ip_v6": isText, "?port_v6": uint16s, "?connection_ids": list(1, connID),
	})
	preferredAddress = object(fields{
		"?ip_v4": isText, "?port_v4": uint16s, "?ip_v6": isText, "?port_v6": uint16s,
		"connection_id": connID, "stateless_reset_token": resetToken,
	})
	ackRange     = func(v any) string { return ackRangeFault(v) }
	transportErr = either(matches("crypto_error_0x1[0-9a-f][0-9a-f]"), oneOf("no_error internal_error connection_refused "+
		"flow_control_error stream_limit_error stream_state_error final_size_error frame_encoding_error "+
		"transport_parameter_error connection_id_limit_error protocol_violation invalid_token application_error "+
		"crypto_buffer_exceeded key_update_error aead_limit_reached no_viable_path unknown"))
	applicationErr = oneOf("unknown")
	streamType     = oneOf("unidirectional bidirectional")
	ecn            = oneOf("Not-ECT ECT(1) ECT(0) CE")
	secretName     = oneOf("server_initial_secret client_initial_secret server_handshake_secret client_handshake_secret " +
		"server_0rtt_secret client_0rtt_secret server_1rtt_secret client_1rtt_secret")
	keyTrigger = oneOf("tls remote_update local_update")

	packetHeader = object(fields{
		"packet_type":        oneOf("initial handshake 0RTT 1RTT retry version_negotiation stateless_reset unknown"),
		"?packet_type_bytes": uint64s, "?spin_bit": isBool, "?key_phase": uint64s, "?key_phase_bit": isBool,
		"?packet_number_length": uint8s, "?packet_number": uint64s, "?token": token, "?length": uint16s,
		"?version": version, "?scil": uint8s, "?dcil": uint8s, "?scid": connID, "?dcid": connID,
	})
)

func ackRangeFault(v any) string {
	a, ok := v.([]any)
	if !ok || len(a) < 1 || len(a) > 2 {
		return fmt.Sprintf("%v is no range", v)
	}
	return list(1, uint64s)(v)
}

// ackFields are AckFrame's, but its type.
var ackFields = fields{
	"?ack_delay": isFloat, "?acked_ranges": list(1, ackRange),
	"?ect1": uint64s, "?ect0": uint64s, "?ce": uint64s, "?raw": rawInfo,
}

var newConnIDFields = fields{
	"sequence_number": uint64s, "retire_prior_to": uint64s, "?connection_id_length": uint8s,
	"connection_id": connID, "?stateless_reset_token": resetToken, "?raw": rawInfo,
}

// frameSchemas are the draft's frames (section 8.13), without frame_type.
var frameSchemas = map[string]fields{
	"padding": {"?raw": rawInfo},
	"ping":    {"?raw": rawInfo},
	"ack":     ackFields,
	"reset_stream": {
		"stream_id": uint64s, "error": applicationErr, "?error_code": uint64s, "final_size": uint64s, "?raw": rawInfo,
	},
	"stop_sending":         {"stream_id": uint64s, "error": applicationErr, "?error_code": uint64s, "?raw": rawInfo},
	"crypto":               {"offset": uint64s, "raw": rawInfo},
	"new_token":            {"token": token, "?raw": rawInfo},
	"stream":               {"stream_id": uint64s, "?offset": uint64s, "?fin": isBool, "?raw": rawInfo},
	"max_data":             {"maximum": uint64s, "?raw": rawInfo},
	"max_stream_data":      {"stream_id": uint64s, "maximum": uint64s, "?raw": rawInfo},
	"max_streams":          {"stream_type": streamType, "maximum": uint64s, "?raw": rawInfo},
	"data_blocked":         {"limit": uint64s, "?raw": rawInfo},
	"stream_data_blocked":  {"stream_id": uint64s, "limit": uint64s, "?raw": rawInfo},
	"streams_blocked":      {"stream_type": streamType, "limit": uint64s, "?raw": rawInfo},
	"new_connection_id":    newConnIDFields,
	"retire_connection_id": {"sequence_number": uint64s, "?raw": rawInfo},
	"path_challenge":       {"?data": matches("[0-9a-f]{16}"), "?raw": rawInfo},
	"path_response":        {"?data": matches("[0-9a-f]{16}"), "?raw": rawInfo},
	"connection_close": {
		"?error_space": oneOf("transport application"), "?error": either(transportErr, applicationErr), "?error_code": uint64s,
		"?reason": isText, "?reason_bytes": hexstring, "?trigger_frame_type": either(uint64s, isText), "?raw": rawInfo,
	},
	"handshake_done": {"?raw": rawInfo},
	"unknown":        {"frame_type_bytes": uint64s, "?raw": rawInfo},
	"datagram":       {"?raw": rawInfo},
}

// namedFrames are ours: what an unknown frame has beside the draft's fields when it
// has a name.
var namedFrames = map[string]fields{
	"path_ack":                  ackFields.with(fields{"path_id": uint32s}),
	"path_abandon":              {"path_id": uint32s, "error_code": uint64s},
	"path_status_backup":        {"path_id": uint32s, "sequence_number": uint64s},
	"path_status_available":     {"path_id": uint32s, "sequence_number": uint64s},
	"path_new_connection_id":    newConnIDFields.with(fields{"path_id": uint32s}),
	"path_retire_connection_id": {"path_id": uint32s, "sequence_number": uint64s},
	"max_path_id":               {"maximum": uint32s},
	"paths_blocked":             {"limit": uint32s},
	"path_cids_blocked":         {"path_id": uint32s, "sequence_number": uint64s},
	"ack_frequency": {
		"sequence_number": uint64s, "ack_eliciting_threshold": uint64s, "request_max_ack_delay": isFloat, "reordering_threshold": uint64s,
	},
	"immediate_ack": {},
}

func frame(v any) string {
	o, _ := v.(map[string]any)
	name, _ := o["frame_type"].(string)
	schema, ok := frameSchemas[name]
	if !ok {
		return fmt.Sprintf("no frame is of type %q", name)
	}
	schema = schema.with(fields{"frame_type": isText})
	if named, ok := o["frame_name"].(string); ok {
		more, known := namedFrames[named]
		if !known || name != "unknown" {
			return fmt.Sprintf("a frame %s has the name %q", name, named)
		}
		schema = schema.with(more).with(fields{"frame_name": isText})
	}
	if why := object(schema)(v); why != "" {
		return name + ": " + why
	}
	return ""
}

var metric = fields{
	"?min_rtt": isFloat, "?smoothed_rtt": isFloat, "?latest_rtt": isFloat, "?rtt_variance": isFloat, "?pto_count": uint16s,
	"?congestion_window": uint64s, "?bytes_in_flight": uint64s, "?ssthresh": uint64s, "?packets_in_flight": uint64s,
	"?pacing_rate": uint64s, "?path_id": uint32s,
}

// packetFields are those that sent and received packets share. ecn is ours, and so is
// path_id, here and in the other events of a path.
var packetFields = fields{
	"header": packetHeader, "?frames": list(0, frame), "?stateless_reset_token": resetToken,
	"?supported_versions": list(1, version), "?raw": rawInfo, "?datagram_payload_checksum": uint32s, "?ecn": ecn, "?path_id": uint32s,
}

var parameters = fields{
	"?initiator": initiator, "?resumption_allowed": isBool, "?early_data_enabled": isBool, "?tls_cipher": isText,
	"?original_destination_connection_id": connID, "?initial_source_connection_id": connID,
	"?retry_source_connection_id": connID, "?stateless_reset_token": resetToken, "?disable_active_migration": isBool,
	"?max_idle_timeout": uint64s, "?max_udp_payload_size": uint64s, "?ack_delay_exponent": uint64s, "?max_ack_delay": uint64s,
	"?active_connection_id_limit": uint64s, "?initial_max_data": uint64s, "?initial_max_stream_data_bidi_local": uint64s,
	"?initial_max_stream_data_bidi_remote": uint64s, "?initial_max_stream_data_uni": uint64s,
	"?initial_max_streams_bidi": uint64s, "?initial_max_streams_uni": uint64s, "?preferred_address": preferredAddress,
	"?unknown_parameters":      list(0, object(fields{"id": uint64s, "?value": hexstring})),
	"?max_datagram_frame_size": uint64s, "?grease_quic_bit": isBool, "?reset_stream_at": isBool,
	"?min_ack_delay": uint64s, "?initial_max_path_id": uint32s, // ours
}

var migrationState = oneOf("probing_started probing_abandoned probing_successful migration_started migration_abandoned migration_complete")

var pathState = oneOf("validating active suspect dead closing closed")

// alpn is an ALPNIdentifier.
var alpn = object(fields{"?byte_value": hexstring, "?string_value": isText})

// eventSchemas are the data of the events that this package writes.
var eventSchemas = map[string]fields{
	"quic:connection_started": {"local": endpoint, "remote": endpoint},
	"quic:connection_closed": {
		"?initiator": initiator, "?connection_error": transportErr, "?application_error": applicationErr,
		"?error_code": uint64s, "?internal_code": uint64s, "?reason": isText,
		"?trigger": oneOf("idle_timeout application error version_mismatch stateless_reset aborted unspecified"),
	},
	"quic:connection_state_updated": {"?old": isText, "new": isText},
	"quic:tuple_assigned":           {"tuple_id": tupleID, "?tuple_remote": endpoint, "?tuple_local": endpoint},
	"quic:mtu_updated":              {"?old": uint32s, "new": uint32s, "?done": isBool, "?path_id": uint32s},
	"quic:version_information": {
		"?server_versions": list(1, version), "?client_versions": list(1, version), "?chosen_version": version,
	},
	"quic:alpn_information": {"?server_alpns": list(0, alpn), "?client_alpns": list(0, alpn), "?chosen_alpn": alpn},
	"quic:parameters_set":   parameters,
	"quic:packet_sent": packetFields.with(fields{
		"?is_mtu_probe_packet": isBool,
		"?trigger":             oneOf("retransmit_reordered retransmit_timeout pto_probe retransmit_crypto cc_bandwidth_probe"),
	}),
	"quic:packet_received": packetFields.with(fields{"?trigger": oneOf("keys_available")}),
	"quic:packet_dropped": {
		"?header": packetHeader, "?raw": rawInfo, "?datagram_payload_checksum": uint32s,
		"?details": object(fields{"?reason": isText}), "?path_id": uint32s,
		"?trigger": oneOf("internal_error rejected unsupported invalid duplicate connection_unknown decryption_failure key_unavailable general"),
	},
	"quic:packet_lost": {
		"?header": packetHeader, "?frames": list(0, frame), "?is_mtu_probe_packet": isBool, "?path_id": uint32s,
		"?trigger": oneOf("reordering_threshold time_threshold pto_expired"),
	},
	"quic:migration_state_updated": {
		"?old": migrationState, "new": migrationState, "?tuple_id": tupleID, "?tuple_remote": endpoint, "?tuple_local": endpoint,
		"?path_id": uint32s,
	},
	"quic:key_updated": {
		"key_type": secretName, "?old": hexstring, "?new": hexstring, "?key_phase": uint64s, "?trigger": keyTrigger,
	},
	"quic:key_discarded":            {"key_type": secretName, "?key": hexstring, "?key_phase": uint64s, "?trigger": keyTrigger},
	"quic:recovery_metrics_updated": metric,
	"quic:congestion_state_updated": {"?old": isText, "new": isText, "?trigger": isText, "?path_id": uint32s},
	"quic:ecn_state_updated": {
		"?old": oneOf("testing unknown failed capable"), "new": oneOf("testing unknown failed capable"), "?path_id": uint32s,
	},

	// Ours.
	"tquiclab:path_state_updated": {"path_id": uint32s, "?old": pathState, "new": pathState, "?error_code": uint64s},
	"tquiclab:scheduling_updated": {
		"scheduler": isText, "?path_id": uint32s, "?wait": isBool, "room": uint64s, "?smoothed_rtt": isFloat, "ready": uint64s, "trains": uint64s,
	},
	"tquiclab:data_reinjected": {
		"from_path_id": uint32s, "?to_path_id": uint32s, "length": uint64s, "frames": uint64s,
		"?trigger": oneOf("path_silent path_closed tail"),
	},
}

// header is QLogFileSeq with TraceSeq.
var header = object(fields{
	"file_schema": oneOf(fileSchema), "serialization_format": oneOf(mediaType), "?title": isText, "?description": isText,
	"trace": object(fields{
		"?title": isText, "?description": isText,
		"?common_fields": object(fields{
			"?time_format": oneOf("relative_to_epoch relative_to_previous_event"),
			"?reference_time": either(
				object(fields{"clock_type": oneOf("system"), "epoch": matches(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)}),
				// A monotonic clock has no known epoch (main schema, section 7.1).
				object(fields{"clock_type": oneOf("monotonic"), "epoch": oneOf("unknown"), "?wall_clock_time": isText})),
			"?group_id": isText,
		}),
		"?vantage_point": object(fields{"?name": isText, "type": oneOf("client server"), "?flow": oneOf("client server unknown")}),
		"event_schemas":  list(1, matches(`urn:ietf:params:qlog:events:quic-\d\d`)),
	}),
})

func event(v any) string {
	o, _ := v.(map[string]any)
	name, _ := o["name"].(string)
	data, ok := eventSchemas[name]
	if !ok {
		return fmt.Sprintf("no event is called %q", name)
	}
	why := object(fields{"time": isFloat, "name": isText, "?tuple": tupleID, "data": object(data)})(v)
	if why != "" {
		return name + ": " + why
	}
	return ""
}
