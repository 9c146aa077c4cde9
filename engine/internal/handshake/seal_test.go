package handshake

import (
	"bytes"
	"crypto/tls"
	"errors"
	"testing"

	"golang.org/x/sys/cpu"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// The packets of RFC 9001, appendices A.2 and A.3: sealed and opened by both sides.
func TestInitialVectors(t *testing.T) {
	clientPayload := make([]byte, 1162)
	copy(clientPayload, readHex(t, "testdata/client_initial_crypto.hex"))
	tests := []struct {
		name             string
		side             wire.Perspective // that sends
		header           string
		pn               wire.PacketNumber
		pnLen            int
		payload          []byte
		sample, wantMask string
		want             []byte
	}{
		{
			name: "A.2 client Initial", side: wire.Client,
			header: "c300000001088394c8f03e5157080000449e00000002", pn: 2, pnLen: 4,
			payload: clientPayload,
			sample:  "d1b1c98dd7689fb8ec11d242b123dc9b", wantMask: "437b9aec36",
			want: readHex(t, "testdata/client_initial_packet.hex"),
		},
		{
			name: "A.3 server Initial", side: wire.Server,
			header: "c1000000010008f067a5502a4262b50040750001", pn: 1, pnLen: 2,
			payload: unhex(t, `02000000000600405a020000560303ee fce7f7b37ba1d1632e96677825ddf739
				88cfc79825df566dc5430b9a045a1200 130100002e00330024001d00209d3c94
				0d89690b84d08a60993c144eca684d10 81287c834d5311bcf32bb9da1a002b00 020304`),
			sample: "2cd0991cd25b0aac406a5816b6394100", wantMask: "2ec0d8356a",
			want: unhex(t, `cf000000010008f067a5502a4262b500 4075c0d95a482cd0991cd25b0aac406a
				5816b6394100f37a1c69797554780bb3 8cc5a99f5ede4cf73c3ec2493a1839b3
				dbcba3f6ea46c5b7684df3548e7ddeb9 c3bf9c73cc3f3bded74b562bfb19fb84
				022f8ef4cdd93795d77d06edbb7aaf2f 58891850abbdca3d20398c276456cbc4 2158407dd074ee`),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := wire.NewConnID(unhex(t, "8394c8f03e515708"))
			s, _ := InitialKeys(wire.Version1, id, tt.side)
			wantBytes(t, "mask", s.header.mask(unhex(t, tt.sample)), tt.wantMask)
			header := unhex(t, tt.header)
			pnOffset := len(header) - tt.pnLen
			packet := s.Seal(bytes.Clone(header), header, tt.payload, 0, tt.pn)
			s.Protect(packet, pnOffset, tt.pnLen)
			if !bytes.Equal(packet, tt.want) {
				t.Fatalf("packet:\n got %x\nwant %x", packet, tt.want)
			}

			_, o := InitialKeys(wire.Version1, id, tt.side.Peer())
			truncated, pnLen, ok := o.Unprotect(packet, pnOffset)
			if !ok || pnLen != tt.pnLen || wire.PacketNumber(truncated) != tt.pn {
				t.Fatalf("Unprotect: number %d of %d bytes, %v; want %d of %d", truncated, pnLen, ok, tt.pn, tt.pnLen)
			}
			wantBytes(t, "header", packet[:len(header)], tt.header)
			sealed := packet[len(header):]
			payload, err := o.Open(sealed[:0], packet[:len(header)], sealed, 0, tt.pn)
			if err != nil || !bytes.Equal(payload, tt.payload) {
				t.Errorf("opened %x, %v; want %x", payload, err, tt.payload)
			}
		})
	}
}

func TestInitialKeysOfUnknownVersion(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("keys for a version without a salt")
		}
	}()
	InitialKeys(0xbabababa, wire.ConnID{}, wire.Client)
}

