package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// RetryTag returns the Retry Integrity Tag of a Retry packet, given whole but for
// the tag. originalDstID is the Destination Connection ID of the Initial packet
// that the Retry answers (RFC 9001, section 5.8).
func RetryTag(originalDstID wire.ConnID, retryWithoutTag []byte) [16]byte {
	key := []byte{0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e}
	nonce := []byte{0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("handshake: " + err.Error()) // the key is constant
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("handshake: " + err.Error())
	}
	pseudo := make([]byte, 0, 1+wire.MaxConnIDLen+len(retryWithoutTag))
	pseudo = append(pseudo, byte(originalDstID.Len()))
	pseudo = originalDstID.Append(pseudo)
	pseudo = append(pseudo, retryWithoutTag...)
	return [16]byte(aead.Seal(nil, nonce, nil, pseudo))
}

// CheckRetry reports whether a whole Retry packet ends in the right tag.
//
// RFC 9000, section 17.2.5.2: clients MUST discard Retry packets whose tag cannot
// be validated.
func CheckRetry(originalDstID wire.ConnID, retry []byte) bool {
	n := len(retry) - 16
	if n < 0 {
		return false
	}
	tag := RetryTag(originalDstID, retry[:n])
	return subtle.ConstantTimeCompare(tag[:], retry[n:]) == 1
}
