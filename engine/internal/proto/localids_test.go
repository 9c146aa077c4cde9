package proto

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// idsTestID returns the n-th connection ID of the tests, and its token.
func idsTestID(n int) (wire.ConnID, wire.ResetToken) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return wire.NewConnID(b[:]), wire.ResetToken{0: byte(n >> 8), 15: byte(n)}
}

// idsTestEvents collects events about IDs and tokens.
type idsTestEvents struct {
	ids    map[wire.ConnID]bool
	tokens map[wire.ResetToken]bool
}

func (e *idsTestEvents) emit(v Event) {
	if e.ids == nil {
		e.ids, e.tokens = map[wire.ConnID]bool{}, map[wire.ResetToken]bool{}
	}
	switch v.Kind {
	case IssuedID:
		e.ids[v.ID] = true
	case RetiredID:
		delete(e.ids, v.ID)
	case IssuedToken:
		e.tokens[v.Token] = true
	case RetiredToken:
		delete(e.tokens, v.Token)
	}
}

// newLocalIDsTest returns the IDs of an endpoint whose first one is idsTestID(0), and
// so on.
func newLocalIDsTest(limit uint64) (*localIDs, *idsTestEvents) {
	l, e, n := new(localIDs), new(idsTestEvents), 0
	first, _ := idsTestID(0)
	l.init(first, func() (wire.ConnID, wire.ResetToken) {
		n++
		return idsTestID(n)
	}, e.emit)
	if limit > 0 {
		l.setPeerLimit(limit)
	}
	return l, e
}

// idsTestNew parses the NEW_CONNECTION_ID frames of a packet.
func idsTestNew(t partsTestT, b []byte) []wire.NewConnectionID {
	t.Helper()
	var frames []wire.NewConnectionID
	for len(b) > 0 {
		_, v, n, err := wire.ParseFrame(b)
		if err != nil {
			t.Fatalf("parse % x: %v", b, err)
		}
		frames = append(frames, v.(wire.NewConnectionID))
		b = b[n:]
	}
	return frames
}

// idsTestSequences returns the frames' numbers.
func idsTestSequences(frames []wire.NewConnectionID) []uint64 {
	var seqs []uint64
	for _, f := range frames {
		seqs = append(seqs, f.Sequence)
	}
	return seqs
}

// partsTestWantCode checks that err is a transport error with that code, or nil.
func partsTestWantCode(t partsTestT, err error, want wire.ErrorCode) {
	t.Helper()
	var te *wire.TransportError
	switch {
	case want == wire.NoError && err != nil:
		t.Errorf("error %v, want none", err)
	case want != wire.NoError && (!errors.As(err, &te) || te.Code != want || te.Remote):
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestLocalIDsIssueUpToTheLimit(t *testing.T) {
	// RFC 9000, section 5.1.1: MUST NOT be more than the peer's limit; numbers MUST
	// increase by 1.
	for limit, want := range map[uint64][]uint64{0: nil, 2: {1}, 3: {1, 2}, 4: {1, 2, 3}, 1 << 60: {1, 2, 3}} {
		l, e := newLocalIDsTest(limit)
		if l.hasFrames() != (len(want) > 0) {
			t.Errorf("limit %d: frames to send: %v", limit, l.hasFrames())
		}
		w := partsTestBuilder(1200)
		if !l.appendFrames(w) || l.hasFrames() {
			t.Errorf("limit %d: frames are left", limit)
		}
		frames := idsTestNew(t, w.b)
		if d := cmp.Diff(want, idsTestSequences(frames)); d != "" {
			t.Errorf("limit %d: sequence numbers (-want +got):\n%s", limit, d)
		}
		for i, f := range frames {
			id, token := idsTestID(int(f.Sequence))
			if f.ID != id || f.Token != token || f.RetirePriorTo != 0 {
				t.Errorf("limit %d: frame %+v", limit, f)
			}
			if got := *w.log.at(uint64(i)); got != (frameRef{kind: refNewConnectionID, off: f.Sequence}) {
				t.Errorf("limit %d: noted %+v", limit, got)
			}
		}
		if len(e.ids) != 1+len(want) || len(l.all()) != len(e.ids) {
			t.Errorf("limit %d: %d IDs told, %d known, want %d", limit, len(e.ids), len(l.all()), 1+len(want))
		}
	}
}

func TestLocalIDsSendLostFramesAgain(t *testing.T) {
	// RFC 9000, section 13.3: NEW_CONNECTION_ID frames are sent again when lost.
	l, _ := newLocalIDsTest(4)
	l.appendFrames(partsTestBuilder(1200))
	lose := func(seq uint64) { l.lost(frameRef{kind: refNewConnectionID, off: seq}) }
	lose(2)
	lose(2)
	l.acked(frameRef{kind: refNewConnectionID, off: 3})
	lose(3) // an older copy
	lose(9) // none of ours any more
	w := partsTestBuilder(1200)
	l.appendFrames(w)
	if d := cmp.Diff([]uint64{2}, idsTestSequences(idsTestNew(t, w.b))); d != "" {
		t.Errorf("sent again (-want +got):\n%s", d)
	}
	lose(2)
	l.acked(frameRef{kind: refNewConnectionID, off: 2}) // it arrived after all
	if l.hasFrames() {
		t.Error("an acknowledged frame would be sent again")
	}
}

func TestLocalIDsFitTheirRoom(t *testing.T) {
	l, _ := newLocalIDsTest(4)
	size := wire.NewConnectionID{ID: l.ids[1].id}.Len()
	w := partsTestBuilder(2*size + size - 1)
	if l.appendFrames(w) || len(w.b) != 2*size || w.n != 2 {
		t.Fatalf("%d bytes and %d notes in room for two frames of %d", len(w.b), w.n, size)
	}
	w = partsTestBuilder(size)
	if !l.appendFrames(w) || len(w.b) != size {
		t.Errorf("the last frame took %d bytes, want %d", len(w.b), size)
	}
}

func TestLocalIDsRetirement(t *testing.T) {
	dst, _ := idsTestID(1)
	tests := []struct {
		name string
		seq  uint64
		want wire.ErrorCode
	}{
		{"the first", 0, wire.NoError},
		// RFC 9000, section 19.16: MUST NOT be the one that the packet is addressed to.
		{"the packet's own", 1, wire.ProtocolViolation},
		// RFC 9000, section 19.16: one never sent MUST be a PROTOCOL_VIOLATION.
		{"not sent", 3, wire.ProtocolViolation},
		{"never issued", 4, wire.ProtocolViolation},
		{"far off", 1 << 61, wire.ProtocolViolation},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, e := newLocalIDsTest(4)
			size := wire.NewConnectionID{ID: dst}.Len()
			l.appendFrames(partsTestBuilder(2 * size)) // 1 and 2
			partsTestWantCode(t, l.handleRetire(tt.seq, dst), tt.want)
			if tt.want != wire.NoError {
				return
			}
			// RFC 9000, section 5.1.1: the peer should get another one.
			old, _ := idsTestID(int(tt.seq))
			fresh, _ := idsTestID(4)
			if e.ids[old] || !e.ids[fresh] || slices.Contains(l.all(), old) {
				t.Errorf("IDs after the retirement: %v", e.ids)
			}
			partsTestWantCode(t, l.handleRetire(tt.seq, dst), wire.NoError) // the frame again
			if len(e.ids) != 4 {
				t.Errorf("%d IDs, want 4", len(e.ids))
			}
		})
	}
}

