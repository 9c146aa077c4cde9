package handshake

import (
	"bytes"
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// ends are the two sides of a connection's 1-RTT keys, and a time that the test
// moves.
type ends struct {
	t      rapid.TB
	now    clock.Time
	me, it *OneRTT
}

// sealedPacket is a packet under way: a header of one byte and a packet number of
// two.
type sealedPacket struct {
	path  wire.PathID
	pn    wire.PacketNumber
	bytes []byte
}

const testPTO = 100 * time.Millisecond

// newEnds returns two ends that know the handshake to be confirmed.
func newEnds(t rapid.TB, suiteID uint16) *ends {
	t.Helper()
	a, b := bytes.Repeat([]byte{1}, 48), bytes.Repeat([]byte{2}, 48)
	me, err := NewOneRTT(suiteID, a, b)
	if err != nil {
		t.Fatal(err)
	}
	it, err := NewOneRTT(suiteID, b, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []*OneRTT{me, it} {
		o.Confirmed()
		o.SetPTO(testPTO)
	}
	return &ends{t: t, now: 1000, me: me, it: it}
}

// seal makes a packet of one end.
func (e *ends) seal(from *OneRTT, path wire.PathID, pn wire.PacketNumber) sealedPacket {
	e.t.Helper()
	b := []byte{0x41 | from.Phase()<<2, byte(pn >> 8), byte(pn)}
	b, err := from.Seal(b, b, []byte("payload"), path, pn)
	if err != nil {
		e.t.Fatalf("seal packet %d on path %d: %v", pn, path, err)
	}
	from.Protect(b, 1, 2)
	return sealedPacket{path, pn, b}
}

// open hands a packet to the other end.
func (e *ends) open(to *OneRTT, p sealedPacket) error {
	e.t.Helper()
	b := bytes.Clone(p.bytes)
	_, pnLen, ok := to.Unprotect(b, 1)
	if !ok || pnLen != 2 {
		e.t.Fatalf("Unprotect: a packet number of %d bytes, %v", pnLen, ok)
	}
	got, err := to.Open(e.now, b[3:3], b[:3], b[3:], p.path, p.pn, b[0]>>2&1)
	if err == nil && string(got) != "payload" {
		e.t.Fatalf("packet %d opened to %q", p.pn, got)
	}
	return err
}

func (e *ends) mustOpen(to *OneRTT, p sealedPacket) {
	e.t.Helper()
	if err := e.open(to, p); err != nil {
		e.t.Fatalf("packet %d on path %d did not open: %v", p.pn, p.path, err)
	}
}

// wantOpen checks the code of the connection error, or ErrDecrypt for code 0.
func (e *ends) wantOpenError(to *OneRTT, p sealedPacket, code wire.ErrorCode) {
	e.t.Helper()
	err := e.open(to, p)
	if code == 0 {
		if !errors.Is(err, ErrDecrypt) {
			e.t.Fatalf("packet %d: error %v, want ErrDecrypt", p.pn, err)
		}
		return
	}
	if got, ok := errors.AsType[*wire.TransportError](err); !ok || got.Code != code {
		e.t.Fatalf("packet %d: error %v, want %s", p.pn, err, code)
	}
}

// exchange sends a packet of each end, first me, and acknowledges both.
func (e *ends) exchange(path wire.PathID, pn wire.PacketNumber) {
	e.t.Helper()
	e.mustOpen(e.it, e.seal(e.me, path, pn))
	e.mustOpen(e.me, e.seal(e.it, path, pn))
	e.me.Acked(path, pn)
	e.it.Acked(path, pn)
}

// advance moves the time and lets both ends see it.
func (e *ends) advance(d time.Duration) {
	e.now = e.now.Add(d)
	for _, o := range []*OneRTT{e.me, e.it} {
		if e.now >= o.Timeout() {
			o.HandleTimeout(e.now)
		}
		if o.Timeout() <= e.now {
			e.t.Helper()
			e.t.Fatalf("after HandleTimeout at %d the next one is %d", e.now, o.Timeout())
		}
	}
}

func (e *ends) mustUpdate(o *OneRTT) {
	e.t.Helper()
	if err := o.Update(e.now); err != nil {
		e.t.Fatalf("update: %v", err)
	}
}

func (e *ends) wantPhases(me, it uint8) {
	e.t.Helper()
	if e.me.Phase() != me || e.it.Phase() != it {
		e.t.Fatalf("phases are %d and %d, want %d and %d", e.me.Phase(), e.it.Phase(), me, it)
	}
}

// RFC 9001, appendix A.5.
func TestShortHeaderVector(t *testing.T) {
	secret := unhex(t, "9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b")
	o, err := NewOneRTT(tls.TLS_CHACHA20_POLY1305_SHA256, secret, bytes.Clone(secret))
	if err != nil {
		t.Fatal(err)
	}
	const pn = 654360564
	header := unhex(t, "4200bff4")
	packet, err := o.Seal(bytes.Clone(header), header, []byte{0x01}, 0, pn)
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, "ciphertext", packet[4:], "655e5cd55c41f69080575d7999c25a5bfb")
	wantBytes(t, "mask", o.sendHeader.mask(packet[5:]), "aefefe7d03")
	o.Protect(packet, 1, 3)
	wantBytes(t, "packet", packet, "4cfe4189655e5cd55c41f69080575d7999c25a5bfb")

	truncated, pnLen, ok := o.Unprotect(packet, 1)
	if !ok || pnLen != 3 || truncated != 49140 {
		t.Fatalf("Unprotect: number %d of %d bytes, %v; want 49140 of 3", truncated, pnLen, ok)
	}
	got, err := o.Open(1, packet[4:4], packet[:4], packet[4:], 0, pn, packet[0]>>2&1)
	if err != nil || !bytes.Equal(got, []byte{0x01}) {
		t.Errorf("opened %x, %v; want 01", got, err)
	}
}

// A server seals before it may open (RFC 9001, section 5.7).
func TestOneRTTOpensLater(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
	half, err := NewOneRTT(tls.TLS_AES_128_GCM_SHA256, bytes.Repeat([]byte{2}, 48), nil)
	if err != nil {
		t.Fatal(err)
	}
	half.Confirmed()
	e.mustOpen(e.me, e.seal(half, 0, 0))
	half.Acked(0, 0)
	if half.CanOpen() || half.CanUpdate(e.now) {
		t.Error("it opens, or updates, without keys to open with")
	}
	if _, _, ok := half.Unprotect(make([]byte, 40), 1); ok {
		t.Error("Unprotect without keys")
	}
	if _, err := half.Open(e.now, nil, []byte{0x40}, make([]byte, 40), 0, 0, 0); !errors.Is(err, ErrDecrypt) {
		t.Errorf("Open without keys: %v, want ErrDecrypt", err)
	}
	if err := half.setReadSecret(bytes.Repeat([]byte{1}, 48)); err != nil {
		t.Fatal(err)
	}
	if !half.CanOpen() || !half.CanUpdate(e.now) {
		t.Error("it does not open, or update, with the keys")
	}
	e.mustOpen(half, e.seal(e.me, 0, 0))
}

// RFC 9001, section 6.6: packets sealed with one key MUST be counted; beyond the
// limit the keys MUST NOT be used.
func TestConfidentialityLimit(t *testing.T) {
	e := newEnds(t, tls.TLS_AES_256_GCM_SHA384)
	e.me.suite.confidentiality = 4
	for pn := range wire.PacketNumber(4) {
		if got, want := e.me.NeedsUpdate(), pn >= 2; got != want {
			t.Errorf("after %d of 4 packets NeedsUpdate is %v", pn, got)
		}
		e.mustOpen(e.it, e.seal(e.me, wire.PathID(pn), pn))
	}
	_, err := e.me.Seal(nil, []byte{0x40}, nil, 0, 4)
	if got, ok := errors.AsType[*wire.TransportError](err); !ok || got.Code != wire.AEADLimitReached {
		t.Fatalf("sealing beyond the limit: %v, want AEAD_LIMIT_REACHED", err)
	}
	// An update begins a new count.
	e.mustOpen(e.me, e.seal(e.it, 0, 0))
	e.me.Acked(0, 0)
	e.mustUpdate(e.me)
	if e.me.NeedsUpdate() {
		t.Error("new keys need an update")
	}
	e.mustOpen(e.it, e.seal(e.me, 0, 4))
}

// RFC 9001, section 6.6: packets that fail authentication MUST be counted over all
// keys; beyond the limit the connection MUST be closed and process no more packets.
func TestIntegrityLimit(t *testing.T) {
	e := newEnds(t, tls.TLS_CHACHA20_POLY1305_SHA256)
	e.me.suite.integrity = 3
	forge := func(path wire.PathID) sealedPacket {
		p := e.seal(e.it, path, 7)
		p.bytes[len(p.bytes)-1] ^= 1
		return p
	}
	for path := range wire.PathID(3) {
		e.wantOpenError(e.me, forge(path), 0)
	}
	e.exchange(0, 8)
	e.mustUpdate(e.me)
	e.wantOpenError(e.me, forge(0), wire.AEADLimitReached)
	e.wantOpenError(e.me, e.seal(e.it, 0, 9), wire.AEADLimitReached)
}

func TestOneRTTDoesNotAllocate(t *testing.T) {
	for _, id := range suites {
		t.Run(tls.CipherSuiteName(id), func(t *testing.T) {
			e := newEnds(t, id)
			b := make([]byte, 13+1200+overhead)
			pn := wire.PacketNumber(0)
			packet := func() {
				pn++
				b[0] = 0x43 | e.me.Phase()<<2
				sealed, err := e.me.Seal(b[:13], b[:13], b[13:][:1200], wire.PathID(pn&1), pn)
				if err != nil {
					t.Fatal(err)
				}
				e.me.Protect(sealed, 9, 4)
				if _, _, ok := e.it.Unprotect(sealed, 9); !ok {
					t.Fatal("the packet is too short")
				}
				if _, err := e.it.Open(e.now, sealed[13:13], sealed[:13], sealed[13:], wire.PathID(pn&1), pn, sealed[0]>>2&1); err != nil {
					t.Fatal(err)
				}
			}
			if n := testing.AllocsPerRun(100, packet); n > libraryAllocs(id) {
				t.Errorf("%v allocations per packet, want %v", n, libraryAllocs(id))
			}
			e.mustOpen(e.me, e.seal(e.it, 0, 0))
			e.me.Acked(0, 4)
			e.mustUpdate(e.me)
			packet()
			if n := testing.AllocsPerRun(100, packet); n > libraryAllocs(id) {
				t.Errorf("%v allocations per packet after an update, want %v", n, libraryAllocs(id))
			}
		})
	}
}

func FuzzOneRTTOpen(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789"), uint32(1), int64(7), uint8(1), true)
	f.Fuzz(func(t *testing.T, packet []byte, path uint32, pn int64, phase uint8, updated bool) {
		e := newEnds(t, tls.TLS_AES_128_GCM_SHA256)
		if updated {
			e.exchange(0, 1)
			e.mustUpdate(e.it)
			e.mustOpen(e.me, e.seal(e.it, 0, 2))
		}
		before := e.me.generation
		if _, err := e.me.Open(e.now, nil, packet, packet, wire.PathID(path), wire.PacketNumber(pn), phase&1); !errors.Is(err, ErrDecrypt) {
			t.Fatalf("a forged packet: %v, want ErrDecrypt", err)
		}
		if e.me.generation != before {
			t.Fatal("a forged packet updated the keys")
		}
	})
}
