package proto

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func newRemoteIDsTest() (*remoteIDs, *idsTestEvents) {
	r, e := new(remoteIDs), new(idsTestEvents)
	made, _ := idsTestID(1000)
	r.init(made, e.emit)
	first, _ := idsTestID(0)
	r.setFirst(first)
	return r, e
}

// idsTestFrame returns the NEW_CONNECTION_ID frame of the n-th ID.
func idsTestFrame(seq, before uint64) wire.NewConnectionID {
	id, token := idsTestID(int(seq))
	return wire.NewConnectionID{Sequence: seq, RetirePriorTo: before, ID: id, Token: token}
}

// idsTestRetired takes the RETIRE_CONNECTION_ID frames that are due.
func idsTestRetired(t partsTestT, r *remoteIDs) []uint64 {
	t.Helper()
	w := partsTestBuilder(1200)
	if !r.appendFrames(w) || r.hasFrames() {
		t.Errorf("retirements are left after %d bytes", len(w.b))
	}
	var seqs []uint64
	for b := w.b; len(b) > 0; {
		_, v, n, err := wire.ParseFrame(b)
		if err != nil {
			t.Fatalf("parse % x: %v", b, err)
		}
		seqs = append(seqs, v.(wire.RetireConnectionID).Sequence)
		b = b[n:]
	}
	return seqs
}

func TestRemoteIDsHandleNew(t *testing.T) {
	other := func(seq, before uint64, n int) wire.NewConnectionID {
		f := idsTestFrame(seq, before)
		f.ID, _ = idsTestID(n)
		return f
	}
	token := func(f wire.NewConnectionID) wire.NewConnectionID {
		f.Token[7]++
		return f
	}
	f := idsTestFrame
	tests := []struct {
		name    string
		frames  []wire.NewConnectionID
		want    wire.ErrorCode // of the last one
		current int
		retired []uint64
	}{
		{"up to the limit", []wire.NewConnectionID{f(1, 0), f(3, 0), f(2, 0)}, wire.NoError, 0, nil},
		// RFC 9000, section 5.1.1: above it MUST be a CONNECTION_ID_LIMIT_ERROR.
		{"above the limit", []wire.NewConnectionID{f(1, 0), f(2, 0), f(3, 0), f(4, 0)}, wire.ConnectionIDLimitError, 0, nil},
		// RFC 9000, section 19.15: the same frame again MUST NOT be an error.
		{"again", []wire.NewConnectionID{f(1, 0), f(1, 0), f(1, 0), f(1, 0), f(1, 0)}, wire.NoError, 0, nil},
		{"again with a Retire Prior To", []wire.NewConnectionID{f(1, 0), f(1, 1)}, wire.NoError, 1, []uint64{0}},
		{"one number, two IDs", []wire.NewConnectionID{f(1, 0), other(1, 0, 9)}, wire.ProtocolViolation, 0, nil},
		{"the first number, another ID", []wire.NewConnectionID{other(0, 0, 9)}, wire.ProtocolViolation, 0, nil},
		{"one ID, two numbers", []wire.NewConnectionID{f(1, 0), other(2, 0, 1)}, wire.ProtocolViolation, 0, nil},
		{"the first ID, another number", []wire.NewConnectionID{other(2, 0, 0)}, wire.ProtocolViolation, 0, nil},
		{"another token", []wire.NewConnectionID{f(1, 0), token(f(1, 0))}, wire.ProtocolViolation, 0, nil},
		// RFC 9000, section 5.1.2: what is below Retire Prior To MUST be retired before the
		// new one counts.
		{"replaces all", []wire.NewConnectionID{f(1, 0), f(2, 0), f(3, 0), f(4, 4)}, wire.NoError, 4, []uint64{1, 2, 3, 0}},
		{"replaces some", []wire.NewConnectionID{f(1, 0), f(2, 0), f(3, 2)}, wire.NoError, 2, []uint64{1, 0}},
		// RFC 9000, section 19.15: a Retire Prior To that does not grow MUST be ignored.
		{"an older Retire Prior To", []wire.NewConnectionID{f(3, 3), f(4, 1)}, wire.NoError, 3, []uint64{0}},
		// RFC 9000, section 19.15: one below Retire Prior To MUST be retired on arrival,
		// and once only.
		{"late", []wire.NewConnectionID{f(3, 3), f(2, 0), f(2, 0)}, wire.NoError, 3, []uint64{0, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := newRemoteIDsTest()
			for i, f := range tt.frames {
				want := wire.NoError
				if i == len(tt.frames)-1 {
					want = tt.want
				}
				partsTestWantCode(t, r.handleNew(f), want)
			}
			if tt.want != wire.NoError {
				return
			}
			if want, _ := idsTestID(tt.current); r.current() != want {
				t.Errorf("current ID %v, want %v", r.current(), want)
			}
			if d := cmp.Diff(tt.retired, idsTestRetired(t, r)); d != "" {
				t.Errorf("retired (-want +got):\n%s", d)
			}
		})
	}
}

