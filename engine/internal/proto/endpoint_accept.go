package proto

import (
	"bytes"
	"net/netip"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// response is a datagram that answers one of no connection.
type response struct {
	at   tuple
	data []byte
}

// maxResponses bounds the answers that wait. More are not worth sending.
const maxResponses = 64

// respond queues an answer to d.
func (e *Endpoint) respond(d *Datagram, data []byte) {
	if len(e.out) < maxResponses {
		e.out = append(e.out, response{tuple{d.Local, d.Remote}, data})
	}
}

// AppendResponse fills t with the next answer to a datagram of no connection; false
// when there is none.
func (e *Endpoint) AppendResponse(t *Transmit) bool {
	if len(e.out) == 0 {
		return false
	}
	r := e.out[0]
	e.out = e.out[1:]
	t.Buf = append(t.Buf[:0], r.data...)
	t.Local, t.Remote, t.Segment, t.ECN = r.at.local, r.at.remote, len(t.Buf), wire.NotECT
	return true
}

// handleUnknownLong takes a long header packet that no connection claims: a client's
// first, or nothing of ours.
func (e *Endpoint) handleUnknownLong(now clock.Time, d *Datagram, h *wire.InvariantHeader) Route {
	if e.cfg.Server == nil {
		return Route{}
	}
	if h.Version != wire.Version1 {
		e.negotiate(d, h)
		return Route{}
	}
	long, err := wire.ParseLong(d.Data)
	// RFC 9000, section 14.1: MUST discard an Initial in a datagram below 1200 bytes;
	// section 7.2: the client's choice MUST be 8 bytes at least.
	if err != nil || long.Type != wire.PacketInitial || len(d.Data) < int(minUDPPayload) || long.DstID.Len() < 8 {
		return Route{}
	}
	return e.accept(now, d, &long)
}

// negotiate answers a version that is not ours (RFC 9000, section 6.1), if the
// datagram is as large as a client's first must be.
func (e *Endpoint) negotiate(d *Datagram, h *wire.InvariantHeader) {
	if e.cfg.Server == nil || h.Version == 0 || h.Version == wire.Version1 || len(d.Data) < int(minUDPPayload) {
		return // section 6.1: MUST NOT answer a Version Negotiation packet with one
	}
	var b [2]byte
	fill(e.cfg.Random, b[:])
	// A version of the form 0x?a?a?a?a exercises the client's tolerance (section 6.3).
	grease := wire.Version(0x0a0a0a0a | uint32(b[1]&0xf0)<<8)
	e.respond(d, wire.AppendVersionNegotiation(nil, h.SrcID, h.DstID, []wire.Version{wire.Version1, grease}, b[0]))
}

// accept opens a connection, or asks for a proof of the address first.
func (e *Endpoint) accept(now clock.Time, d *Datagram, h *wire.LongHeader) Route {
	a := accepted{at: tuple{d.Local, d.Remote}, originalID: h.DstID, peerID: h.SrcID}
	if len(h.Token) > 0 {
		t, err := e.tokens.Open(now, h.Token, d.Remote)
		switch {
		case err == nil && t.Retry && t.RetrySrcID == h.DstID:
			a.retried, a.originalID, a.retryID, a.validated = true, t.OriginalDstID, t.RetrySrcID, true
		case err == nil && !t.Retry:
			a.validated = true
		case t.Retry:
			// Section 8.1.2: its client takes no second Retry, so it SHOULD be told at once.
			e.refuse(d, h, wire.InvalidToken)
			return Route{}
		}
		// Any other token is as good as none (section 8.1.3).
	}
	if !a.validated && e.halfOpen >= max(e.cfg.RetryAbove, 0) {
		e.retry(now, d, h)
		return Route{}
	}
	if !authentic(d.Data, h) {
		return Route{} // a damaged packet would fix the peer's connection ID, and cost memory
	}
	if len(e.conns) >= e.cfg.MaxConns {
		e.refuse(d, h, wire.ConnectionRefused)
		return Route{}
	}
	c := *e.cfg.Server
	c.Random, c.ResetKey = e.cfg.Random, e.cfg.ResetKey
	a.id = randomID(e.cfg.Random)
	a.mint = func(now clock.Time, from []netip.Addr) []byte { return e.tokens.Resumption(now, from, e.nonce()) }
	conn, err := newServer(now, c, a, e.cfg.SendPool)
	if err != nil {
		e.refuse(d, h, wire.ConnectionRefused)
		return Route{}
	}
	e.add(conn, a.id, h.DstID)
	return Route{Conn: conn, New: true}
}

// authentic reports whether the Initial packet that b begins with opens.
func authentic(b []byte, h *wire.LongHeader) bool {
	_, opener := handshake.InitialKeys(wire.Version1, h.DstID, wire.Server)
	p := bytes.Clone(b[:h.End])
	truncated, n, ok := opener.Unprotect(p, h.PNOffset)
	if !ok {
		return false
	}
	at := h.PNOffset + n
	_, err := opener.Open(p[at:at], p[:at], p[at:], 0, wire.DecodePacketNumber(wire.NoPacket, truncated, n))
	return err == nil
}

func (e *Endpoint) nonce() (b [12]byte) {
	fill(e.cfg.Random, b[:])
	return b
}

// retry asks the client to come again with a token (RFC 9000, section 8.1.2).
func (e *Endpoint) retry(now clock.Time, d *Datagram, h *wire.LongHeader) {
	id := randomID(e.cfg.Random)
	token := e.tokens.Retry(now, d.Remote, h.DstID, id, e.nonce())
	b := wire.AppendRetry(nil, wire.LongHeader{Version: wire.Version1, DstID: h.SrcID, SrcID: id, Token: token})
	tag := handshake.RetryTag(h.DstID, b)
	e.respond(d, append(b, tag[:]...))
}

// refuse closes a connection before it is one (RFC 9000, section 5.2.2).
func (e *Endpoint) refuse(d *Datagram, h *wire.LongHeader, code wire.ErrorCode) {
	sealer, _ := handshake.InitialKeys(wire.Version1, h.DstID, wire.Server)
	f := wire.ConnectionClose{Code: uint64(code)}
	id := randomID(e.cfg.Random)
	const pnLen = 1
	out := wire.LongHeader{
		Type: wire.PacketInitial, Version: wire.Version1, DstID: h.SrcID, SrcID: id,
		Length: pnLen + f.Len() + sealer.Overhead(),
	}
	b := wire.AppendLong(nil, out, 0, pnLen)
	header := len(b)
	b = sealer.Seal(b, b[:header], f.Append(nil), 0, 0)
	sealer.Protect(b, header-pnLen, pnLen)
	e.respond(d, b)
}

// reset answers a packet with a short header that no connection claims with a
// stateless reset, so that its sender learns that the connection is gone (RFC 9000,
// section 10.3). Each is shorter than
// what it answers, so that two endpoints never go on for ever (section 10.3.3: MUST).
func (e *Endpoint) reset(d *Datagram) {
	const typical = 43 // looks like a small packet
	size := min(len(d.Data)-1, typical)
	if size < minResetSize || len(d.Data) < 1+connIDLen {
		return
	}
	token := handshake.ResetToken(e.cfg.ResetKey, wire.NewConnID(d.Data[1:1+connIDLen]))
	b := make([]byte, size-len(token), size)
	fill(e.cfg.Random, b)
	b[0] = b[0]&0x3f | 0x40 // the fixed bit of a short header
	e.respond(d, append(b, token[:]...))
}
