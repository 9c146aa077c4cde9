package wire

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// diffValues says how got differs from want, unexported fields included. Empty slices
// equal nil ones.
func diffValues(got, want any) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(ConnID{}, PreferredAddress{}), cmp.AllowUnexported(Ack{}))
}

func TestParseLong(t *testing.T) {
	dst, src := NewConnID(unhex(t, "aabb")), NewConnID(unhex(t, "cc"))
	const ids = "00000001 02aabb 01cc "
	header := func(typ PacketType) LongHeader {
		return LongHeader{Type: typ, Version: Version1, DstID: dst, SrcID: src}
	}
	with := func(h LongHeader, change func(*LongHeader)) LongHeader {
		change(&h)
		return h
	}
	long := "15" + hex.EncodeToString(longID(21))
	tests := []struct {
		name string
		in   string
		want LongHeader
		err  error
	}{
		{
			"initial with a token, coalesced", "c0" + ids + "02 7788 05 1122334455 e0ff",
			with(header(PacketInitial), func(h *LongHeader) {
				h.Token, h.Length, h.PNOffset, h.End = []byte{0x77, 0x88}, 5, 14, 19
			}), nil,
		},
		{
			"initial without a token", "c0" + ids + "00 4001 11",
			with(header(PacketInitial), func(h *LongHeader) { h.Length, h.PNOffset, h.End = 1, 13, 14 }), nil,
		},
		{
			"0-RTT", "d3" + ids + "02 1122",
			with(header(PacketZeroRTT), func(h *LongHeader) { h.Length, h.PNOffset, h.End = 2, 11, 13 }), nil,
		},
		{
			"handshake", "ef" + ids + "02 1122 00",
			with(header(PacketHandshake), func(h *LongHeader) { h.Length, h.PNOffset, h.End = 2, 11, 13 }), nil,
		},
		{
			"retry", "ff" + ids + "7788" + "00112233445566778899aabbccddeeff",
			with(header(PacketRetry), func(h *LongHeader) { h.Token, h.End = []byte{0x77, 0x88}, 28 }), nil,
		},
		// RFC 9000, section 17.2.5.2: a Retry without a token MUST be discarded.
		{
			"retry without a token", "ff" + ids + "00112233445566778899aabbccddeeff",
			with(header(PacketRetry), func(h *LongHeader) { h.End = 26 }), ErrRetryToken,
		},
		{"retry cut", "ff" + ids + "0011", with(header(PacketRetry), func(h *LongHeader) { h.End = 12 }), ErrTruncated},
		{
			"version negotiation", "80 00000000 02aabb 01cc 00000001",
			LongHeader{Type: PacketVersionNegotiation, DstID: dst, SrcID: src, End: 14},
			nil,
		},
		{
			"version negotiation with a long ID", "80 00000000 01bb" + long + "00000001",
			LongHeader{Type: PacketVersionNegotiation, End: 33},
			ErrConnIDLength,
		},
		{
			"another version", "80 00000002 02aabb 01cc",
			LongHeader{Version: 2, DstID: dst, SrcID: src, End: 10},
			ErrVersion,
		},
		// RFC 9000, section 17.2.1: the length of an ID MUST NOT keep a server from Version
		// Negotiation.
		{"another version with a long ID", "80 00000002 01bb" + long, LongHeader{Version: 2, End: 29}, ErrVersion},
		// RFC 9000, section 17.2: in version 1 it MUST have the packet dropped.
		{"long source ID", "c0 00000001 01bb" + long, LongHeader{Version: 1, End: 29}, ErrConnIDLength},
		{"long destination ID", "c0 00000001" + long + "01bb", LongHeader{Version: 1, End: 29}, ErrConnIDLength},
		// RFC 9000, section 17.2: a fixed bit of 0 MUST have the packet discarded.
		{"no fixed bit", "80" + ids + "00 01 11", with(header(PacketInitial), func(h *LongHeader) { h.End = 13 }), ErrFixedBit},
		{"length beyond the datagram", "e0" + ids + "03 1122", with(header(PacketHandshake), func(h *LongHeader) { h.End = 13 }), ErrTruncated},
		{"no length", "e0" + ids, with(header(PacketHandshake), func(h *LongHeader) { h.End = 10 }), ErrTruncated},
		{"token beyond the datagram", "c0" + ids + "05 11", with(header(PacketInitial), func(h *LongHeader) { h.End = 12 }), ErrTruncated},
		{"short header", "40", LongHeader{}, ErrShortHeader},
		{"nothing", "", LongHeader{}, ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseLong(unhex(t, tt.in))
			if err != tt.err {
				t.Fatalf("error is %v, want %v", err, tt.err)
			}
			if diff := diffValues(got, tt.want); diff != "" {
				t.Errorf("got + want -:\n%s", diff)
			}
		})
	}
}