func TestRemoteIDsOfZeroLength(t *testing.T) {
	r, _ := newRemoteIDsTest()
	r.setFirst(wire.ConnID{})
	// RFC 9000, section 19.15: MUST be a PROTOCOL_VIOLATION.
	partsTestWantCode(t, r.handleNew(idsTestFrame(1, 0)), wire.ProtocolViolation)
	// RFC 9000, section 5.1.1: zero length is used on every path.
	if id, ok := r.next(); !ok || id.Len() != 0 || r.hasFrames() {
		t.Errorf("next ID %v, %v", id, ok)
	}
}

func TestRemoteIDsNext(t *testing.T) {
	r, e := newRemoteIDsTest()
	first, _ := idsTestID(0)
	if id, ok := r.next(); ok || id != first {
		t.Errorf("next gave %v without a spare ID", id)
	}
	if r.isResetToken(wire.ResetToken{}) {
		t.Error("no token is known, and one counts")
	}
	_, token := idsTestID(500)
	r.setResetToken(token)
	_ = r.handleNew(idsTestFrame(2, 0))
	_ = r.handleNew(idsTestFrame(1, 0))
	_, unused := idsTestID(1)
	// RFC 9000, section 10.3.1: tokens of IDs not used MUST NOT be compared, nor those
	// of retired ones.
	if !r.isResetToken(token) || r.isResetToken(unused) || !e.tokens[token] || len(e.tokens) != 1 {
		t.Errorf("tokens in use: %v", e.tokens)
	}
	want, _ := idsTestID(1)
	if id, ok := r.next(); !ok || id != want || r.current() != want {
		t.Errorf("next ID %v, %v, want %v", id, ok, want)
	}
	if r.isResetToken(token) || !r.isResetToken(unused) || !e.tokens[unused] || len(e.tokens) != 1 {
		t.Errorf("tokens in use after the change: %v", e.tokens)
	}
	r.setResetToken(token) // too late, of an ID that is gone
	if r.isResetToken(token) {
		t.Error("the token of a retired ID counts")
	}
	if d := cmp.Diff([]uint64{0}, idsTestRetired(t, r)); d != "" {
		t.Errorf("retired (-want +got):\n%s", d)
	}
	// RFC 9000, section 13.3: RETIRE_CONNECTION_ID frames are sent again when lost.
	r.lost(frameRef{kind: refRetireConnectionID, off: 0})
	r.lost(frameRef{kind: refRetireConnectionID, off: 0})
	if d := cmp.Diff([]uint64{0}, idsTestRetired(t, r)); d != "" {
		t.Errorf("retired again (-want +got):\n%s", d)
	}
	r.acked(frameRef{kind: refRetireConnectionID, off: 0})
	r.lost(frameRef{kind: refRetireConnectionID, off: 0})
	if r.hasFrames() || len(r.retiring) > 0 {
		t.Error("an acknowledged retirement would be sent again")
	}
}

