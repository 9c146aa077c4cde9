package proto

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// draft-ietf-quic-multipath-21, section 3.1.3: the client's last token is good for every
// address that it had in the connection, one that it moved to included, and for no other.
func TestTokenOfSeveralAddresses(t *testing.T) {
	pc := several(4)
	pc.endpoint.RetryAbove = -1
	moved := netip.MustParseAddrPort("203.0.113.77:4001")
	for name, tt := range map[string]struct {
		from  netip.AddrPort
		spare bool
	}{
		"of the handshake":           {clientAt(0), true},
		"of another path":            {clientAt(1), true},
		"of another path, new port":  {netip.AddrPortFrom(clientAt(1).Addr(), 9), true},
		"that a path moved to":       {moved, true},
		"that it never had":          {clientAt(3), false},
		"of a path not validated":    {clientAt(2), false},
		"of the handshake, new port": {netip.AddrPortFrom(clientAt(0).Addr(), 9), true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBondOf(t, pc, []line{{delay: 10 * time.Millisecond}, {delay: 15 * time.Millisecond}, {delay: 20 * time.Millisecond, down: true}})
			e := b.ends[wire.Client]
			for i := range 2 {
				if _, err := b.open(i + 1); err != nil {
					t.Fatal(err)
				}
			}
			b.run(5*time.Second, func() bool { return b.active(wire.Server) == 2 })
			b.idle(5 * time.Second) // the third fails
			e.nat = map[netip.AddrPort]netip.AddrPort{clientAt(1): moved}
			b.fate = nil // from anywhere
			b.delay = 10 * time.Millisecond
			b.client().Ping()
			x := newTransfer(b.pair, wire.Client, 1, 100_000)
			b.run(time.Minute, x.done)
			b.idle(time.Second)
			if n := e.seen[AddressToken]; n != 3 {
				t.Fatalf("%d tokens came, want one with each address", n)
			}
			cfg := b.client().cfg
			b.client().Close(b.now, 0, "")
			b.idle(10 * time.Second)
			e.nat, e.addr, e.more = nil, tt.from, nil
			b.dial(cfg, e.token)
			b.run(time.Second, func() bool { return b.client().complete })
			if got := !b.client().Stats().Retried; got != tt.spare {
				t.Errorf("from %v it spares the Retry: %v, want %v", tt.from, got, tt.spare)
			}
		})
	}
}

// A client that is at very many addresses has a token for the newest; one that comes back to
// an address that is in it gets no new one.
func TestTokenOfVeryManyAddresses(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, pairConfig{})
	tokens := handshake.NewTokens(s.pair.tokenKey())
	at := func(n int) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 99) }
	const addresses = 2 * handshake.MaxTokenAddresses
	for n := range addresses {
		s.conn.proved(s.now(), at(n).Addr())
		s.conn.proved(s.now(), netip.AddrFrom16(at(n).Addr().As16())) // the same
	}
	if got := s.conn.tokens.number; got != 1+addresses {
		t.Errorf("%d tokens were made, want one with each address", got)
	}
	for n := range addresses {
		_, err := tokens.Open(s.now(), s.conn.tokens.data, at(n))
		if want := n >= addresses-handshake.MaxTokenAddresses; (err == nil) != want {
			t.Errorf("the token is good for address %d: %v, want %v", n, err == nil, want)
		}
	}
	// They were too fast: only the newest is sent, and only that again.
	s.drain()
	if n := s.count(wire.TypeNewToken); n != 1 || string(s.wantFrame(wire.TypeNewToken).(wire.NewToken).Token) != string(s.conn.tokens.data) {
		t.Errorf("%d tokens were sent", n)
	}
	s.conn.tokens.lost(frameRef{kind: refNewToken, off: s.conn.tokens.number - 1})
	s.drain()
	if n := s.count(wire.TypeNewToken); n != 1 {
		t.Errorf("an old token was lost: %d were sent", n)
	}
	s.conn.tokens.lost(frameRef{kind: refNewToken, off: s.conn.tokens.number})
	s.drain()
	if n := s.count(wire.TypeNewToken); n != 2 {
		t.Errorf("the token was lost: %s", fmt.Sprint(s.heard()))
	}
}
