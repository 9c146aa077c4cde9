package handshake

import (
	"crypto/tls"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// unhex decodes hexadecimal, blanks and line ends aside.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readHex(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return unhex(t, string(b))
}

func wantBytes(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if w := unhex(t, want); string(got) != string(w) {
		t.Errorf("%s:\n got %x\nwant %x", what, got, w)
	}
}

// suites are the cipher suites of TLS 1.3 that QUIC has.
var suites = []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}

// The vectors of RFC 9001, appendices A.1 and A.5. RFC 9001, section 5.2:
// HKDF-Expand-Label with SHA-256 MUST be used for Initial secrets.
func TestExpand(t *testing.T) {
	client, server, err := initialSecrets(wire.Version1, wire.NewConnID(unhex(t, "8394c8f03e515708")))
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, "client secret", client, "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea")
	wantBytes(t, "server secret", server, "3c199828fd139efd216c155ad844cc81fb82fa8d7446fa7d78be803acdda951b")
	oneRTT := unhex(t, "9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b")
	tests := []struct {
		name   string
		suite  uint16
		secret []byte
		label  string
		want   string
	}{
		{"client key", tls.TLS_AES_128_GCM_SHA256, client, "quic key", "1f369613dd76d5467730efcbe3b1a22d"},
		{"client iv", tls.TLS_AES_128_GCM_SHA256, client, "quic iv", "fa044b2f42a3fd3b46fb255c"},
		{"client hp", tls.TLS_AES_128_GCM_SHA256, client, "quic hp", "9f50449e04a0e810283a1e9933adedd2"},
		{"server key", tls.TLS_AES_128_GCM_SHA256, server, "quic key", "cf3a5331653c364c88f0f379b6067e37"},
		{"server iv", tls.TLS_AES_128_GCM_SHA256, server, "quic iv", "0ac1493ca1905853b0bba03e"},
		{"server hp", tls.TLS_AES_128_GCM_SHA256, server, "quic hp", "c206b8d9b9f0f37644430b490eeaa314"},
		{"chacha key", tls.TLS_CHACHA20_POLY1305_SHA256, oneRTT, "quic key", "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8"},
		{"chacha iv", tls.TLS_CHACHA20_POLY1305_SHA256, oneRTT, "quic iv", "e0459b3474bdd0e44a41c144"},
		{"chacha hp", tls.TLS_CHACHA20_POLY1305_SHA256, oneRTT, "quic hp", "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4"},
		{"chacha ku", tls.TLS_CHACHA20_POLY1305_SHA256, oneRTT, "quic ku", "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := suiteByID(tt.suite)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.expand(tt.secret, tt.label, len(tt.want)/2)
			if err != nil {
				t.Fatal(err)
			}
			wantBytes(t, tt.label, got, tt.want)
		})
	}
	s, err := suiteByID(tls.TLS_CHACHA20_POLY1305_SHA256)
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.nextSecret(oneRTT)
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, "next phase's secret", next, "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9")
}

// The keys that are used are those of the vectors: packets of A.2, A.3 and A.5 prove
// the AEADs and header protection; this proves the IVs.
func TestPacketKeysIV(t *testing.T) {
	s, err := suiteByID(tls.TLS_CHACHA20_POLY1305_SHA256)
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.packetKeys(unhex(t, "9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b"))
	if err != nil {
		t.Fatal(err)
	}
	var n [12]byte
	k.nonce(&n, 0, 0)
	wantBytes(t, "nonce of packet 0", n[:], "e0459b3474bdd0e44a41c144")
	k.nonce(&n, 0, 654360564)
	wantBytes(t, "nonce of RFC 9001, A.5", n[:], "e0459b3474bdd0e46d417eb0")
}

// draft-ietf-quic-multipath-21, section 2.4, has the second case.
func TestNonce(t *testing.T) {
	k := packetKeys{ivHi: 0x6b26114b, ivLo: 0x9cba2b63a9e8dd4f}
	tests := []struct {
		name string
		path wire.PathID
		pn   wire.PacketNumber
		want string
	}{
		{"path 0 is RFC 9001's", 0, 54321, "6b26114b9cba2b63a9e8097e"},
		{"path 3", 3, 54321, "6b2611489cba2b63a9e8097e"},
		{"all bits", 1<<32 - 1, 1<<62 - 1, "94d9eeb4a345d49c561722b0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var n [12]byte
			k.nonce(&n, tt.path, tt.pn)
			wantBytes(t, "nonce", n[:], tt.want)
		})
	}
}

// RFC 9001, section 5.3: a suite without header protection MUST NOT be negotiated.
func TestSuiteByID(t *testing.T) {
	for _, id := range []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0x1305, 0} {
		if _, err := suiteByID(id); err == nil {
			t.Errorf("suite %#x was accepted", id)
		}
	}
	// RFC 9001, section 6.6.
	limits := map[uint16][2]uint64{
		tls.TLS_AES_128_GCM_SHA256:       {1 << 23, 1 << 52},
		tls.TLS_AES_256_GCM_SHA384:       {1 << 23, 1 << 52},
		tls.TLS_CHACHA20_POLY1305_SHA256: {1<<64 - 1, 1 << 36},
	}
	for id, want := range limits {
		s, err := suiteByID(id)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]uint64{s.confidentiality, s.integrity}; got != want {
			t.Errorf("limits of %s are %d, want %d", tls.CipherSuiteName(id), got, want)
		}
	}
}