func TestRemoteIDsBoundRetirements(t *testing.T) {
	// RFC 9000, section 5.1.2: at least twice the limit are tracked; more may be a
	// CONNECTION_ID_LIMIT_ERROR.
	r, _ := newRemoteIDsTest()
	var err error
	seq := uint64(1)
	for ; err == nil && seq < 100; seq++ {
		err = r.handleNew(idsTestFrame(seq, seq))
	}
	partsTestWantCode(t, err, wire.ConnectionIDLimitError)
	if len(r.retiring) < 2*activeIDLimit || len(r.retiring) > maxRetiring+1 {
		t.Errorf("%d retirements are tracked", len(r.retiring))
	}
	// What we retire ourselves stops before that.
	r, _ = newRemoteIDsTest()
	n := 0
	for seq := uint64(1); seq < 100; seq++ {
		partsTestWantCode(t, r.handleNew(idsTestFrame(seq, 0)), wire.NoError)
		if _, ok := r.next(); !ok {
			break
		}
		n++
	}
	if n != maxRetiring {
		t.Errorf("changed the ID %d times without a retirement acknowledged, want %d", n, maxRetiring)
	}
	// Holes in what was retired are bounded, too.
	r, _ = newRemoteIDsTest()
	err = r.handleNew(idsTestFrame(1<<20, 1<<20))
	for seq := uint64(2); err == nil && seq < 1000; seq += 2 {
		err = r.handleNew(idsTestFrame(seq, 0))
		for _, s := range idsTestRetired(t, r) {
			r.acked(frameRef{off: s})
		}
	}
	partsTestWantCode(t, err, wire.ConnectionIDLimitError)
	if len(r.retired) > maxRetiredRanges+1 {
		t.Errorf("%d ranges of retired IDs", len(r.retired))
	}
}

func TestRemoteIDsNeverStayWithARetiredOne(t *testing.T) {
	// RFC 9000, section 5.1.2: a peer that wants all retired has to leave one.
	r, _ := newRemoteIDsTest()
	partsTestWantCode(t, r.handleNew(idsTestFrame(2, 0)), wire.NoError)
	r.next() // to 2
	partsTestWantCode(t, r.handleNew(idsTestFrame(1, 0)), wire.NoError)
	r.next() // to 1: a late one
	partsTestWantCode(t, r.handleNew(idsTestFrame(2, 2)), wire.ProtocolViolation)
}

func TestSeqSetModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s seqSet
		want := map[uint64]bool{}
		for _, seq := range rapid.SliceOfDistinct(rapid.Uint64Range(0, 40), rapid.ID).Draw(t, "seqs") {
			s.add(seq)
			want[seq] = true
		}
		for seq := range uint64(45) {
			if s.has(seq) != want[seq] {
				t.Fatalf("%v has %d: %v", s, seq, s.has(seq))
			}
		}
		for i, r := range s {
			if r.first > r.last || (i > 0 && s[i-1].last+1 >= r.first) {
				t.Fatalf("ranges %v", s)
			}
		}
	})
}

// idsTestPacket is a packet on its way in one direction or the other.
type idsTestPacket struct {
	toRemote bool
	dst      wire.ConnID
	b        []byte
	refs     []frameRef
	done     bool // acknowledged or declared lost
}

// idsTestLink carries packets between the two halves in any order, loses them and
// declares them lost when they are not.
type idsTestLink struct {
	l      *localIDs
	r      *remoteIDs
	le, re *idsTestEvents
	onWay  []*idsTestPacket
}

func (k *idsTestLink) send(toRemote bool) {
	w := partsTestBuilder(60)
	p := &idsTestPacket{toRemote: toRemote, dst: k.r.current()}
	if toRemote {
		k.l.appendFrames(w)
	} else {
		k.r.appendFrames(w)
	}
	for i := range w.log.next {
		p.refs = append(p.refs, *w.log.at(i))
	}
	if p.b = w.b; len(p.b) > 0 {
		k.onWay = append(k.onWay, p)
	}
}

// settle tells the packet's sender what became of it, once.
func (k *idsTestLink) settle(p *idsTestPacket, acked bool) {
	for _, ref := range p.refs {
		switch {
		case p.done:
		case p.toRemote && acked:
			k.l.acked(ref)
		case p.toRemote:
			k.l.lost(ref)
		case acked:
			k.r.acked(ref)
		default:
			k.r.lost(ref)
		}
	}
	p.done = true
}

