package handshake

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// ErrDecrypt says that a packet could not be opened: it was forged or damaged, or
// its keys are gone. It is dropped (RFC 9001, section 5.5).
var ErrDecrypt = errors.New("handshake: packet failed authentication")

// Sealer protects the packets that one long-header level sends.
type Sealer struct {
	keys    packetKeys
	header  headerKey
	scratch [12]byte // the nonce: here, so that it does not escape per packet
}

// Opener removes the protection of the packets that one long-header level
// receives.
type Opener struct {
	keys    packetKeys
	header  headerKey
	scratch [12]byte
}

// NewSealer returns the Sealer for a TLS cipher suite and traffic secret.
func NewSealer(suiteID uint16, secret []byte) (*Sealer, error) {
	keys, header, err := direction(suiteID, secret)
	if err != nil {
		return nil, err
	}
	return &Sealer{keys: keys, header: header}, nil
}

// NewOpener returns the Opener for a TLS cipher suite and traffic secret.
func NewOpener(suiteID uint16, secret []byte) (*Opener, error) {
	keys, header, err := direction(suiteID, secret)
	if err != nil {
		return nil, err
	}
	return &Opener{keys: keys, header: header}, nil
}

func direction(suiteID uint16, secret []byte) (packetKeys, headerKey, error) {
	s, err := suiteByID(suiteID)
	if err != nil {
		return packetKeys{}, headerKey{}, err
	}
	keys, err := s.packetKeys(secret)
	if err != nil {
		return packetKeys{}, headerKey{}, err
	}
	header, err := s.headerKey(secret)
	return keys, header, err
}

// Overhead returns how many bytes longer a sealed payload is.
func (s *Sealer) Overhead() int { return overhead }

// Seal appends the sealed payload to dst and returns it. The header is
// authenticated up to and with its packet number, before header protection. All
// are borrowed; dst[len(dst):] and payload either begin at the same byte or do not
// overlap, and header lies outside of what is written.
func (s *Sealer) Seal(dst, header, payload []byte, path wire.PathID, pn wire.PacketNumber) []byte {
	s.keys.nonce(&s.scratch, path, pn)
	return s.keys.aead.Seal(dst, s.scratch[:], payload, header)
}

// Protect masks the header of a sealed packet, in place. It must be long enough for
// a sample: 20 bytes from pnOffset on (RFC 9001, section 5.4.2).
func (s *Sealer) Protect(packet []byte, pnOffset, pnLen int) {
	s.header.protect(packet, pnOffset, pnLen)
}

// Unprotect takes header protection off a packet, in place, and returns its
// truncated packet number. ok is false for a packet too short to have been
// protected, which is left as it was.
func (o *Opener) Unprotect(packet []byte, pnOffset int) (truncated uint32, pnLen int, ok bool) {
	return o.header.unprotect(packet, pnOffset)
}

// Open appends the payload to dst and returns it, or ErrDecrypt. What it borrows and
// what may overlap are as in Seal; after a failure the bytes at dst are lost.
func (o *Opener) Open(dst, header, payload []byte, path wire.PathID, pn wire.PacketNumber) ([]byte, error) {
	o.keys.nonce(&o.scratch, path, pn)
	out, err := o.keys.aead.Open(dst, o.scratch[:], payload, header)
	if err != nil {
		return nil, ErrDecrypt
	}
	return out, nil
}

// InitialKeys returns the keys of Initial packets. dstID is the Destination
// Connection ID of the client's first Initial packet, or of the first after a Retry
// (RFC 9001, section 5.2). The version must be one that wire knows.
func InitialKeys(version wire.Version, dstID wire.ConnID, side wire.Perspective) (*Sealer, *Opener) {
	client, server, err := initialSecrets(version, dstID)
	if err != nil {
		panic("handshake: " + err.Error())
	}
	mine, theirs := client, server
	if side == wire.Server {
		mine, theirs = server, client
	}
	// RFC 9001, section 5: before TLS has selected a suite it is AEAD_AES_128_GCM.
	s, err := NewSealer(tls.TLS_AES_128_GCM_SHA256, mine)
	if err != nil {
		panic("handshake: " + err.Error())
	}
	o, err := NewOpener(tls.TLS_AES_128_GCM_SHA256, theirs)
	if err != nil {
		panic("handshake: " + err.Error())
	}
	return s, o
}

func initialSecrets(version wire.Version, dstID wire.ConnID) (client, server []byte, err error) {
	if version != wire.Version1 {
		return nil, nil, fmt.Errorf("version %#x has no Initial keys here", uint32(version))
	}
	salt := []byte{
		0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
	}
	initial, err := hkdf.Extract(sha256.New, dstID.Bytes(), salt)
	if err != nil {
		return nil, nil, err
	}
	// RFC 9001, section 5.2: HKDF-Expand-Label of TLS 1.3, with SHA-256, MUST be used.
	s := suite{hash: sha256.New}
	client, err = s.expand(initial, "client in", sha256.Size)
	if err != nil {
		return nil, nil, err
	}
	server, err = s.expand(initial, "server in", sha256.Size)
	return client, server, err
}
