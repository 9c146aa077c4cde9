package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"golang.org/x/crypto/chacha20"
)

// sampleLen is how much ciphertext header protection samples, and sampleOffset
// where, counted from the start of the packet number (RFC 9001, section 5.4.2).
const (
	sampleLen    = 16
	sampleOffset = 4
)

// headerKey protects headers in one direction.
type headerKey struct {
	block  cipher.Block // AES; nil: ChaCha20
	chacha [chacha20.KeySize]byte
	// out is where masks are made: memory of its own, so that none escapes per packet.
	out [aes.BlockSize]byte
}

// headerKey derives from a secret (RFC 9001, section 5.4).
func (s suite) headerKey(secret []byte) (headerKey, error) {
	key, err := s.expand(secret, "quic hp", s.keyLen)
	if err != nil {
		return headerKey{}, err
	}
	var h headerKey
	if s.chacha {
		copy(h.chacha[:], key)
		return h, nil
	}
	h.block, err = aes.NewCipher(key)
	return h, err
}

// mask returns the 5 bytes for a sample of sampleLen (RFC 9001, sections 5.4.3 and
// 5.4.4), in h's memory until the next call.
func (h *headerKey) mask(sample []byte) []byte {
	if h.block != nil {
		h.block.Encrypt(h.out[:], sample)
		return h.out[:5]
	}
	c, err := chacha20.NewUnauthenticatedCipher(h.chacha[:], sample[4:sampleLen])
	if err != nil {
		panic("handshake: " + err.Error()) // the key's and the nonce's sizes are constant
	}
	c.SetCounter(binary.LittleEndian.Uint32(sample))
	clear(h.out[:5])
	c.XORKeyStream(h.out[:5], h.out[:5])
	return h.out[:5]
}

// protect masks the header of a sealed packet.
func (h *headerKey) protect(packet []byte, pnOffset, pnLen int) {
	mask := h.mask(packet[pnOffset+sampleOffset:][:sampleLen])
	packet[0] ^= mask[0] & protectedBits(packet[0])
	pn := packet[pnOffset:][:pnLen]
	for i := range pn {
		pn[i] ^= mask[1+i]
	}
}

// unprotect takes the mask off.
func (h *headerKey) unprotect(packet []byte, pnOffset int) (truncated uint32, pnLen int, ok bool) {
	// RFC 9001, section 5.4.2: packets too short for a sample MUST be discarded.
	if pnOffset < 1 || len(packet)-pnOffset < sampleOffset+sampleLen {
		return 0, 0, false
	}
	mask := h.mask(packet[pnOffset+sampleOffset:][:sampleLen])
	packet[0] ^= mask[0] & protectedBits(packet[0])
	pn := packet[pnOffset:][:int(packet[0]&0x03)+1]
	for i := range pn {
		pn[i] ^= mask[1+i]
		truncated = truncated<<8 | uint32(pn[i])
	}
	return truncated, len(pn), true
}

// protectedBits returns which bits of the first byte are masked: 4 of a long
// header, 5 of a short one (RFC 9001, section 5.4.1). The bit that tells is not.
func protectedBits(first byte) byte {
	if first&0x80 != 0 {
		return 0x0f
	}
	return 0x1f
}
