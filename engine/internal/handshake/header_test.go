package handshake

import (
	"bytes"
	"crypto/tls"
	"testing"
)

// RFC 9001, section 5.4.2: a packet too short for a sample MUST be discarded.
func TestUnprotectTooShort(t *testing.T) {
	secret := bytes.Repeat([]byte{1}, 32)
	o, err := NewOpener(tls.TLS_AES_128_GCM_SHA256, secret)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		size     int
		pnOffset int
		want     bool
	}{
		{"just long enough", 1 + 4 + 16, 1, true},
		{"a byte short", 1 + 4 + 15, 1, false},
		{"empty", 0, 1, false},
		{"number beyond the end", 40, 41, false},
		{"number in the first byte", 40, 0, false},
		{"negative offset", 40, -1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			packet := bytes.Repeat([]byte{0x55}, tt.size)
			_, pnLen, ok := o.Unprotect(packet, tt.pnOffset)
			if ok != tt.want {
				t.Fatalf("ok is %v, want %v", ok, tt.want)
			}
			if ok == (pnLen == 0) {
				t.Errorf("a packet number of %d bytes, ok is %v", pnLen, ok)
			}
			if !ok && !bytes.Equal(packet, bytes.Repeat([]byte{0x55}, tt.size)) {
				t.Error("the packet was changed")
			}
		})
	}
}

// RFC 9001, section 5.4.1: 4 bits of a long header's first byte, 5 of a short one's,
// and the packet number; nothing else.
func TestProtectChangesOnlyProtectedBits(t *testing.T) {
	for _, id := range suites {
		s, err := NewSealer(id, bytes.Repeat([]byte{7}, 48))
		if err != nil {
			t.Fatal(err)
		}
		for first, want := range map[byte]byte{0xc0: 0x0f, 0xc3: 0x0f, 0x40: 0x1f, 0x43: 0x1f} {
			var changed byte
			for sample := range 64 {
				for pnLen := 1; pnLen <= 4; pnLen++ {
					packet := bytes.Repeat([]byte{byte(sample)}, 40)
					packet[0] = first
					before := bytes.Clone(packet)
					s.Protect(packet, 9, pnLen)
					changed |= packet[0] ^ before[0]
					if !bytes.Equal(packet[1:9], before[1:9]) || !bytes.Equal(packet[9+pnLen:], before[9+pnLen:]) {
						t.Fatalf("%s: bytes other than the first and %d of the packet number changed", tls.CipherSuiteName(id), pnLen)
					}
				}
			}
			if changed != want {
				t.Errorf("%s: bits %#02x of first byte %#02x were ever masked, want %#02x", tls.CipherSuiteName(id), changed, first, want)
			}
		}
	}
}

// A sample chooses ChaCha20's block counter: the last one must work, too.
func TestChaChaMaskOfLastBlock(t *testing.T) {
	s, err := suiteByID(tls.TLS_CHACHA20_POLY1305_SHA256)
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.headerKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	last := bytes.Clone(h.mask(bytes.Repeat([]byte{0xff}, sampleLen)))
	if again := h.mask(bytes.Repeat([]byte{0xff}, sampleLen)); !bytes.Equal(last, again) {
		t.Errorf("masks of one sample are %x and %x", last, again)
	}
	if bytes.Equal(last, make([]byte, 5)) {
		t.Error("the mask is all zeros")
	}
}
