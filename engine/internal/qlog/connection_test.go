package qlog

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestConnectionClosed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		event proto.TraceEvent
		want  string
	}{
		{
			"by a breach of the peer's",
			proto.TraceEvent{Trigger: "error", Err: fmt.Errorf("closed: %w", wire.Errorf(wire.FinalSizeError, "stream 4"))},
			`{"initiator":"local","connection_error":"final_size_error","reason":"stream 4","trigger":"error"}`,
		},
		{
			"by a peer whose error has no word",
			proto.TraceEvent{ByPeer: true, Trigger: "error", Err: &wire.TransportError{Code: 0x3e75, Remote: true}},
			`{"initiator":"remote","connection_error":"unknown","error_code":15989,"trigger":"error"}`,
		},
		{
			"by TLS",
			proto.TraceEvent{Trigger: "error", Err: &wire.TransportError{Code: wire.CryptoError + 0xff}},
			`{"initiator":"local","connection_error":"crypto_error_0x1ff","trigger":"error"}`,
		},
		{
			"in good order",
			proto.TraceEvent{Err: &wire.TransportError{}},
			`{"initiator":"local","connection_error":"no_error","trigger":"unspecified"}`,
		},
		{
			"beyond TLS",
			proto.TraceEvent{Err: &wire.TransportError{Code: wire.CryptoError + 0x100}},
			`{"initiator":"local","connection_error":"unknown","error_code":512,"trigger":"error"}`,
		},
		{
			"by the application",
			proto.TraceEvent{ByPeer: true, Err: &proto.ApplicationError{Code: 42, Reason: "enough", Remote: true}},
			`{"initiator":"remote","application_error":"unknown","error_code":42,"reason":"enough","trigger":"application"}`,
		},
		{
			"by silence",
			proto.TraceEvent{Err: &proto.TimeoutError{After: 30 * time.Second}},
			`{"initiator":"local","reason":"QUIC: nothing heard for 30s","trigger":"idle_timeout"}`,
		},
		{
			"by silence in the handshake",
			proto.TraceEvent{Err: &proto.TimeoutError{Handshake: true, After: time.Second}},
			`{"initiator":"local","reason":"QUIC: no handshake within 1s","trigger":"aborted"}`,
		},
		{
			"by a server of another version",
			proto.TraceEvent{Err: &proto.VersionError{Offered: []wire.Version{2}}},
			`{"initiator":"local","reason":"QUIC: the server does not speak version 1: it offers [0x2]","trigger":"version_mismatch"}`,
		},
		{
			"by a stateless reset",
			proto.TraceEvent{ByPeer: true, Err: proto.ErrStatelessReset},
			`{"initiator":"remote","reason":"QUIC: the peer does not know the connection any more (stateless reset)","trigger":"stateless_reset"}`,
		},
		{
			"by an error of ours",
			proto.TraceEvent{Err: errors.New("no memory")},
			`{"initiator":"local","reason":"no memory","trigger":"unspecified"}`,
		},
		{"by what the owner says", proto.TraceEvent{Trigger: "aborted"}, `{"initiator":"local","trigger":"aborted"}`},
		{"by whatever", proto.TraceEvent{Trigger: "boredom"}, `{"initiator":"local","trigger":"unspecified"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.event.Kind = proto.TraceConnectionClosed
			if got := dataOf(t, written(t, wire.Client, tt.event)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestConnectionStates(t *testing.T) {
	state := func(s string) proto.TraceEvent {
		return proto.TraceEvent{Kind: proto.TraceStateUpdated, Trigger: s}
	}
	want := []string{
		`{"time":0,"name":"quic:connection_state_updated","data":{"new":"attempted"}}`,
		`{"time":0,"name":"quic:connection_state_updated","data":{"old":"attempted","new":"of our \"own\""}}`,
	}
	got := written(t, wire.Client, state("attempted"), state("attempted"), state(`of our "own"`))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVersionInformation(t *testing.T) {
	own := proto.TraceEvent{Kind: proto.TraceVersionInformation, Versions: []wire.Version{1}, Version: 1}
	peers := own
	peers.ByPeer, peers.Version = true, 0
	for _, tt := range []struct {
		side  wire.Perspective
		event proto.TraceEvent
		want  string
	}{
		{wire.Client, own, `{"client_versions":["00000001"],"chosen_version":"00000001"}`},
		{wire.Server, own, `{"server_versions":["00000001"],"chosen_version":"00000001"}`},
		{wire.Client, peers, `{"server_versions":["00000001"]}`},
		{wire.Server, peers, `{"client_versions":["00000001"]}`},
	} {
		if got := dataOf(t, written(t, tt.side, tt.event)); got != tt.want {
			t.Errorf("%v, of the peer %v: got %s, want %s", tt.side, tt.event.ByPeer, got, tt.want)
		}
	}
}

func TestALPN(t *testing.T) {
	for name, want := range map[string]string{
		"h3":     `{"chosen_alpn":{"string_value":"h3"}}`,
		"\xffh3": `{"chosen_alpn":{"byte_value":"ff6833"}}`,
	} {
		if got := dataOf(t, written(t, wire.Client, proto.TraceEvent{Kind: proto.TraceALPN, Trigger: name})); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

// A zone is a name that anyone may choose: it must not get into the text.
func TestAddresses(t *testing.T) {
	e := proto.TraceEvent{
		Kind:   proto.TraceConnectionStarted,
		Local:  netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone(`"x`), 1),
		Remote: netip.MustParseAddrPort("[::ffff:10.0.0.1]:65535"),
	}
	got := written(t, wire.Client, e)[0]
	for _, want := range []string{`"local":{"ip_v6":"fe80::1","port_v6":1}`, `"remote":{"ip_v4":"10.0.0.1","port_v4":65535}`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}
