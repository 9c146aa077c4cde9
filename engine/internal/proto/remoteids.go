package proto

import (
	"cmp"
	"crypto/subtle"
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// activeIDLimit is the active_connection_id_limit that this side advertises.
	activeIDLimit = 4
	// maxRetiring bounds the RETIRE_CONNECTION_ID frames not yet acknowledged. RFC 9000,
	// section 5.1.2 asks for at least twice the limit.
	maxRetiring = 3 * activeIDLimit
	// maxRetiredRanges bounds what is remembered of retired sequence numbers. A peer
	// that keeps the limit leaves as many holes in them as it has IDs on their way.
	maxRetiredRanges = 32
)

// remoteID is a connection ID that the peer gave us.
type remoteID struct {
	seq      uint64
	id       wire.ConnID
	token    wire.ResetToken
	hasToken bool
}

// retirement is a RETIRE_CONNECTION_ID frame that the peer is not known to have.
type retirement struct {
	seq    uint64
	queued bool // to be sent, else on its way
}

// remoteIDs are the connection IDs that we may address the peer by (RFC 9000,
// section 5.1.2). One is in use at a time; IssuedToken and RetiredToken tell the
// owner of its stateless reset token.
type remoteIDs struct {
	path  wire.PathID
	multi bool // the frames name the path (draft-ietf-quic-multipath-21, section 3.2)
	emit  func(Event)

	unused   bool // none is in use: the path is not open
	inUse    remoteID
	spare    []remoteID // by sequence number
	before   uint64     // largest Retire Prior To
	retired  seqSet     // every sequence number retired so far
	retiring []retirement
	queued   int // of retiring, those to be sent
}

// init starts with the ID that the first packets go to: on a client one that it
// made up, which setFirst replaces.
func (r *remoteIDs) init(first wire.ConnID, emit func(Event)) {
	*r = remoteIDs{emit: emit, inUse: remoteID{id: first}}
}

// initPath starts without an ID, for a path other than the handshake's.
func (r *remoteIDs) initPath(path wire.PathID, emit func(Event)) {
	*r = remoteIDs{path: path, multi: true, emit: emit, unused: true}
}

// begin puts an ID in use, for a path that opens; false: the peer has given none.
func (r *remoteIDs) begin() bool {
	if !r.unused {
		return true
	}
	if len(r.spare) == 0 {
		return false
	}
	r.unused = false
	r.inUse = r.spare[0]
	r.spare = slices.Delete(r.spare, 0, 1)
	r.emit(Event{Kind: IssuedToken, Token: r.inUse.token})
	return true
}

// end retires all IDs without a word: the path is abandoned.
// draft-ietf-quic-multipath-21, section 3.4: they MUST be treated as retired at once.
func (r *remoteIDs) end() {
	if !r.unused && r.inUse.hasToken {
		r.emit(Event{Kind: RetiredToken, Token: r.inUse.token})
		r.inUse.hasToken = false
	}
	r.spare, r.retiring, r.queued = nil, nil, 0
}

// setFirst replaces the ID with sequence number 0 by the one that the peer chose in
// its first packet, or in a Retry.
func (r *remoteIDs) setFirst(id wire.ConnID) { r.inUse.id = id }

// setResetToken takes the stateless_reset_token of the server's transport parameters,
// which belongs to the ID with sequence number 0.
func (r *remoteIDs) setResetToken(t wire.ResetToken) {
	if r.inUse.seq != 0 {
		return
	}
	r.inUse.token, r.inUse.hasToken = t, true
	r.emit(Event{Kind: IssuedToken, Token: t})
}

// current returns the ID to address packets to.
func (r *remoteIDs) current() wire.ConnID { return r.inUse.id }

// next retires the ID in use and returns another, for packets between other
// addresses (RFC 9000, section 9.5). draft-ietf-quic-multipath-21, section 3.2.2: it MUST be
// one of the same path ID; there are no others here. It returns false when the peer gave no other
// one, or has yet to acknowledge too many retirements. A peer without connection IDs
// keeps having none.
func (r *remoteIDs) next() (wire.ConnID, bool) {
	if r.inUse.id.Len() == 0 {
		return r.inUse.id, true
	}
	if len(r.spare) == 0 || len(r.retiring) >= maxRetiring {
		return r.inUse.id, false
	}
	// A set too full of holes comes out at the peer's next frame, if it is so still.
	_ = r.retire(r.inUse.seq)
	r.replace()
	return r.inUse.id, true
}

