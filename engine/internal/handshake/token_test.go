package handshake

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// RFC 9000, section 8.1.4: a token MUST be protected against change and MUST be for
// an IP address, a Retry token also for a port and for a short time.
func TestTokens(t *testing.T) {
	const (
		now    = clock.Time(1e15)
		second = time.Second
	)
	var (
		tokens  = NewTokens([32]byte{1})
		addr    = netip.MustParseAddrPort("192.0.2.1:4433")
		from    = netip.MustParseAddrPort
		odcid   = wire.NewConnID([]byte{1, 2, 3, 4, 5, 6, 7, 8})
		scid    = wire.NewConnID(bytes.Repeat([]byte{9}, wire.MaxConnIDLen))
		retry   = tokens.Retry(now, addr, odcid, scid, [12]byte{1})
		ip      = netip.MustParseAddr
		resumed = tokens.Resumption(now, []netip.Addr{addr.Addr()}, [12]byte{2})
		v6      = tokens.Resumption(now, []netip.Addr{ip("2001:db8::1")}, [12]byte{3})
		three   = tokens.Resumption(now, []netip.Addr{ip("2001:db8::1"), addr.Addr(), ip("192.0.2.9")}, [12]byte{5})
		many    = tokens.Resumption(now, slices.Repeat([]netip.Addr{ip("192.0.2.9"), addr.Addr()}, 20), [12]byte{6})
		newest  = tokens.Resumption(now, append([]netip.Addr{addr.Addr()}, slices.Repeat([]netip.Addr{ip("192.0.2.9")}, MaxTokenAddresses)...), [12]byte{7})
		none    = tokens.Resumption(now, nil, [12]byte{8})
		noIDs   = tokens.Retry(now, addr, wire.ConnID{}, wire.ConnID{}, [12]byte{4})
	)
	tests := []struct {
		name  string
		opens *Tokens
		token []byte
		now   clock.Time
		addr  netip.AddrPort
		want  Token
		ok    bool
	}{
		{"retry", tokens, retry, now, addr, Token{Retry: true, OriginalDstID: odcid, RetrySrcID: scid}, true},
		{"retry with empty IDs", tokens, noIDs, now, addr, Token{Retry: true}, true},
		{"retry at its end", tokens, retry, now.Add(10 * second), addr, Token{Retry: true, OriginalDstID: odcid, RetrySrcID: scid}, true},
		{"retry expired", tokens, retry, now.Add(10*second + 1), addr, Token{Retry: true}, false},
		{"retry of the future", tokens, retry, now - 1, addr, Token{Retry: true}, false},
		{"retry from another port", tokens, retry, now, from("192.0.2.1:4434"), Token{Retry: true}, false},
		{"retry from another address", tokens, retry, now, from("192.0.2.2:4433"), Token{Retry: true}, false},
		{"retry from the mapped address", tokens, retry, now, from("[::ffff:192.0.2.1]:4433"), Token{Retry: true, OriginalDstID: odcid, RetrySrcID: scid}, true},
		{"resumption", tokens, resumed, now, addr, Token{}, true},
		{"resumption from another port", tokens, resumed, now, from("192.0.2.1:99"), Token{}, true},
		{"resumption from another address", tokens, resumed, now, from("192.0.2.2:4433"), Token{}, false},
		{"resumption at its end", tokens, resumed, now.Add(24 * time.Hour), addr, Token{}, true},
		{"resumption expired", tokens, resumed, now.Add(24*time.Hour + 1), addr, Token{}, false},
		{"resumption of the future", tokens, resumed, now - 1, addr, Token{}, false},
		{"IPv6", tokens, v6, now, from("[2001:db8::1]:2"), Token{}, true},
		{"IPv6 from another address", tokens, v6, now, from("[2001:db8::2]:1"), Token{}, false},
		{"the first of several", tokens, three, now, from("[2001:db8::1]:7"), Token{}, true},
		{"the second of several", tokens, three, now, addr, Token{}, true},
		{"the second of several, mapped", tokens, three, now, from("[::ffff:192.0.2.1]:7"), Token{}, true},
		{"the last of several", tokens, three, now, from("192.0.2.9:7"), Token{}, true},
		{"none of several", tokens, three, now, from("192.0.2.2:4433"), Token{}, false},
		{"of several, expired", tokens, three, now.Add(24*time.Hour + 1), addr, Token{}, false},
		{"one of very many", tokens, many, now, addr, Token{}, true},
		{"the oldest of too many", tokens, newest, now, addr, Token{}, false},
		{"the newest of too many", tokens, newest, now, from("192.0.2.9:7"), Token{}, true},
		{"of no address", tokens, none, now, addr, Token{}, false},
		{"of no address, from none", tokens, none, now, netip.AddrPort{}, Token{}, false},
		{"another key", NewTokens([32]byte{2}), retry, now, addr, Token{Retry: true}, false},
		{"no address", tokens, retry, now, netip.AddrPort{}, Token{Retry: true}, false},
		{"empty", tokens, nil, now, addr, Token{}, false},
		{"a retry token called the other", tokens, append([]byte{kindResumption}, retry[1:]...), now, addr, Token{}, false},
		{"a kind of no use", tokens, append([]byte{0}, retry[1:]...), now, addr, Token{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.opens.Open(tt.now, tt.token, tt.addr)
			if (err == nil) != tt.ok || (err != nil && !errors.Is(err, ErrToken)) {
				t.Errorf("error %v, want success: %v", err, tt.ok)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(wire.ConnID{})); diff != "" {
				t.Errorf("token (-want +got):\n%s", diff)
			}
		})
	}
	if most := 1 + 12 + 8 + 16*MaxTokenAddresses + overhead; len(many) != most {
		t.Errorf("a token of very many addresses has %d bytes, want %d", len(many), most)
	}
	for _, token := range [][]byte{retry, resumed, three} {
		for i := range token {
			damaged := bytes.Clone(token)
			damaged[i] ^= 0x80
			if _, err := tokens.Open(now, damaged, addr); err == nil {
				t.Errorf("a token with byte %d of %d changed was accepted", i, len(token))
			}
			if _, err := tokens.Open(now, token[:i], addr); err == nil {
				t.Errorf("%d bytes of a token of %d were accepted", i, len(token))
			}
		}
	}
}

