package handshake

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// OneRTT protects 1-RTT packets in both directions, through all key phases and on
// all paths.
//
// Three generations of keys open packets: those of the current phase, the next
// ones, derived ahead, and for a while after an update the previous ones. Only the
// current ones seal.
type OneRTT struct {
	suite suite

	sendHeader, recvHeader headerKey // the same in all phases (RFC 9001, section 5.4)
	sealNonce, openNonce   [12]byte

	send, nextSend  packetKeys
	prev, cur, next packetKeys // to open with
	// The secrets of the newest generation that was derived.
	writeSecret, readSecret []byte

	generation uint64 // how many updates led to the current phase
	sealed     uint64 // packets, with the current keys
	failed     uint64 // packets that did not open, with any keys
	paths      []pathPhase

	confirmed bool       // the handshake
	acked     bool       // the peer has acknowledged a packet of the current phase
	ackedAt   clock.Time // when it did
	now       clock.Time // of the last packet
	pto       time.Duration
	dropAt    clock.Time // when prev goes; 0: not yet known
	prepareAt clock.Time // when next is to be derived; 0: it exists

	peerUpdates, ownUpdates int
}

// initialPTO stands in until SetPTO is called (RFC 9002, sections 6.2.1 and 6.2.2).
const initialPTO = 999 * time.Millisecond

// NewOneRTT returns the 1-RTT keys for a TLS cipher suite and traffic secrets, which
// it keeps. readSecret may be nil: nothing can be opened then.
func NewOneRTT(suiteID uint16, writeSecret, readSecret []byte) (*OneRTT, error) {
	s, err := suiteByID(suiteID)
	if err != nil {
		return nil, err
	}
	o := &OneRTT{suite: s, writeSecret: writeSecret, pto: initialPTO, paths: make([]pathPhase, 0, 4)}
	if o.send, err = s.packetKeys(writeSecret); err != nil {
		return nil, err
	}
	if o.sendHeader, err = s.headerKey(writeSecret); err != nil {
		return nil, err
	}
	if readSecret == nil {
		return o, nil
	}
	return o, o.setReadSecret(readSecret)
}

// setReadSecret adds the keys to open packets with, and derives the next phase's.
func (o *OneRTT) setReadSecret(secret []byte) (err error) {
	o.readSecret = secret
	if o.recvHeader, err = o.suite.headerKey(secret); err != nil {
		return err
	}
	if o.cur, err = o.suite.packetKeys(secret); err != nil {
		return err
	}
	return o.prepare()
}

// CanOpen reports whether the keys to open packets with exist. A server has them
// later than those to seal with.
func (o *OneRTT) CanOpen() bool { return o.cur.aead != nil }

// Phase returns the Key Phase bit of packets that are sealed now.
func (o *OneRTT) Phase() uint8 { return uint8(o.generation & 1) }

// Overhead returns how many bytes longer a sealed payload is.
func (o *OneRTT) Overhead() int { return overhead }

// Seal appends the sealed payload to dst and returns it; see Sealer.Seal. When the
// keys are used up and were not updated it returns a *wire.TransportError,
// AEAD_LIMIT_REACHED.
func (o *OneRTT) Seal(dst, header, payload []byte, path wire.PathID, pn wire.PacketNumber) ([]byte, error) {
	// RFC 9001, section 6.6: packets sealed with one key MUST be counted, and the key
	// MUST NOT be used beyond the limit.
	if o.sealed >= o.suite.confidentiality {
		return nil, wire.Errorf(wire.AEADLimitReached, "%d packets were sent with the same keys", o.sealed)
	}
	o.sealed++
	if !o.acked {
		o.sent(path, pn)
	}
	o.send.nonce(&o.sealNonce, path, pn)
	return o.send.aead.Seal(dst, o.sealNonce[:], payload, header), nil
}

// Protect masks the header of a sealed packet; see Sealer.Protect.
func (o *OneRTT) Protect(packet []byte, pnOffset, pnLen int) {
	o.sendHeader.protect(packet, pnOffset, pnLen)
}

// Unprotect takes header protection off; see Opener.Unprotect. ok is false, too,
// before CanOpen.
func (o *OneRTT) Unprotect(packet []byte, pnOffset int) (truncated uint32, pnLen int, ok bool) {
	if o.cur.aead == nil {
		return 0, 0, false
	}
	return o.recvHeader.unprotect(packet, pnOffset)
}

// Open appends the payload to dst and returns it; see Opener.Open. phase is the
// packet's Key Phase bit. A packet of the next phase moves both directions there.
//
// The error is ErrDecrypt for a packet to drop, and otherwise a
// *wire.TransportError that ends the connection: KEY_UPDATE_ERROR, or
// AEAD_LIMIT_REACHED after too many failures on all paths together.
func (o *OneRTT) Open(now clock.Time, dst, header, payload []byte, path wire.PathID, pn wire.PacketNumber, phase uint8) ([]byte, error) {
	if o.cur.aead == nil {
		return nil, ErrDecrypt
	}
	if o.failed > o.suite.integrity {
		return nil, o.forged()
	}
	o.now = max(o.now, now)
	which := o.choose(path, pn, phase)
	keys := &o.cur
	switch which {
	case previousKeys:
		keys = &o.prev
	case nextKeys:
		keys = &o.next
	}
	keys.nonce(&o.openNonce, path, pn)
	out, err := keys.aead.Open(dst, o.openNonce[:], payload, header)
	if err != nil {
		// RFC 9001, section 6.6: packets that fail authentication MUST be counted, over
		// all keys; beyond the limit the connection MUST be closed.
		if o.failed++; o.failed > o.suite.integrity {
			return nil, o.forged()
		}
		return nil, ErrDecrypt
	}
	if which == currentKeys && o.prev.aead == nil {
		return out, nil
	}
	if err := o.opened(now, which, path, pn); err != nil {
		return nil, err
	}
	return out, nil
}

func (o *OneRTT) forged() error {
	return wire.Errorf(wire.AEADLimitReached, "%d packets failed authentication", o.failed)
}