// RFC 9000, section 17.2: the reserved bits MUST be 0.
func TestAppendLong(t *testing.T) {
	h := LongHeader{Type: PacketInitial, Version: Version1, DstID: NewConnID([]byte{0xaa}), SrcID: NewConnID([]byte{0xbb, 0xcc}), Token: []byte{0x77}, Length: 20}
	b := AppendLong(nil, h, 0x1234, 2)
	if got, want := hex.EncodeToString(b), "c10000000101aa02bbcc017740141234"; got != want {
		t.Errorf("Initial header is %s, want %s", got, want)
	}
	SetLength(b, len(b)-2, 0x3fff)
	if got, want := hex.EncodeToString(b), "c10000000101aa02bbcc01777fff1234"; got != want {
		t.Errorf("after SetLength it is %s, want %s", got, want)
	}
	h.Type = PacketHandshake // without a token then
	if got, want := hex.EncodeToString(AppendLong(nil, h, 5, 1)), "e00000000101aa02bbcc401405"; got != want {
		t.Errorf("Handshake header is %s, want %s", got, want)
	}
	for name, f := range map[string]func(){
		"a Retry with a packet number": func() { AppendLong(nil, LongHeader{Type: PacketRetry}, 0, 1) },
		"a Length of three bytes":      func() { SetLength(b, len(b)-2, 1<<14) },
	} {
		if !panics(f) {
			t.Errorf("%s went through", name)
		}
	}
}

func TestAppendRetry(t *testing.T) {
	want := LongHeader{Type: PacketRetry, Version: Version1, DstID: NewConnID([]byte{1}), SrcID: NewConnID([]byte{2, 3}), Token: []byte("token")}
	b := AppendRetry(nil, want)
	b = append(b, make([]byte, retryTagLen)...)
	want.End = len(b)
	got, err := ParseLong(b)
	if diff := diffValues(got, want); diff != "" || err != nil {
		t.Errorf("error %v; got + want -:\n%s", err, diff)
	}
}

// RFC 9000, section 17.3.1: the reserved bits MUST be 0.
func TestAppendShort(t *testing.T) {
	id := NewConnID(unhex(t, "aabbcc"))
	for _, tt := range []struct {
		phase uint8
		n     int
		want  string
	}{{0, 1, "40aabbcc78"}, {1, 4, "47aabbcc12345678"}} {
		if got := hex.EncodeToString(AppendShort(nil, id, tt.phase, 0x12345678, tt.n)); got != tt.want {
			t.Errorf("key phase %d, %d bytes: %s, want %s", tt.phase, tt.n, got, tt.want)
		}
	}
}

func TestLongHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := func(name string) ConnID {
			return NewConnID(rapid.SliceOfN(rapid.Byte(), 0, MaxConnIDLen).Draw(t, name))
		}
		want := LongHeader{
			Type:    rapid.SampledFrom([]PacketType{PacketInitial, PacketZeroRTT, PacketHandshake}).Draw(t, "type"),
			Version: Version1, DstID: id("dst"), SrcID: id("src"),
			Length: rapid.IntRange(4, 3000).Draw(t, "length"),
		}
		if want.Type == PacketInitial {
			want.Token = rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "token")
		}
		pnLen := rapid.IntRange(1, 4).Draw(t, "pnLen")
		b := AppendLong(nil, want, 7, pnLen)
		if got := LongHeaderLen(want, pnLen); got != len(b) {
			t.Fatalf("LongHeaderLen = %d, AppendLong appends %d", got, len(b))
		}
		want.PNOffset, want.End = len(b)-pnLen, len(b)-pnLen+want.Length
		b = append(b, bytes.Repeat([]byte{0xee}, 3100)...)
		got, err := ParseLong(b)
		if diff := diffValues(got, want); diff != "" || err != nil {
			t.Fatalf("error %v; got + want -:\n%s", err, diff)
		}
	})
}

func TestHeaderErrorsAndPacketTypesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for e := ErrTruncated; e <= ErrRetryToken+1; e++ {
		seen[e.Error()] = true
	}
	for p := PacketInitial; p <= PacketOneRTT+1; p++ {
		seen[p.String()] = true
	}
	if len(seen) != 7+7 {
		t.Errorf("%d different names, want 14: %v", len(seen), seen)
	}
}

// FuzzPacket walks a datagram as the demultiplexer does.
func FuzzPacket(f *testing.F) {
	h := LongHeader{Version: Version1, DstID: NewConnID([]byte{1, 2}), SrcID: NewConnID([]byte{3}), Token: []byte{4}, Length: 3}
	one := append(AppendLong(nil, h, 1, 2), 0xff)
	h.Type = PacketHandshake
	f.Add(append(AppendLong(one, h, 1, 2), 0xff))
	f.Add(AppendShort(nil, h.DstID, 1, 7, 2))
	f.Add(append(AppendRetry(nil, h), make([]byte, retryTagLen)...))
	f.Add(AppendVersionNegotiation(nil, longID(30), longID(2), []Version{1, 2}, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			inv, ok := ParseInvariant(b, 8)
			ParseVersions(b)
			h, err := ParseLong(b)
			if err == nil && (!ok || !inv.Long || inv.Version != h.Version ||
				!bytes.Equal(inv.DstID, h.DstID.Bytes()) || !bytes.Equal(inv.SrcID, h.SrcID.Bytes())) {
				t.Fatalf("ParseLong has %v where ParseInvariant has %v", h, inv)
			}
			if err == ErrVersion && (!ok || inv.Version != h.Version) {
				t.Fatalf("version %#x is unknown, ParseInvariant says %v, %t", h.Version, inv, ok)
			}
			if err != nil {
				return
			}
			if h.End <= 0 || h.End > len(b) || h.PNOffset+h.Length > h.End {
				t.Fatalf("offsets %d, %d and %d in %d bytes", h.PNOffset, h.Length, h.End, len(b))
			}
			b = b[h.End:]
		}
	})
}