func TestLocalIDsOfZeroLength(t *testing.T) {
	l, e := new(localIDs), new(idsTestEvents)
	l.init(wire.ConnID{}, func() (wire.ConnID, wire.ResetToken) { return idsTestID(1) }, e.emit)
	// RFC 9000, section 19.15: a NEW_CONNECTION_ID frame MUST NOT be sent.
	l.setPeerLimit(4)
	l.rotate()
	if l.hasFrames() {
		t.Error("issues IDs beside one of zero length")
	}
	// RFC 9000, section 19.16: RETIRE_CONNECTION_ID MUST be a PROTOCOL_VIOLATION.
	partsTestWantCode(t, l.handleRetire(0, wire.ConnID{}), wire.ProtocolViolation)
}

func TestLocalIDsRotate(t *testing.T) {
	l, _ := newLocalIDsTest(2)
	l.rotate() // number 1 is not even sent
	w := partsTestBuilder(1200)
	l.appendFrames(w)
	var got [][2]uint64
	for _, f := range idsTestNew(t, w.b) {
		got = append(got, [2]uint64{f.Sequence, f.RetirePriorTo})
	}
	// RFC 9000, section 19.15: Retire Prior To MUST NOT be above the sequence number.
	if d := cmp.Diff([][2]uint64{{1, 0}, {2, 2}, {3, 2}}, got); d != "" {
		t.Errorf("numbers and Retire Prior To (-want +got):\n%s", d)
	}
	// RFC 9000, section 5.1.2: no update before the peer followed the last one.
	l.rotate()
	if l.hasFrames() {
		t.Error("asks for more retirements before the last ones came")
	}
	dst, _ := idsTestID(2)
	for seq := range uint64(2) {
		partsTestWantCode(t, l.handleRetire(seq, dst), wire.NoError)
	}
	if l.hasFrames() {
		t.Error("the peer gets more IDs than it may hold")
	}
	l.rotate()
	if !l.hasFrames() {
		t.Error("cannot ask for retirements again")
	}
}

func TestLocalIDsExtra(t *testing.T) {
	l, e := newLocalIDsTest(2)
	id, _ := idsTestID(99)
	l.add(id)
	if !e.ids[id] || !slices.Contains(l.all(), id) {
		t.Error("the extra ID is not told")
	}
	l.dropExtra()
	if e.ids[id] || slices.Contains(l.all(), id) {
		t.Error("the extra ID stays")
	}
}