// isResetToken reports whether the peer ends the connection by t, a datagram's last
// 16 bytes. RFC 9000, section 10.3.1: tokens of IDs not in use MUST NOT be
// compared, and the time MUST tell nothing of their values.
func (r *remoteIDs) isResetToken(t wire.ResetToken) bool {
	return r.inUse.hasToken && subtle.ConstantTimeCompare(t[:], r.inUse.token[:]) == 1
}

// handleNew takes a NEW_CONNECTION_ID frame. It returns a *wire.TransportError for
// one that the peer may not send.
func (r *remoteIDs) handleNew(f wire.NewConnectionID) error {
	if !r.unused && r.inUse.id.Len() == 0 {
		// RFC 9000, section 19.15: the frame of a peer that uses no IDs MUST be a
		// PROTOCOL_VIOLATION.
		return newIDError(wire.ProtocolViolation, "of a peer that uses none")
	}
	known, err := r.known(f)
	if err != nil {
		return err
	}
	// RFC 9000, section 5.1.2: what is below Retire Prior To MUST be retired before the
	// new ID is added. Section 19.15: a Retire Prior To that does not grow MUST be ignored.
	if f.RetirePriorTo > r.before {
		r.before = f.RetirePriorTo
		if err := r.retireSpare(); err != nil {
			return err
		}
	}
	switch {
	case known || r.retired.has(f.Sequence):
		// RFC 9000, section 19.15: the same frame again MUST NOT be an error.
	case f.Sequence < r.before:
		// RFC 9000, section 19.15: an ID below Retire Prior To MUST be retired, if that was
		// not done before.
		if err := r.retire(f.Sequence); err != nil {
			return err
		}
	default:
		r.add(f)
	}
	if err := r.leave(); err != nil {
		return err
	}
	// RFC 9000, section 5.1.1: more active IDs than were allowed MUST be a
	// CONNECTION_ID_LIMIT_ERROR.
	n := len(r.spare)
	if !r.unused {
		n++
	}
	if n > activeIDLimit {
		return newIDError(wire.ConnectionIDLimitError, "makes %d of them active, the limit is %d", n, activeIDLimit)
	}
	return nil
}

// known reports whether the frame's ID is active already. RFC 9000, section 19.15: a
// sequence number of two IDs, or an ID with two sequence numbers or tokens, may be
// treated as a PROTOCOL_VIOLATION.
func (r *remoteIDs) known(f wire.NewConnectionID) (bool, error) {
	found, err := false, error(nil)
	if !r.unused {
		found, err = r.inUse.matches(f)
	}
	for i := 0; i < len(r.spare) && !found && err == nil; i++ {
		found, err = r.spare[i].matches(f)
	}
	return found, err
}

func (d *remoteID) matches(f wire.NewConnectionID) (bool, error) {
	sameSeq, sameID := d.seq == f.Sequence, d.id == f.ID
	switch {
	case !sameSeq && !sameID:
		return false, nil
	case !sameID:
		return false, newIDError(wire.ProtocolViolation, "gives sequence number %d to another one", f.Sequence)
	case !sameSeq:
		return false, newIDError(wire.ProtocolViolation, "gives number %d to the one with number %d", f.Sequence, d.seq)
	case d.hasToken && subtle.ConstantTimeCompare(d.token[:], f.Token[:]) == 0:
		return false, newIDError(wire.ProtocolViolation, "gives another token to number %d", f.Sequence)
	}
	return true, nil
}

func newIDError(code wire.ErrorCode, format string, args ...any) error {
	e := wire.Errorf(code, "a new connection ID "+format, args...)
	e.Frame = wire.TypeNewConnectionID
	return e
}

func (r *remoteIDs) add(f wire.NewConnectionID) {
	i, _ := slices.BinarySearchFunc(r.spare, f.Sequence, func(d remoteID, seq uint64) int { return cmp.Compare(d.seq, seq) })
	r.spare = slices.Insert(r.spare, i, remoteID{seq: f.Sequence, id: f.ID, token: f.Token, hasToken: true})
}

// retireSpare retires the unused IDs below before.
func (r *remoteIDs) retireSpare() error {
	for len(r.spare) > 0 && r.spare[0].seq < r.before {
		if err := r.retire(r.spare[0].seq); err != nil {
			return err
		}
		r.spare = slices.Delete(r.spare, 0, 1)
	}
	return nil
}

// leave stops using the ID in use when the peer wants it retired (RFC 9000, section
// 5.1.2).
func (r *remoteIDs) leave() error {
	if r.unused || r.inUse.seq >= r.before {
		return nil
	}
	if len(r.spare) == 0 {
		return newIDError(wire.ProtocolViolation, "retires every one and leaves none")
	}
	if err := r.retire(r.inUse.seq); err != nil {
		return err
	}
	r.replace()
	return nil
}

