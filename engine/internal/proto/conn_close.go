package proto

import (
	"errors"
	"fmt"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// ErrStatelessReset is why a connection ended that the peer has forgotten (RFC 9000,
// section 10.3).
var ErrStatelessReset = errors.New("QUIC: the peer does not know the connection any more (stateless reset)")

// errNumbersUsed is why a connection ended that sent 2^62 packets.
var errNumbersUsed = errors.New("QUIC: all packet numbers are used up")

// TimeoutError is why a connection ended that heard nothing.
type TimeoutError struct {
	Handshake bool // the handshake took too long; else the connection was idle
	After     time.Duration
}

// Error says what took too long.
func (e *TimeoutError) Error() string {
	if e.Handshake {
		return fmt.Sprintf("QUIC: no handshake within %v", e.After)
	}
	return fmt.Sprintf("QUIC: nothing heard for %v", e.After)
}

// Timeout returns true: the error is a net.Error's time-out.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary returns false.
func (e *TimeoutError) Temporary() bool { return false }

// Error names what the server offers.
func (e *VersionError) Error() string {
	return fmt.Sprintf("QUIC: the server does not speak version 1: it offers %#x", e.Offered)
}

// ApplicationError is why an application closed the connection.
type ApplicationError struct {
	Code   uint64
	Reason string
	Remote bool // the peer's application did
}

// Error says who closed, with which code and why.
func (e *ApplicationError) Error() string {
	who := "this side"
	if e.Remote {
		who = "the peer"
	}
	s := fmt.Sprintf("QUIC: %s closed the connection with code %d", who, e.Code)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// closing is the end of a connection: what is said, how often and until when.
type closing struct {
	frame    wire.ConnectionClose
	until    clock.Time // end of the closing or draining period
	due      bool       // the close is to be sent
	heard    int        // packets since the last one sent
	patience int        // packets to hear before it is sent again
}

// maxReason bounds the reason phrase that is sent, bytes.
const maxReason = 512

// Close ends the connection with an application's error code and reason (RFC 9000,
// section 10.2). Data that is not acknowledged is lost.
func (c *Conn) Close(now clock.Time, code uint64, reason string) {
	if c.state != stateActive {
		return
	}
	c.closing.frame = wire.ConnectionClose{Application: true, Code: code, Reason: clip(reason)}
	c.startClosing(now, &ApplicationError{Code: code, Reason: reason})
}

// closeTransport ends the connection for a breach of the protocol.
func (c *Conn) closeTransport(now clock.Time, breach *wire.TransportError) {
	if c.state != stateActive {
		return
	}
	c.closing.frame = wire.ConnectionClose{Code: uint64(breach.Code), Frame: breach.Frame, Reason: clip(breach.Reason)}
	c.startClosing(now, breach)
}

func clip(reason string) []byte { return []byte(reason[:min(len(reason), maxReason)]) }

func (c *Conn) startClosing(now clock.Time, err error) {
	c.end(now, err, stateClosing)
	c.closing.due, c.closing.patience = true, 1
}

// end is the one place where a connection stops being active.
func (c *Conn) end(now clock.Time, err error, next connState) {
	if c.err == nil {
		c.err = err
	}
	c.state = next
	c.traceClosed(now, err)
	c.streams.close(err)
	c.datagrams.close()
	c.waiting = nil
	if c.tls != nil {
		_ = c.tls.Close() // says only that the handshake was not over
	}
	c.emit(Event{Kind: Closed, Err: err})
	if next == stateDrained {
		c.drained()
		return
	}
	// Section 10.2: closing and draining SHOULD last three PTOs.
	c.closing.until = now.Add(3 * c.pto())
}

// drained: nothing is left to do.
func (c *Conn) drained() {
	c.state = stateDrained
	for _, p := range c.paths {
		for _, id := range p.issued.all() {
			c.emit(Event{Kind: RetiredID, ID: id})
		}
	}
	c.emit(Event{Kind: Drained})
}

// peerClosed takes a CONNECTION_CLOSE: the connection drains, and MUST NOT send
// (RFC 9000, section 10.2.2).
func (c *Conn) peerClosed(now clock.Time, f wire.ConnectionClose) {
	var err error
	if f.Application {
		err = &ApplicationError{Code: f.Code, Reason: string(f.Reason), Remote: true}
	} else {
		err = &wire.TransportError{Code: wire.ErrorCode(f.Code), Frame: f.Frame, Reason: string(f.Reason), Remote: true}
	}
	c.end(now, err, stateDraining)
}

// packetHeard counts packets in the closing state: the close is sent again after 1,
// 2, 4 ... of them (section 10.2.1: SHOULD limit the rate).
func (l *closing) packetHeard() {
	l.heard++
	if l.heard >= l.patience {
		l.heard, l.due = 0, true
		l.patience *= 2
	}
}

// appendClose builds the datagram with the close, in every level whose keys the peer
// may have (section 10.2.3).
func (c *Conn) appendClose(now clock.Time, t *Transmit) bool {
	c.closing.due = false
	p := c.closingPath()
	size := min(int(p.mtu.size()), int(minUDPPayload), cap(t.Buf))
	if !p.amp.validated() {
		// RFC 9000, section 10.2.1: MUST limit what goes to an address not validated.
		size = int(min(wire.ByteCount(size), p.amp.room()))
	}
	// Only a client's Initial, and a server's that elicits an acknowledgement, must
	// fill its datagram (section 14.1); a close elicits none.
	pad := c.side == wire.Client && c.keys.initialSeal != nil && !c.confirmed
	for _, kind := range []wire.PacketType{wire.PacketInitial, wire.PacketHandshake, wire.PacketOneRTT} {
		if c.canSeal(kind) && !(kind != wire.PacketOneRTT && c.confirmed) {
			c.appendClosePacket(now, t, p, kind, size-len(t.Buf))
		}
	}
	if len(t.Buf) == 0 {
		return false
	}
	if pad {
		t.Buf = padDatagram(t.Buf, 0, size)
	}
	c.finishTrain(t, p, p.tuple, len(t.Buf))
	return true
}

func (c *Conn) appendClosePacket(now clock.Time, t *Transmit, p *path, kind wire.PacketType, size int) {
	f := c.closing.frame
	if f.Application && kind != wire.PacketOneRTT {
		// Section 10.2.3: an application's close becomes APPLICATION_ERROR, and its reason
		// MUST go, where it could be read before the handshake is complete.
		f = wire.ConnectionClose{Code: uint64(wire.ApplicationError)}
	}
	const least = 96 // a long header without a token, a close without a reason, a tag
	if size < least+len(c.token) {
		return
	}
	w, ok := c.beginPacket(p, kind, t.Buf, size)
	if !ok {
		return
	}
	// All levels share the datagram, so the reason is cut before one of them finds no room.
	if spare := w.room() - least; len(f.Reason) > spare {
		f.Reason = f.Reason[:max(0, spare)]
	}
	if f.Len() > w.room() {
		return
	}
	w.b = f.Append(w.b)
	if f.Application {
		w.added(wire.TypeCloseApplication)
	} else {
		w.added(wire.TypeCloseTransport)
	}
	if b, err := c.endPacket(now, &w); err == nil {
		t.Buf = b
	}
}

// padDatagram makes the datagram that begins at start size bytes long with bytes that
// no packet claims, which a receiver skips (RFC 9000, section 14.1).
func padDatagram(b []byte, start, size int) []byte {
	for len(b)-start < size {
		b = append(b, 0)
	}
	return b
}
