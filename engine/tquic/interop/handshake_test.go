package interop

import (
	"crypto/tls"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"

	"github.com/tquiclab/tquiclab/engine/tquic"
)

// TestHandshake: what TLS agreed on, data each way, and an end that both sides see.
func TestHandshake(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		for name, e := range map[string]end{"client": p.client, "server": p.server} {
			s := e.tls()
			if !s.HandshakeComplete || s.Version != tls.VersionTLS13 || s.NegotiatedProtocol != "interop" || s.DidResume {
				t.Errorf("the %s's TLS: complete %v, version %x, protocol %q, resumed %v", name, s.HandshakeComplete, s.Version, s.NegotiatedProtocol, s.DidResume)
			}
		}
		client, server := p.stream()
		p.bounce(client, server, 3)
		p.client.closeWith(17, "enough")
		want := ending{byApplication, 17, "enough", true}
		if diff := cmp.Diff(want, p.server.over(r.ctx)); diff != "" {
			t.Errorf("the server's end (-want +got):\n%s", diff)
		}
		want.Remote = false
		if diff := cmp.Diff(want, p.client.over(r.ctx)); diff != "" {
			t.Errorf("the client's end (-want +got):\n%s", diff)
		}
	})
}

// TestServerCloses is the end of TestHandshake from the other side.
func TestServerCloses(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		p.stream()
		p.server.closeWith(18, "no more")
		if diff := cmp.Diff(ending{byApplication, 18, "no more", true}, p.client.over(r.ctx)); diff != "" {
			t.Errorf("the client's end (-want +got):\n%s", diff)
		}
	})
}

// TestRefusal: TLS's alert reaches the peer as CRYPTO_ERROR (RFC 9001, section 4.8).
func TestRefusal(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		l := r.listen()
		r.clientTLS.NextProtos = []string{"unknown"}
		_, err := r.dialler().dial(r, l.addr())
		const want = 0x100 + 120 // no_application_protocol
		var got ending
		if r.client.name() == "tquic" {
			got = tquicEnding(err)
		} else {
			got = quicgoEnding(err)
		}
		if got.Kind != byTransport || got.Code != want || !got.Remote {
			t.Errorf("got %+v, want code %#x of the remote", got, want)
		}
	})
}

// TestRetry: the client proves its address by a token, and the handshake goes on.
func TestRetry(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		r.retry, r.tquic.RequireRetry = true, true
		p := r.connect()
		client, server := p.stream()
		p.bounce(client, server, 4)
		if !p.tquic.Stats().Retried {
			t.Error("tquic knows nothing of a Retry")
		}
	})
}

// TestAddressToken: the token of NEW_TOKEN spares the next connection the Retry.
func TestAddressToken(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		r.retry, r.tquic.RequireRetry = true, true
		r.quicgo.TokenStore = quic.NewLRUTokenStore(4, 4)
		l := r.listen()
		// Both connections leave from one socket: tquic remembers tokens by endpoint.
		d := r.dialler()
		for round, want := range []bool{true, false} {
			p := r.connectFrom(d, l, l.addr())
			p.stream() // the token came before its bytes
			if got := p.tquic.Stats().Retried; got != want {
				t.Errorf("connection %d: Retry %v, want %v", round, got, want)
			}
		}
	})
}

const version2 = uint32(quic.Version2)

// TestVersionNegotiation: a client that speaks none of the server's versions gives up
// (RFC 9000, section 6.2).
func TestVersionNegotiation(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		r.quicgo.Versions = []quic.Version{quic.Version2}
		l := r.listen()
		_, err := r.dialler().dial(r, l.addr())
		if r.client.name() == "tquic" {
			e, ok := errors.AsType[*tquic.VersionNegotiationError](err)
			if !ok || !slices.Contains(e.Offered, version2) {
				t.Errorf("dial: %v, want version 2 offered", err)
			}
			return
		}
		e, ok := errors.AsType[*quic.VersionNegotiationError](err)
		if !ok || !slices.Contains(e.Theirs, quic.Version1) || len(e.Theirs) < 2 {
			t.Errorf("dial: %v, want version 1 and a reserved one offered", err)
		}
	})
}

// TestVersionAgreed: when both have version 1 they find it: a server that prefers
// another takes it at once, a client after a Version Negotiation packet.
func TestVersionAgreed(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		r.quicgo.Versions = []quic.Version{quic.Version2, quic.Version1}
		p := r.connect()
		client, server := p.stream()
		p.bounce(client, server, 5)
		if got := p.quicgo.ConnectionState().Version; got != quic.Version1 {
			t.Errorf("version %v, want 1", got)
		}
		negotiated := has(r.events, func(qlog.VersionNegotiationReceived) bool { return true })
		if want := r.client.name() == "quic-go"; negotiated != want {
			t.Errorf("a Version Negotiation packet came: %v, want %v", negotiated, want)
		}
	})
}
