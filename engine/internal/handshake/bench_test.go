package handshake

import (
	"bytes"
	"crypto/tls"
	"testing"
)

// BenchmarkPacket is what a 1452-byte packet costs, sealed and masked, and the other
// way round.
func BenchmarkPacket(b *testing.B) {
	const size = 1452
	names := map[uint16]string{
		tls.TLS_AES_128_GCM_SHA256:       "aes128gcm",
		tls.TLS_AES_256_GCM_SHA384:       "aes256gcm",
		tls.TLS_CHACHA20_POLY1305_SHA256: "chacha20poly1305",
	}
	for _, id := range suites {
		secret := bytes.Repeat([]byte{1}, 48)
		o, err := NewOneRTT(id, secret, secret)
		if err != nil {
			b.Fatal(err)
		}
		o.suite.confidentiality = 1 << 62
		header := []byte{0x43, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9}
		payload := make([]byte, size-len(header)-overhead)
		packet := make([]byte, size)
		b.Run("op=seal/suite="+names[id], func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				copy(packet, header)
				if _, err := o.Seal(packet[:len(header)], packet[:len(header)], payload, 0, 9); err != nil {
					b.Fatal(err)
				}
				o.Protect(packet, 9, 4)
			}
		})
		b.Run("op=open/suite="+names[id], func(b *testing.B) {
			sealed, err := o.Seal(bytes.Clone(header), header, payload, 0, 9)
			if err != nil {
				b.Fatal(err)
			}
			o.Protect(sealed, 9, 4)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				copy(packet, sealed)
				if _, _, ok := o.Unprotect(packet, 9); !ok {
					b.Fatal("too short")
				}
				if _, err := o.Open(1, packet[13:13], packet[:13], packet[13:], 0, 9, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