// replace puts the oldest spare ID in use.
func (r *remoteIDs) replace() {
	if r.inUse.hasToken {
		r.emit(Event{Kind: RetiredToken, Token: r.inUse.token})
	}
	r.inUse = r.spare[0]
	r.spare = slices.Delete(r.spare, 0, 1)
	r.emit(Event{Kind: IssuedToken, Token: r.inUse.token})
}

// retire queues a RETIRE_CONNECTION_ID frame. RFC 9000, section 5.1.2: too many not
// yet acknowledged may be treated as a CONNECTION_ID_LIMIT_ERROR; an ID MUST NOT be
// forgotten without this.
func (r *remoteIDs) retire(seq uint64) error {
	r.retired.add(seq)
	r.retiring = append(r.retiring, retirement{seq: seq, queued: true})
	r.queued++
	if len(r.retiring) > maxRetiring || len(r.retired) > maxRetiredRanges {
		return newIDError(wire.ConnectionIDLimitError, "leaves %d to be retired, the limit is %d", len(r.retiring), maxRetiring)
	}
	return nil
}

// hasFrames reports whether appendFrames has something to send.
func (r *remoteIDs) hasFrames() bool { return r.queued > 0 }

// appendFrames appends the RETIRE_CONNECTION_ID frames that are due; false: not all
// fit. RFC 9000, section 19.16: the packet MUST NOT be addressed to an ID that it
// retires, so it must bear current.
func (r *remoteIDs) appendFrames(w *builder) bool {
	for i := range r.retiring {
		if r.queued == 0 {
			break
		}
		t := &r.retiring[i]
		if !t.queued {
			continue
		}
		f := wire.RetireConnectionID{Path: r.path, Multipath: r.multi, Sequence: t.seq}
		if f.Len() > w.room() {
			return false
		}
		w.b = f.Append(w.b)
		w.added(wire.TypeRetireConnectionID)
		w.note(frameRef{kind: refRetireConnectionID, n: uint32(r.path), off: t.seq})
		t.queued = false
		r.queued--
	}
	return true
}

// acked notes that the peer has the RETIRE_CONNECTION_ID frame.
func (r *remoteIDs) acked(f frameRef) {
	i := r.retirementOf(f.off)
	if i < 0 {
		return
	}
	if r.retiring[i].queued {
		r.queued--
	}
	r.retiring = slices.Delete(r.retiring, i, i+1)
}

// lost has the RETIRE_CONNECTION_ID frame sent again (RFC 9000, section 13.3).
func (r *remoteIDs) lost(f frameRef) {
	if i := r.retirementOf(f.off); i >= 0 && !r.retiring[i].queued {
		r.retiring[i].queued = true
		r.queued++
	}
}

func (r *remoteIDs) retirementOf(seq uint64) int {
	return slices.IndexFunc(r.retiring, func(t retirement) bool { return t.seq == seq })
}

// seqSet is a set of sequence numbers, as ascending ranges that do not touch.
type seqSet []seqRange

type seqRange struct{ first, last uint64 }

// below returns the index of the first range that does not end below seq.
func (s seqSet) below(seq uint64) int {
	i, _ := slices.BinarySearchFunc(s, seq, func(r seqRange, seq uint64) int { return cmp.Compare(r.last, seq) })
	return i
}

func (s seqSet) has(seq uint64) bool {
	i := s.below(seq)
	return i < len(s) && s[i].first <= seq
}

// add adds seq, which must not be in the set.
func (s *seqSet) add(seq uint64) {
	i := s.below(seq)
	before := i > 0 && (*s)[i-1].last+1 == seq
	after := i < len(*s) && (*s)[i].first == seq+1
	switch {
	case before && after:
		(*s)[i-1].last = (*s)[i].last
		*s = slices.Delete(*s, i, i+1)
	case before:
		(*s)[i-1].last = seq
	case after:
		(*s)[i].first = seq
	default:
		*s = slices.Insert(*s, i, seqRange{seq, seq})
	}
}

// holds reports whether id is among those of the path.
func (r *remoteIDs) holds(id wire.ConnID) bool {
	if !r.unused && r.inUse.id == id {
		return true
	}
	for i := range r.spare {
		if r.spare[i].id == id {
			return true
		}
	}
	return false
}

// expected returns the sequence number that the peer's next ID will have, as far as it is
// known.
func (r *remoteIDs) expected() uint64 {
	var next uint64
	if !r.unused {
		next = r.inUse.seq + 1
	}
	for i := range r.spare {
		next = max(next, r.spare[i].seq+1)
	}
	for _, s := range r.retired {
		next = max(next, s.last+1)
	}
	return next
}
