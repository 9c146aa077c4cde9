package proto

import (
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// maxIssuedIDs is how many connection IDs a peer gets at a time, should it want so
// many. RFC 9000, section 5.1.1 lets an endpoint give fewer than the peer's limit.
const maxIssuedIDs = 4

// idState is where the frame about a connection ID is on its way to the peer.
type idState uint8

const (
	idQueued idState = iota // to be sent, again when it was lost
	idSent
	idKnown // acknowledged, or known to the peer from the handshake
)

// localID is a connection ID that this side gave out.
type localID struct {
	seq    uint64
	id     wire.ConnID
	token  wire.ResetToken
	before uint64 // Retire Prior To of its frame
	state  idState
	out    bool // sent at least once, so the peer can know it
}

// localIDs are the connection IDs that the peer may address us by (RFC 9000,
// section 5.1.1). IssuedID and RetiredID tell the owner of each, the first and the
// extra ones included.
type localIDs struct {
	path  wire.PathID
	multi bool // the frames name the path (draft-ietf-quic-multipath-21, section 3.2)
	newID func() (wire.ConnID, wire.ResetToken)
	emit  func(Event)

	ids    []localID // not retired by the peer, by sequence number
	extra  []wire.ConnID
	next   uint64 // sequence number of the next one
	before uint64 // newest Retire Prior To
	limit  int    // how many the peer may hold; 0: not known yet
	queued int    // of ids, those in state idQueued
}

// init starts with the ID of the handshake, whose sequence number is 0 (RFC 9000,
// section 5.1.1). newID makes further ones, which nobody can link with each other,
// with their stateless reset tokens.
func (l *localIDs) init(first wire.ConnID, newID func() (wire.ConnID, wire.ResetToken), emit func(Event)) {
	*l = localIDs{newID: newID, emit: emit, next: 1}
	l.ids = append(l.ids, localID{id: first, state: idKnown, out: true})
	emit(Event{Kind: IssuedID, ID: first})
}

// initPath starts without an ID, for a path other than the handshake's.
func (l *localIDs) initPath(path wire.PathID, newID func() (wire.ConnID, wire.ResetToken), emit func(Event)) {
	*l = localIDs{path: path, multi: true, newID: newID, emit: emit}
}

// has reports whether the peer may address us by id.
func (l *localIDs) has(id wire.ConnID) bool {
	for i := range l.ids {
		if l.ids[i].id == id {
			return true
		}
	}
	return false
}

// add has the owner deliver what is addressed to id, too: the ID that a client chose
// for its first packets, which has no sequence number.
func (l *localIDs) add(id wire.ConnID) {
	l.extra = append(l.extra, id)
	l.emit(Event{Kind: IssuedID, ID: id})
}

// dropExtra ends what add began, once the peer must use the IDs that it was given.
func (l *localIDs) dropExtra() {
	for _, id := range l.extra {
		l.emit(Event{Kind: RetiredID, ID: id})
	}
	l.extra = nil
}

// all returns every ID that leads to this connection.
func (l *localIDs) all() []wire.ConnID {
	ids := slices.Clone(l.extra)
	for i := range l.ids {
		ids = append(ids, l.ids[i].id)
	}
	return ids
}

// setPeerLimit takes the peer's active_connection_id_limit and issues IDs up to it.
func (l *localIDs) setPeerLimit(n uint64) {
	l.limit = int(min(n, maxIssuedIDs))
	l.fill()
}

// rotate has the peer replace all the IDs it holds. It does nothing while the peer
// has not followed the last such wish (RFC 9000, section 5.1.2), and nothing before
// the peer's limit is known. The new IDs' frames carry the wish. RFC 9000, section
// 19.15: Retire Prior To MUST NOT be above their numbers.
func (l *localIDs) rotate() {
	if l.limit == 0 || l.zeroLength() || (len(l.ids) > 0 && l.ids[0].seq < l.before) {
		return
	}
	l.before = l.next
	l.fill()
}

// fill issues IDs until the peer has as many as it may hold. RFC 9000, section
// 5.1.1: MUST NOT be more than the peer's limit, those aside that it is told to retire.
func (l *localIDs) fill() {
	if l.zeroLength() {
		return // RFC 9000, section 19.15: NEW_CONNECTION_ID MUST NOT be sent by who has none
	}
	active := 0
	for i := range l.ids {
		if l.ids[i].seq >= l.before {
			active++
		}
	}
	for ; active < l.limit; active++ {
		id, token := l.newID()
		// RFC 9000, section 5.1.1: sequence numbers MUST increase by 1.
		l.ids = append(l.ids, localID{seq: l.next, id: id, token: token, before: l.before})
		l.next++
		l.queued++
		l.emit(Event{Kind: IssuedID, ID: id})
	}
}

// zeroLength reports whether the peer addresses us without a connection ID.
func (l *localIDs) zeroLength() bool { return len(l.ids) > 0 && l.ids[0].id.Len() == 0 }

// hasFrames reports whether appendFrames has something to send.
func (l *localIDs) hasFrames() bool { return l.queued > 0 }

// appendFrames appends the NEW_CONNECTION_ID frames that are due; false: not all fit.
func (l *localIDs) appendFrames(w *builder) bool {
	for i := range l.ids {
		if l.queued == 0 {
			break
		}
		d := &l.ids[i]
		if d.state != idQueued {
			continue
		}
		// A frame says the same each time. An old one that spoke of a newer Retire Prior To
		// could take the last ID from a peer that has dropped this one already.
		f := wire.NewConnectionID{Path: l.path, Multipath: l.multi, Sequence: d.seq, RetirePriorTo: d.before, ID: d.id, Token: d.token}
		if f.Len() > w.room() {
			return false
		}
		w.b = f.Append(w.b)
		w.added(wire.TypeNewConnectionID)
		w.note(frameRef{kind: refNewConnectionID, n: uint32(l.path), off: d.seq})
		d.state, d.out = idSent, true
		l.queued--
	}
	return true
}

// handleRetire drops the ID with that sequence number for a RETIRE_CONNECTION_ID
// frame in a packet addressed to onDst, and issues another. It returns a
// *wire.TransportError for what a peer cannot retire.
func (l *localIDs) handleRetire(seq uint64, onDst wire.ConnID) error {
	switch {
	case l.zeroLength():
		// RFC 9000, section 19.16: the frame from a peer that addresses us by no ID MUST be a
		// PROTOCOL_VIOLATION.
		return retireError("of a connection without connection IDs")
	case seq >= l.next:
		// RFC 9000, section 19.16: a number that was never sent MUST be a PROTOCOL_VIOLATION.
		return retireError("of connection ID %d, which was never issued", seq)
	}
	i, ok := slices.BinarySearchFunc(l.ids, seq, func(d localID, seq uint64) int {
		switch {
		case d.seq < seq:
			return -1
		case d.seq > seq:
			return 1
		}
		return 0
	})
	if !ok {
		return nil // retired before
	}
	d := l.ids[i]
	switch {
	case !d.out:
		return retireError("of connection ID %d, which was never sent", seq)
	case d.id == onDst:
		// RFC 9000, section 19.16: it MUST NOT be the ID that the packet itself bears.
		return retireError("of connection ID %d in a packet addressed to it", seq)
	}
	if d.state == idQueued {
		l.queued--
	}
	l.ids = slices.Delete(l.ids, i, i+1)
	l.emit(Event{Kind: RetiredID, ID: d.id})
	l.fill() // RFC 9000, section 5.1.1: the peer should get another
	return nil
}

func retireError(format string, args ...any) error {
	e := wire.Errorf(wire.ProtocolViolation, "retirement "+format, args...)
	e.Frame = wire.TypeRetireConnectionID
	return e
}

// acked notes that the peer has the NEW_CONNECTION_ID frame.
func (l *localIDs) acked(r frameRef) { l.move(r.off, idKnown) }

// lost has the NEW_CONNECTION_ID frame sent again (RFC 9000, section 13.3).
func (l *localIDs) lost(r frameRef) { l.move(r.off, idQueued) }

// move brings the ID into a state, unless it is gone or known to the peer.
func (l *localIDs) move(seq uint64, to idState) {
	for i := range l.ids {
		d := &l.ids[i]
		if d.seq != seq {
			continue
		}
		if d.state == idKnown {
			return
		}
		if d.state == idQueued {
			l.queued--
		}
		if to == idQueued {
			l.queued++
		}
		d.state = to
		return
	}
}
