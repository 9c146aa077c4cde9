package qlog

import (
	"net/netip"
	"strconv"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// path is what was last written about a path: events tell of changes.
type path struct {
	id            wire.PathID
	local, remote netip.AddrPort
	metrics       proto.Metrics
	mtu           int
	congestion    string
	migration     string
	ecn           string
	state         string
}

// path returns what is known of a path. The pointer holds until another path is new. A
// connection has few paths at a time, so they are in a list.
func (t *Trace) path(id wire.PathID) *path {
	for i := range t.paths {
		if t.paths[i].id == id {
			return &t.paths[i]
		}
	}
	t.paths = append(t.paths, path{id: id})
	return &t.paths[len(t.paths)-1]
}

// tuple writes a path's TupleID. Path 0 has the empty one: it is the tuple of the
// handshake, which is implied (draft-ietf-quic-qlog-quic-events-13, section 4.7).
func (r *record) tuple(k string, id wire.PathID) {
	r.key(k)
	r.b = append(r.b, '"')
	if id != 0 {
		r.b = strconv.AppendUint(r.b, uint64(id), 10)
	}
	r.b = append(r.b, '"')
}

// assignTuple says which addresses a path has, when that is new.
func (t *Trace) assignTuple(e *proto.TraceEvent) {
	p := t.path(e.Path)
	if !e.Local.IsValid() && !e.Remote.IsValid() || p.local == e.Local && p.remote == e.Remote {
		return
	}
	p.local, p.remote = e.Local, e.Remote
	r := t.begin(e, "quic:tuple_assigned")
	r.tuple("tuple_id", e.Path)
	r.endpoint("tuple_remote", e.Remote, wire.ConnID{})
	r.endpoint("tuple_local", e.Local, wire.ConnID{})
	t.end()
}

// endpoint writes a TupleEndpointInfo. Nothing that is not known is in it.
func (r *record) endpoint(k string, a netip.AddrPort, id wire.ConnID) {
	r.object(k)
	if a.IsValid() {
		r.address(a)
	}
	if id.Len() > 0 {
		r.array("connection_ids")
		r.b = appendHex(r.b, id.Bytes())
		r.endArray()
	}
	r.endObject()
}

// address writes an address and its port. Zones are names of interfaces: they say
// nothing to a reader elsewhere.
func (r *record) address(a netip.AddrPort) {
	ip, port := "ip_v6", "port_v6"
	addr := a.Addr().Unmap().WithZone("")
	if addr.Is4() {
		ip, port = "ip_v4", "port_v4"
	}
	r.key(ip)
	r.b = append(r.b, '"')
	r.b = addr.AppendTo(r.b)
	r.b = append(r.b, '"')
	r.number(port, uint64(a.Port()))
}

// migrationState writes how far a migration is. A state that the draft does not
// have is not written.
func (t *Trace) migrationState(e *proto.TraceEvent) {
	p := t.path(e.Path)
	switch e.Trigger {
	case "migration_started", "migration_complete":
		// A probe does not move the path yet.
		t.assignTuple(e)
	case "probing_started", "probing_abandoned", "probing_successful", "migration_abandoned":
		if !p.remote.IsValid() {
			t.assignTuple(e)
		}
	default:
		return
	}
	r := t.beginOn(e.Path, e, "quic:migration_state_updated")
	if p.migration != "" {
		r.word("old", p.migration)
	}
	r.word("new", e.Trigger)
	r.tuple("tuple_id", e.Path)
	if e.Remote.IsValid() {
		r.endpoint("tuple_remote", e.Remote, wire.ConnID{})
	}
	if e.Local.IsValid() {
		r.endpoint("tuple_local", e.Local, wire.ConnID{})
	}
	t.end()
	p.migration = e.Trigger
}