// pair returns the two ends of one direction.
func pair(t testing.TB, suiteID uint16) (*Sealer, *Opener) {
	t.Helper()
	secret := bytes.Repeat([]byte{0x2a}, 48)
	s, err := NewSealer(suiteID, secret)
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOpener(suiteID, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s, o
}

// What is sealed, from its own memory or from elsewhere, opens again; and not after
// any change.
func TestSealOpen(t *testing.T) {
	for _, id := range suites {
		t.Run(tls.CipherSuiteName(id), rapid.MakeCheck(func(t *rapid.T) {
			header := rapid.SliceOfN(rapid.Byte(), 5, 60).Draw(t, "header")
			payload := rapid.SliceOfN(rapid.Byte(), 4, 300).Draw(t, "payload")
			path := wire.PathID(rapid.Uint32().Draw(t, "path"))
			pn := wire.PacketNumber(rapid.Int64Range(0, 1<<62-1).Draw(t, "pn"))
			pnLen := rapid.IntRange(1, min(4, len(header)-1)).Draw(t, "pnLen")
			header[0] = header[0]&^3 | byte(pnLen-1)
			pnOffset := len(header) - pnLen
			secret := bytes.Repeat([]byte{0x2a}, 48)
			s, err := NewSealer(id, secret)
			if err != nil {
				t.Fatal(err)
			}
			o, err := NewOpener(id, secret)
			if err != nil {
				t.Fatal(err)
			}

			packet := make([]byte, len(header), len(header)+len(payload)+s.Overhead())
			copy(packet, header)
			if rapid.Bool().Draw(t, "in place") {
				inside := append(packet, payload...)
				packet = s.Seal(packet, packet, inside[len(header):], path, pn)
			} else {
				packet = s.Seal(packet, header, payload, path, pn)
			}
			if got, want := len(packet), len(header)+len(payload)+s.Overhead(); got != want {
				t.Fatalf("a packet of %d bytes, want %d", got, want)
			}
			s.Protect(packet, pnOffset, pnLen)

			damaged := bytes.Clone(packet)
			bit := rapid.IntRange(0, 8*len(damaged)-1).Draw(t, "bit")
			damaged[bit/8] ^= 1 << (bit % 8)
			if _, n, ok := o.Unprotect(damaged, pnOffset); ok && pnOffset+n <= len(damaged) {
				body := damaged[pnOffset+n:]
				if _, err := o.Open(nil, damaged[:pnOffset+n], body, path, pn); !errors.Is(err, ErrDecrypt) {
					t.Fatalf("bit %d changed: error %v, want ErrDecrypt", bit, err)
				}
			}

			_, n, ok := o.Unprotect(packet, pnOffset)
			if !ok || n != pnLen || !bytes.Equal(packet[:len(header)], header) {
				t.Fatalf("Unprotect: header %x, number of %d bytes, %v; want %x, %d", packet[:len(header)], n, ok, header, pnLen)
			}
			for name, open := range map[string]struct {
				path wire.PathID
				pn   wire.PacketNumber
			}{"another path": {path ^ 1, pn}, "another number": {path, pn ^ 1}} {
				if _, err := o.Open(nil, header, packet[len(header):], open.path, open.pn); !errors.Is(err, ErrDecrypt) {
					t.Fatalf("%s: error %v, want ErrDecrypt", name, err)
				}
			}
			sealed := packet[len(header):]
			got, err := o.Open(sealed[:0], header, sealed, path, pn)
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("opened %x, %v; want %x", got, err, payload)
			}
		}))
	}
}

// libraryAllocs returns how often the AEAD itself allocates to seal and open one
// packet. x/crypto's portable ChaCha20-Poly1305 does, once each way; its assembler,
// which needs these instructions, does not.
func libraryAllocs(suiteID uint16) float64 {
	if suiteID == tls.TLS_CHACHA20_POLY1305_SHA256 && !(cpu.X86.HasAVX2 && cpu.X86.HasBMI2) {
		return 2
	}
	return 0
}

func TestSealAndOpenDoNotAllocate(t *testing.T) {
	for _, id := range suites {
		t.Run(tls.CipherSuiteName(id), func(t *testing.T) {
			s, o := pair(t, id)
			b := make([]byte, 13+1200+overhead)
			n := testing.AllocsPerRun(100, func() {
				b[0] = 0x43
				packet := s.Seal(b[:13], b[:13], b[13:][:1200], 1, 99)
				s.Protect(packet, 9, 4)
				if _, _, ok := o.Unprotect(packet, 9); !ok {
					t.Fatal("the packet is too short")
				}
				if _, err := o.Open(packet[13:13], packet[:13], packet[13:], 1, 99); err != nil {
					t.Fatal(err)
				}
			})
			if want := libraryAllocs(id); n > want {
				t.Errorf("%v allocations per packet, want %v", n, want)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(readHex(f, "testdata/client_initial_packet.hex"), 18, uint32(0), uint8(0))
	f.Add([]byte{0x43, 1, 2, 3}, 1, uint32(3), uint8(1))
	f.Add(make([]byte, 21), 1, uint32(3), uint8(2))
	f.Fuzz(func(t *testing.T, packet []byte, pnOffset int, path uint32, which uint8) {
		_, o := pair(t, suites[int(which)%len(suites)])
		truncated, pnLen, ok := o.Unprotect(packet, pnOffset)
		if !ok {
			return
		}
		if pnLen < 1 || pnLen > 4 || uint64(truncated) >= 1<<(8*pnLen) {
			t.Fatalf("packet number %d of %d bytes", truncated, pnLen)
		}
		body := packet[pnOffset+pnLen:]
		if _, err := o.Open(body[:0], packet[:pnOffset+pnLen], body, wire.PathID(path), wire.PacketNumber(truncated)); err == nil {
			t.Fatal("a forged packet opened")
		}
	})
}
