package proto

import (
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// addressToken is what a server gives a client to prove its addresses with in a later
// connection (RFC 9000, section 8.1.3): a new one with each address that the client proves in
// this one.
type addressToken struct {
	mint   func(clock.Time, []netip.Addr) []byte // nil: the server gives none
	proven []netip.Addr                          // the client's, the newest last
	data   []byte                                // the newest token
	number uint64                                // of it
	wanted bool                                  // its NEW_TOKEN is to be sent
}

// proved notes that the client is known to be at an address.
//
// draft-ietf-quic-multipath-21, section 3.1.3: the token SHOULD be good for any of the
// addresses that were validated, since the client will use the newest, wherever it is then.
func (c *Conn) proved(now clock.Time, at netip.Addr) {
	t := &c.tokens
	at = at.Unmap()
	if t.mint == nil || !c.complete || slices.Contains(t.proven, at) {
		return
	}
	if len(t.proven) == handshake.MaxTokenAddresses {
		t.proven = slices.Delete(t.proven, 0, 1)
	}
	t.proven = append(t.proven, at)
	t.data, t.wanted = t.mint(now, t.proven), true
	t.number++
}

// appendFrame appends the NEW_TOKEN frame that is due; false: it does not fit.
func (t *addressToken) appendFrame(w *builder) bool {
	if !t.wanted {
		return true
	}
	f := wire.NewToken{Token: t.data}
	if w.room() < f.Len() {
		return false
	}
	w.b = f.Append(w.b)
	w.added(wire.TypeNewToken)
	w.note(frameRef{kind: refNewToken, off: t.number})
	t.wanted = false
	return true
}

// lost has the NEW_TOKEN frame sent again, unless there is a newer one.
func (t *addressToken) lost(r frameRef) { t.wanted = t.wanted || r.off == t.number }
