package handshake

import (
	"golang.org/x/crypto/cryptobyte"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// TLS's handshake message types that matter after the handshake (RFC 8446, section
// 4).
const (
	messageNewSessionTicket   = 4
	messageCertificateRequest = 13
)

const (
	alertUnexpectedMessage = 10
	extensionEarlyData     = 42
	// maxMessage is the longest message that is looked into; crypto/tls refuses longer
	// ones.
	maxMessage = 4 + 64<<10
)

// postHandshake looks at the TLS messages that come in 1-RTT packets. crypto/tls
// refuses what it must, but with internal_error in place of the codes that QUIC
// prescribes.
type postHandshake struct {
	side    wire.Perspective
	message []byte // the one that is not complete
	skip    int    // how much is left of one too long to look into
}

// take looks at the next data, which it borrows.
func (p *postHandshake) take(data []byte) *wire.TransportError {
	for len(data) > 0 {
		if p.skip > 0 {
			n := min(p.skip, len(data))
			p.skip, data = p.skip-n, data[n:]
			continue
		}
		n := min(p.missing(), len(data))
		p.message = append(p.message, data[:n]...)
		data = data[n:]
		if err := p.checkType(p.message[0]); err != nil {
			return err
		}
		switch missing := p.missing(); {
		case len(p.message)+missing > maxMessage:
			p.skip, p.message = missing, nil
		case missing == 0:
			if !validEarlyData(p.message) {
				return violation(wire.ProtocolViolation, "session ticket with a max_early_data_size other than 0xffffffff")
			}
			p.message = nil
		}
	}
	return nil
}

// missing returns how many bytes the message needs still: of its header first, then
// of its body.
func (p *postHandshake) missing() int {
	const header = 4
	if len(p.message) < header {
		return header - len(p.message)
	}
	body := int(p.message[1])<<16 | int(p.message[2])<<8 | int(p.message[3])
	return header + body - len(p.message)
}

func (p *postHandshake) checkType(kind byte) *wire.TransportError {
	switch {
	case p.side == wire.Client && kind == messageNewSessionTicket:
		return nil
	case p.side == wire.Client && kind == messageCertificateRequest:
		// RFC 9001, section 4.4: clients MUST treat one after the handshake as a
		// PROTOCOL_VIOLATION.
		return violation(wire.ProtocolViolation, "TLS CertificateRequest after the handshake")
	}
	// RFC 9001, section 6: a TLS KeyUpdate MUST be error 0x010a; RFC 8446, section 4:
	// so is any other.
	return violation(wire.CryptoError+alertUnexpectedMessage, "TLS message that has no place after the handshake")
}

// validEarlyData reports whether a NewSessionTicket's early_data is as it must be. A
// message that cannot be parsed is crypto/tls's to refuse.
//
// RFC 9001, section 4.6.1: any value other than 0xffffffff MUST be a
// PROTOCOL_VIOLATION.
func validEarlyData(message []byte) bool {
	var nonce, ticket, extensions cryptobyte.String
	s := cryptobyte.String(message)
	if !s.Skip(4+4+4) || !s.ReadUint8LengthPrefixed(&nonce) || !s.ReadUint16LengthPrefixed(&ticket) || !s.ReadUint16LengthPrefixed(&extensions) {
		return true
	}
	for !extensions.Empty() {
		var kind uint16
		var data cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&data) {
			return true
		}
		var size uint32
		if kind == extensionEarlyData && data.ReadUint32(&size) && data.Empty() && size != 1<<32-1 {
			return false
		}
	}
	return true
}

func violation(code wire.ErrorCode, reason string) *wire.TransportError {
	return &wire.TransportError{Code: code, Frame: wire.TypeCrypto, Reason: reason}
}
