package qlog

import (
	"errors"
	"unicode/utf8"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func (t *Trace) connectionStarted(e *proto.TraceEvent) {
	r := t.begin(e, "quic:connection_started")
	r.endpoint("local", e.Local, e.ID)
	r.endpoint("remote", e.Remote, e.PeerID)
	t.end()
	t.assignTuple(e)
}

// connectionClosed writes the end of a connection. The trigger is the event's or,
// without one, what the error stands for.
func (t *Trace) connectionClosed(e *proto.TraceEvent) {
	r := t.begin(e, "quic:connection_closed")
	r.initiator(e.ByPeer)
	reason, trigger := "", "unspecified"
	if e.Err != nil {
		reason, trigger = r.closeError(e.Err)
	}
	if reason != "" {
		r.text("reason", reason)
	}
	switch e.Trigger {
	case "idle_timeout", "application", "error", "version_mismatch", "stateless_reset", "aborted":
		trigger = e.Trigger
	}
	r.word("trigger", trigger)
	t.end()
}

// closeError writes the error's code, if it has one, and returns its words and the
// draft's trigger for it.
func (r *record) closeError(err error) (reason, trigger string) {
	if transport, ok := errors.AsType[*wire.TransportError](err); ok {
		r.transportError("connection_error", transport.Code)
		if transport.Code == wire.NoError {
			return transport.Reason, "unspecified"
		}
		return transport.Reason, "error"
	}
	if app, ok := errors.AsType[*proto.ApplicationError](err); ok {
		// What its codes mean is the application's affair.
		r.word("application_error", "unknown")
		r.number("error_code", app.Code)
		return app.Reason, "application"
	}
	return err.Error(), closeTrigger(err)
}

// closeTrigger returns the draft's trigger for an error without a code.
func closeTrigger(err error) string {
	if timeout, ok := errors.AsType[*proto.TimeoutError](err); ok {
		if timeout.Handshake {
			return "aborted"
		}
		return "idle_timeout"
	}
	if _, ok := errors.AsType[*proto.VersionError](err); ok {
		return "version_mismatch"
	}
	if errors.Is(err, proto.ErrStatelessReset) {
		return "stateless_reset"
	}
	return "unspecified"
}

// stateUpdated writes the connection's state. The draft lets us have states of our
// own.
func (t *Trace) stateUpdated(e *proto.TraceEvent) {
	if e.Trigger == t.state {
		return
	}
	r := t.begin(e, "quic:connection_state_updated")
	if t.state != "" {
		r.text("old", t.state)
	}
	r.text("new", e.Trigger)
	t.end()
	t.state = e.Trigger
}

func (t *Trace) versionInformation(e *proto.TraceEvent) {
	r := t.begin(e, "quic:version_information")
	side := t.side
	if e.ByPeer {
		side = side.Peer()
	}
	if len(e.Versions) > 0 {
		if side == wire.Client {
			r.versions("client_versions", e.Versions)
		} else {
			r.versions("server_versions", e.Versions)
		}
	}
	if e.Version != 0 {
		r.key("chosen_version")
		r.b = appendVersion(r.b, e.Version)
	}
	t.end()
}

func (r *record) versions(k string, versions []wire.Version) {
	r.array(k)
	for _, v := range versions {
		r.comma()
		r.b = appendVersion(r.b, v)
	}
	r.endArray()
}

func appendVersion(b []byte, v wire.Version) []byte {
	return appendHex(b, []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// alpnInformation writes the protocol that was chosen: as text where it is some,
// else as bytes.
func (t *Trace) alpnInformation(e *proto.TraceEvent) {
	r := t.begin(e, "quic:alpn_information")
	r.object("chosen_alpn")
	if utf8.ValidString(e.Trigger) {
		r.text("string_value", e.Trigger)
	} else {
		r.hex("byte_value", []byte(e.Trigger))
	}
	r.endObject()
	t.end()
}
