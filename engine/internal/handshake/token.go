package handshake

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// How long tokens are accepted.
const (
	// retryTokenLife is short, since clients return the token at once (RFC 9000,
	// section 8.1.4).
	retryTokenLife = 10 * time.Second
	// resumptionTokenLife is that of a token for a later connection.
	resumptionTokenLife = 24 * time.Hour
)

// ErrToken says that an address validation token is not one of ours, is too old, or
// is for another address.
var ErrToken = errors.New("handshake: address validation token is invalid, expired or for another address")

// Token is what an address validation token says.
type Token struct {
	// Retry tells a Retry packet's token from one for a later connection (RFC 9000,
	// section 8.1.1).
	Retry bool
	// Of Retry tokens: the Destination Connection ID that the Retry answered, and the
	// Retry's Source Connection ID (RFC 9000, section 7.3).
	OriginalDstID, RetrySrcID wire.ConnID
}

// Tokens makes and opens address validation tokens (RFC 9000, section 8.1). It
// keeps nothing: all is in the token, sealed with AES-256-GCM. It is safe for
// concurrent use.
type Tokens struct {
	aead cipher.AEAD
}

// The first byte of a token, in the clear: what it was made for.
const (
	kindRetry      = 0x52
	kindResumption = 0x4e
)

// NewTokens returns the Tokens of a secret key. One key is good for less than 2^32
// tokens, since their nonces are random, and for one epoch of the clock.
func NewTokens(key [32]byte) *Tokens {
	// A key of its own: the secret may serve other ends, too.
	derived, err := hkdf.Expand(sha256.New, key[:], "tquic address validation token", 32)
	if err != nil {
		panic("handshake: " + err.Error()) // sizes are constant
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		panic("handshake: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("handshake: " + err.Error())
	}
	return &Tokens{aead: aead}
}

// Retry returns the token of a Retry packet to addr. random must be new each time.
func (t *Tokens) Retry(now clock.Time, addr netip.AddrPort, originalDstID, retrySrcID wire.ConnID, random [12]byte) []byte {
	b := make([]byte, 0, 8+2*(1+wire.MaxConnIDLen))
	b = binary.BigEndian.AppendUint64(b, uint64(now))
	b = append(b, byte(originalDstID.Len()))
	b = originalDstID.Append(b)
	b = append(b, byte(retrySrcID.Len()))
	b = retrySrcID.Append(b)
	return t.seal(kindRetry, addr, random, b)
}

// MaxTokenAddresses is how many addresses a token for a later connection is good for at
// most: each makes it 16 bytes longer, and it goes into every Initial packet.
const MaxTokenAddresses = 8

// Resumption returns a token for a later connection from any of some IP addresses: what a
// NEW_TOKEN frame carries. random must be new each time. Of more than MaxTokenAddresses the
// last ones count.
func (t *Tokens) Resumption(now clock.Time, from []netip.Addr, random [12]byte) []byte {
	from = from[max(0, len(from)-MaxTokenAddresses):]
	b := make([]byte, 0, 8+16*len(from))
	b = binary.BigEndian.AppendUint64(b, uint64(now))
	for _, a := range from {
		ip := a.As16()
		b = append(b, ip[:]...)
	}
	return t.seal(kindResumption, netip.AddrPort{}, random, b)
}

// Open returns what a token says that came from addr, or ErrToken; Token.Retry is
// then what the token claims to be, as a bad Retry token ends the connection and
// another one does not (RFC 9000, sections 8.1.2 and 8.1.3).
func (t *Tokens) Open(now clock.Time, token []byte, addr netip.AddrPort) (Token, error) {
	if len(token) < 1+12+overhead {
		return Token{}, ErrToken
	}
	kind, nonce, sealed := token[0], token[1:13], token[13:]
	out := Token{Retry: kind == kindRetry}
	// RFC 9000, section 8.1.4: a token MUST be covered by integrity protection.
	b, err := t.aead.Open(nil, nonce, sealed, boundTo(kind, addr))
	if err != nil || len(b) < 8 {
		return out, ErrToken
	}
	age := now.Sub(clock.Time(binary.BigEndian.Uint64(b)))
	b = b[8:]
	switch kind {
	case kindRetry:
		var ok1, ok2 bool
		out.OriginalDstID, b, ok1 = cutConnID(b)
		out.RetrySrcID, b, ok2 = cutConnID(b)
		if !ok1 || !ok2 || len(b) > 0 || age < 0 || age > retryTokenLife {
			return Token{Retry: true}, ErrToken
		}
	case kindResumption:
		if !lists(b, addr.Addr()) || age < 0 || age > resumptionTokenLife {
			return out, ErrToken
		}
	default:
		return out, ErrToken
	}
	return out, nil
}

func (t *Tokens) seal(kind byte, addr netip.AddrPort, random [12]byte, plain []byte) []byte {
	b := make([]byte, 0, 1+len(random)+len(plain)+overhead)
	b = append(b, kind)
	b = append(b, random[:]...)
	return t.aead.Seal(b, random[:], plain, boundTo(kind, addr))
}

// boundTo returns what a token is valid for, as associated data. That of another one than a
// Retry token's is in it: see lists.
//
// RFC 9000, section 8.1.4: a Retry token SHOULD be for an IP address and a port.
func boundTo(kind byte, addr netip.AddrPort) []byte {
	if kind != kindRetry {
		return []byte{kind}
	}
	ip := addr.Addr().As16() // the same for IPv4 and IPv4 mapped into IPv6
	b := append(make([]byte, 0, 19), kind)
	b = append(b, ip[:]...)
	return binary.BigEndian.AppendUint16(b, addr.Port())
}

// lists reports whether addr is among the addresses that b consists of.
//
// RFC 9000, section 8.1.4: a token of NEW_TOKEN MUST be for an IP address; its port will be
// another.
func lists(b []byte, addr netip.Addr) bool {
	if len(b)%16 != 0 || !addr.IsValid() {
		return false
	}
	ip := addr.As16()
	for have := range slices.Chunk(b, 16) {
		if bytes.Equal(have, ip[:]) {
			return true
		}
	}
	return false
}

// cutConnID takes a connection ID with its length in front off b.
func cutConnID(b []byte) (id wire.ConnID, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > wire.MaxConnIDLen || len(b) < 1+int(b[0]) {
		return wire.ConnID{}, nil, false
	}
	n := 1 + int(b[0])
	return wire.NewConnID(b[1:n]), b[n:], true
}
