package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"hash"
	"math"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// overhead is the size of the tag of every AEAD in use (RFC 9001, section 5.3).
const overhead = 16

// suite is what QUIC makes of a TLS 1.3 cipher suite.
type suite struct {
	hash   func() hash.Hash
	keyLen int // of the AEAD and of header protection
	chacha bool
	// Limits of RFC 9001, section 6.6, in packets.
	confidentiality uint64 // sealed with one key
	integrity       uint64 // of a connection, that failed to open
}

// suiteByID returns the suite with that number in TLS's registry.
//
// RFC 9001, section 5.3: a cipher suite MUST NOT be negotiated unless a header
// protection scheme is defined for it; crypto/tls has no other than these.
func suiteByID(id uint16) (suite, error) {
	// The limits are those of RFC 9001, section 6.6; 2^62 packets, all there can be,
	// are within ChaCha20-Poly1305's.
	switch id {
	case tls.TLS_AES_128_GCM_SHA256:
		return suite{hash: sha256.New, keyLen: 16, confidentiality: 1 << 23, integrity: 1 << 52}, nil
	case tls.TLS_AES_256_GCM_SHA384:
		return suite{hash: sha512.New384, keyLen: 32, confidentiality: 1 << 23, integrity: 1 << 52}, nil
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		return suite{hash: sha256.New, keyLen: 32, chacha: true, confidentiality: math.MaxUint64, integrity: 1 << 36}, nil
	}
	return suite{}, fmt.Errorf("cipher suite %s has no use in QUIC", tls.CipherSuiteName(id))
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446, section 7.1).
func (s suite) expand(secret []byte, label string, n int) ([]byte, error) {
	const prefix = "tls13 "
	info := make([]byte, 0, 4+len(prefix)+len(label))
	info = binary.BigEndian.AppendUint16(info, uint16(n))
	info = append(info, byte(len(prefix)+len(label)))
	info = append(info, prefix...)
	info = append(info, label...)
	info = append(info, 0)
	out, err := hkdf.Expand(s.hash, secret, string(info), n)
	if err != nil {
		return nil, fmt.Errorf("derive %q: %w", label, err)
	}
	return out, nil
}

// nextSecret returns the secret of the key phase after that of secret (RFC 9001,
// section 6.1).
func (s suite) nextSecret(secret []byte) ([]byte, error) {
	return s.expand(secret, "quic ku", s.hash().Size())
}

// packetKeys protects payloads in one direction: an AEAD and its IV. The zero value
// stands for no keys.
type packetKeys struct {
	aead cipher.AEAD
	ivHi uint32 // the IV's first 4 bytes
	ivLo uint64 // its other 8
}

// packetKeys derives from a secret (RFC 9001, section 5.1).
func (s suite) packetKeys(secret []byte) (packetKeys, error) {
	key, err := s.expand(secret, "quic key", s.keyLen)
	if err != nil {
		return packetKeys{}, err
	}
	iv, err := s.expand(secret, "quic iv", 12)
	if err != nil {
		return packetKeys{}, err
	}
	k := packetKeys{ivHi: binary.BigEndian.Uint32(iv), ivLo: binary.BigEndian.Uint64(iv[4:])}
	k.aead, err = s.aead(key)
	return k, err
}

func (s suite) aead(key []byte) (cipher.AEAD, error) {
	if s.chacha {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// nonce writes the nonce of a packet to n: the IV xor the path ID and the packet
// number as one number of 96 bits (draft-ietf-quic-multipath-21, section 2.4). On
// path 0 it is that of RFC 9001, section 5.3.
func (k *packetKeys) nonce(n *[12]byte, path wire.PathID, pn wire.PacketNumber) {
	binary.BigEndian.PutUint32(n[:4], k.ivHi^uint32(path))
	binary.BigEndian.PutUint64(n[4:], k.ivLo^uint64(pn))
}