// A token sealed with our key but malformed inside is refused: another version of
// this program may have made it.
func TestTokenMalformedInside(t *testing.T) {
	tokens, addr := NewTokens([32]byte{1}), netip.MustParseAddrPort("192.0.2.1:4433")
	stamp := make([]byte, 8)
	for name, token := range map[string][]byte{
		"no time":            tokens.seal(kindRetry, addr, [12]byte{}, stamp[:7]),
		"no IDs":             tokens.seal(kindRetry, addr, [12]byte{}, stamp),
		"one ID":             tokens.seal(kindRetry, addr, [12]byte{}, append(bytes.Clone(stamp), 0)),
		"an ID too long":     tokens.seal(kindRetry, addr, [12]byte{}, append(bytes.Clone(stamp), append([]byte{21}, make([]byte, 22)...)...)),
		"an ID cut short":    tokens.seal(kindRetry, addr, [12]byte{}, append(bytes.Clone(stamp), 0, 2, 1)),
		"more after the IDs": tokens.seal(kindRetry, addr, [12]byte{}, append(bytes.Clone(stamp), 0, 0, 0)),
		"half an address":    tokens.seal(kindResumption, addr, [12]byte{}, append(bytes.Clone(stamp), make([]byte, 24)...)),
		"more after a time":  tokens.seal(kindResumption, addr, [12]byte{}, append(bytes.Clone(stamp), 0)),
		"of no kind":         tokens.seal(7, addr, [12]byte{}, stamp),
	} {
		if got, err := tokens.Open(1, token, addr); !errors.Is(err, ErrToken) || got.OriginalDstID.Len() > 0 {
			t.Errorf("%s: got %+v, %v; want ErrToken", name, got, err)
		}
	}
}

func FuzzTokensOpen(f *testing.F) {
	tokens, addr := NewTokens([32]byte{1}), netip.MustParseAddrPort("192.0.2.1:4433")
	f.Add(tokens.Retry(1, addr, wire.NewConnID([]byte{1}), wire.ConnID{}, [12]byte{}), false)
	f.Add(tokens.Resumption(1, []netip.Addr{addr.Addr(), netip.IPv6Loopback()}, [12]byte{}), false)
	f.Add([]byte{kindRetry, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}, true)
	f.Fuzz(func(t *testing.T, b []byte, inside bool) {
		token := b
		if inside && len(b) > 0 {
			token = tokens.seal(b[0], addr, [12]byte{}, b[1:]) // past the AEAD
		}
		got, err := tokens.Open(1, token, addr)
		if err != nil && (got.OriginalDstID.Len() > 0 || got.RetrySrcID.Len() > 0) {
			t.Fatalf("an error and a token: %+v, %v", got, err)
		}
	})
}