func (k *idsTestLink) deliver(t partsTestT, p *idsTestPacket) {
	if !p.toRemote && !slices.Contains(k.l.all(), p.dst) {
		k.settle(p, false) // no connection has this ID any more
		return
	}
	for b := p.b; len(b) > 0; {
		_, v, n, err := wire.ParseFrame(b)
		if err == nil {
			switch f := v.(type) {
			case wire.NewConnectionID:
				err = k.r.handleNew(f)
			case wire.RetireConnectionID:
				err = k.l.handleRetire(f.Sequence, p.dst)
			}
		}
		if err != nil {
			t.Fatalf("a frame of an honest peer: %v", err)
		}
		b = b[n:]
	}
	k.settle(p, true)
}

func (k *idsTestLink) check(t partsTestT) {
	if id := k.r.current(); !k.le.ids[id] {
		t.Fatalf("packets go to %v, which the peer does not know: %v", id, k.le.ids)
	}
	if len(k.le.ids) != len(k.l.all()) || len(k.le.ids) > 2*maxIssuedIDs {
		t.Fatalf("%d IDs told, %d known", len(k.le.ids), len(k.l.all()))
	}
	if len(k.re.tokens) != 1 || !k.re.tokens[k.r.inUse.token] {
		t.Fatalf("tokens told: %v", k.re.tokens)
	}
	for i := range k.l.ids {
		if d := &k.l.ids[i]; d.id == k.r.current() && d.token != k.r.inUse.token {
			t.Fatalf("the two sides disagree about the token of number %d", d.seq)
		}
	}
}

// TestIDsOverALossyLink has both sides change IDs while frames are lost, late,
// doubled and out of order: neither may see an error, and the end is in order.
func TestIDsOverALossyLink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := &idsTestLink{}
		k.l, k.le = newLocalIDsTest(4)
		k.r, k.re = newRemoteIDsTest()
		k.r.setResetToken(k.l.ids[0].token)
		pick := func(t *rapid.T) *idsTestPacket {
			if len(k.onWay) == 0 {
				t.Skip("nothing is on its way")
			}
			return k.onWay[rapid.IntRange(0, len(k.onWay)-1).Draw(t, "packet")]
		}
		remove := func(p *idsTestPacket) {
			k.onWay = slices.DeleteFunc(k.onWay, func(q *idsTestPacket) bool { return p == q })
		}
		t.Repeat(map[string]func(*rapid.T){
			"send new":       func(*rapid.T) { k.send(true) },
			"send retire":    func(*rapid.T) { k.send(false) },
			"deliver":        func(t *rapid.T) { p := pick(t); remove(p); k.deliver(t, p) },
			"deliver double": func(t *rapid.T) { k.deliver(t, pick(t)) },
			"lose":           func(t *rapid.T) { p := pick(t); remove(p); k.settle(p, false) },
			"lose falsely":   func(t *rapid.T) { k.settle(pick(t), false) },
			"migrate":        func(*rapid.T) { k.r.next() },
			"rotate": func(t *rapid.T) {
				if len(k.r.retiring) > activeIDLimit {
					t.Skip("the peer may not know yet that its retirements arrived")
				}
				k.l.rotate()
			},
			"": func(t *rapid.T) { k.check(t) },
		})
		for k.l.hasFrames() || k.r.hasFrames() || len(k.onWay) > 0 {
			k.send(true)
			k.send(false)
			for len(k.onWay) > 0 {
				p := k.onWay[0]
				k.onWay = k.onWay[1:]
				k.deliver(t, p)
			}
		}
		k.check(t)
		if len(k.r.retiring) > 0 || len(k.l.ids) != 1+len(k.r.spare) || len(k.l.ids) != maxIssuedIDs {
			t.Fatalf("in the end %d retirements wait, one side has %d IDs, the other %d", len(k.r.retiring), len(k.l.ids), 1+len(k.r.spare))
		}
	})
}
