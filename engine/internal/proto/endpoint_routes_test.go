package proto

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// dialled returns an endpoint with two connections of its own.
func dialled(t *testing.T, c EndpointConfig) (e *Endpoint, one, two *Conn) {
	t.Helper()
	e = newServerEndpoint(t, c)
	_, tls := testTLS(t)
	var conns [2]*Conn
	for i := range conns {
		var err error
		if conns[i], err = e.Dial(1, Config{TLS: tls}, clientAddr, serverAddr, nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conns[i].Close(1, 0, "") })
	}
	return e, conns[0], conns[1]
}

// routed returns whom a short header packet to id is for.
func routed(e *Endpoint, id wire.ConnID) *Conn {
	b := append(append([]byte{0x40}, id.Bytes()...), make([]byte, 100)...)
	return e.Handle(1, &Datagram{Local: clientAddr, Remote: serverAddr, Data: b}).Conn
}

func TestRoutesFollowEvents(t *testing.T) {
	e, one, two := dialled(t, EndpointConfig{})
	ids := len(e.conns[one].ids)
	e.HandleEvent(one, Event{Kind: IssuedID, ID: someID(1)})
	if routed(e, someID(1)) != one {
		t.Error("an ID that was issued leads nowhere")
	}
	// An ID has one owner, until that one gives it up.
	e.HandleEvent(two, Event{Kind: IssuedID, ID: someID(1)})
	e.HandleEvent(two, Event{Kind: RetiredID, ID: someID(1)})
	if routed(e, someID(1)) != one {
		t.Error("another connection took the ID or gave it up")
	}
	e.HandleEvent(one, Event{Kind: RetiredID, ID: someID(1)})
	if routed(e, someID(1)) != nil {
		t.Error("an ID that was retired leads to its connection, as did the last datagram")
	}
	if n := len(e.conns[one].ids); n != ids {
		t.Errorf("%d IDs are remembered, want %d", n, ids)
	}
	e.HandleEvent(one, Event{Kind: IssuedID, ID: someID(2)})
	e.HandleEvent(one, Event{Kind: Drained})
	if routed(e, someID(2)) != nil {
		t.Error("a connection that is over gets datagrams")
	}
	if _, left := e.conns[one]; left || e.conns[two] == nil {
		t.Error("not one connection, but the other is gone")
	}
}

// RFC 9000, section 10.3: a datagram that ends in a token MUST be taken for a stateless
// reset, whatever its header looks like.
func TestResetTokensFollowEvents(t *testing.T) {
	e, one, two := dialled(t, EndpointConfig{})
	token := wire.ResetToken{1, 2, 3}
	resets := func() *Conn {
		short := append(append([]byte{0x40}, make([]byte, 30)...), token[:]...)
		r := e.Handle(1, &Datagram{Data: short})
		long := append(initial(someID(8), someID(9), nil, 1200)[:100], token[:]...)
		if l := e.Handle(1, &Datagram{Data: long}); l != r {
			t.Errorf("with a short header for %p, with a long one for %p", r.Conn, l.Conn)
		}
		if r.Conn != nil && !r.Reset {
			t.Error("it is no reset")
		}
		return r.Conn
	}
	if resets() != nil {
		t.Error("a token that nobody has")
	}
	e.HandleEvent(one, Event{Kind: IssuedToken, Token: token})
	if resets() != one {
		t.Error("a token that was issued leads nowhere")
	}
	// A peer can give the token of another connection, which then has it.
	e.HandleEvent(two, Event{Kind: IssuedToken, Token: token})
	e.HandleEvent(one, Event{Kind: RetiredToken, Token: token})
	e.HandleEvent(one, Event{Kind: Drained})
	if resets() != two {
		t.Error("the end of a connection took the other's token")
	}
	e.HandleEvent(two, Event{Kind: RetiredToken, Token: token})
	if resets() != nil {
		t.Error("a token that was retired ends a connection")
	}
}

// The connections are bounded, dialled or accepted, and SetServer refuses what cannot work.
func TestEndpointLimits(t *testing.T) {
	e, _, _ := dialled(t, EndpointConfig{MaxConns: 2})
	_, tls := testTLS(t)
	if _, err := e.Dial(1, Config{TLS: tls}, clientAddr, serverAddr, nil); err == nil || e.Len() != 2 {
		t.Errorf("a third connection of two: %v", err)
	}
	if err := e.SetServer(&Config{}); err == nil {
		t.Error("a server without TLS was taken")
	}
	if _, err := NewEndpoint(EndpointConfig{Server: &Config{}, Random: seeded(1)}); err == nil {
		t.Error("an endpoint was made of it")
	}
	if r, _ := answer(e, 1, clientAddr, initial(someID(1), someID(2), nil, 1200)); r.Conn != nil {
		t.Error("a client was taken above the limit")
	}
}

// A connection whose handshake is confirmed counts no more among those in their handshake.
func TestConfirmedIsNotHalfOpen(t *testing.T) {
	p := newPair(t, pairConfig{})
	e := p.ends[wire.Server].endpoint
	p.run(time.Second, func() bool { return p.server() != nil })
	if e.halfOpen != 1 {
		t.Errorf("%d connections are in their handshake, want 1", e.halfOpen)
	}
	p.handshake()
	if e.halfOpen != 0 {
		t.Errorf("%d connections are in their handshake, want none", e.halfOpen)
	}
}
