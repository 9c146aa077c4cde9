package handshake

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// certificate makes one for example.com and the pool that trusts it.
func certificate(t testing.TB, signer string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	var private, public any
	var err error
	if signer == "ecdsa" {
		var key *ecdsa.PrivateKey
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		private, public = key, &key.PublicKey
	} else {
		public, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "example.com"},
		DNSNames:     []string{"example.com"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1<<33, 0),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

// configs returns what a client and a server that agree are made with.
func configs(t testing.TB) (client, server Config) {
	t.Helper()
	cert, pool := certificate(t, "ed25519")
	client = Config{
		Side:       wire.Client,
		Parameters: []byte("client's parameters"),
		TLS:        &tls.Config{NextProtos: []string{"lab"}, ServerName: "example.com", RootCAs: pool},
	}
	server = Config{
		Side:       wire.Server,
		Parameters: []byte("server's parameters"),
		TLS:        &tls.Config{NextProtos: []string{"lab"}, Certificates: []tls.Certificate{cert}},
	}
	return client, server
}

// side is one end of a handshake under test and all that it has said.
type side struct {
	*TLS
	events []Event
	data   []Event // CRYPTO data not yet taken by the peer
}

func (s *side) collect() {
	for {
		e, ok := s.NextEvent()
		if !ok {
			return
		}
		s.events = append(s.events, e)
		if e.Kind == EventCrypto {
			s.data = append(s.data, e)
		}
	}
}

func (s *side) kinds() (out []string) {
	for _, e := range s.events {
		if e.Kind != EventCrypto {
			out = append(out, e.Kind.String())
		}
	}
	return out
}

func (s *side) find(t testing.TB, k EventKind, l Level) Event {
	t.Helper()
	i := slices.IndexFunc(s.events, func(e Event) bool { return e.Kind == k && e.Level == l })
	if i < 0 {
		t.Fatalf("the %s has no event %q of %s", s.config.Side, k, l)
	}
	return s.events[i]
}

// take hands the peer's CRYPTO data to s in pieces of at most n bytes.
func (s *side) take(from *side, n int) error {
	data := from.data
	from.data = nil
	for _, e := range data {
		for piece := range slices.Chunk(e.Data, n) {
			own := bytes.Clone(piece)
			if err := s.HandleCrypto(e.Level, own); err != nil {
				return err
			}
			clear(own) // it was only borrowed
		}
		s.collect()
	}
	return nil
}

func begin(t testing.TB, c Config) *side {
	t.Helper()
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := h.Start(); err != nil {
		t.Fatalf("start the %s: %v", c.Side, err)
	}
	s := &side{TLS: h}
	s.collect()
	return s
}

// run begins both sides and lets them talk until they are silent or one fails.
func run(t testing.TB, client, server Config, piece int) (c, s *side, err error) {
	t.Helper()
	c, s = begin(t, client), begin(t, server)
	return c, s, talk(c, s, piece)
}

func talk(c, s *side, piece int) error {
	for len(c.data)+len(s.data) > 0 {
		if err := s.take(c, piece); err != nil {
			return err
		}
		if err := c.take(s, piece); err != nil {
			return err
		}
	}
	return nil
}

// mustRun is run for a handshake that succeeds.
func mustRun(t testing.TB, client, server Config) (c, s *side) {
	t.Helper()
	c, s, err := run(t, client, server, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// wantCode checks the code of a connection error.
func wantCode(t *testing.T, err error, code wire.ErrorCode) {
	t.Helper()
	if got, ok := errors.AsType[*wire.TransportError](err); !ok || got.Code != code {
		t.Errorf("error %v, want %s", err, code)
	}
}

// RFC 9001, section 4: a handshake with all its keys, and in which order they come.
// Section 8.2: both sides MUST send their transport parameters.
// The cipher suites of TLS 1.3 cannot be chosen in crypto/tls: the other two go
// through the tests of Sealer and OneRTT.
func TestHandshake(t *testing.T) {
	for _, tt := range []struct {
		signer string
		piece  int
	}{{"ed25519", 1 << 20}, {"ecdsa", 1 << 20}, {"ed25519", 1}, {"ecdsa", 7}} {
		t.Run(tt.signer, func(t *testing.T) {
			client, server := configs(t)
			cert, pool := certificate(t, tt.signer)
			client.TLS.RootCAs, server.TLS.Certificates = pool, []tls.Certificate{cert}
			c, s, err := run(t, client, server, tt.piece)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"sealer", "opener", "parameters", "1-rtt", "complete", "1-rtt open"}, c.kinds()); diff != "" {
				t.Errorf("client's events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"parameters", "sealer", "opener", "1-rtt", "complete", "1-rtt open"}, s.kinds()); diff != "" {
				t.Errorf("server's events (-want +got):\n%s", diff)
			}
			if got := c.find(t, EventParameters, 0).Data; string(got) != "server's parameters" {
				t.Errorf("the client got parameters %q", got)
			}
			if got := s.find(t, EventParameters, 0).Data; string(got) != "client's parameters" {
				t.Errorf("the server got parameters %q", got)
			}
			if got := c.ConnectionState().NegotiatedProtocol; got != "lab" {
				t.Errorf("protocol %q, want lab", got)
			}
			if got := s.ConnectionState().Version; got != tls.VersionTLS13 {
				t.Errorf("version %x, want TLS 1.3", got)
			}
			for _, way := range [][2]*side{{c, s}, {s, c}} {
				sealer := way[0].find(t, EventSealer, LevelHandshake).Sealer
				opener := way[1].find(t, EventOpener, LevelHandshake).Opener
				header := []byte{0xe0, 0}
				packet := sealer.Seal(header, header, []byte("hello"), 0, 0)
				if got, err := opener.Open(nil, header, packet[2:], 0, 0); err != nil || string(got) != "hello" {
					t.Errorf("%s's Handshake packet opened to %q, %v", way[0].config.Side, got, err)
				}
				from, to := way[0].find(t, EventOneRTT, LevelOneRTT).OneRTT, way[1].find(t, EventOneRTTOpen, LevelOneRTT).OneRTT
				if !to.CanOpen() {
					t.Fatalf("the %s's 1-RTT keys do not open", way[1].config.Side)
				}
				e := &ends{t: t, now: 1}
				e.mustOpen(to, e.seal(from, 1, 1))
			}
		})
	}
}

// RFC 9001, section 4.2: TLS older than 1.3 MUST NOT be offered nor negotiated, whatever
// the caller's settings allow.
func TestOldTLSIsNotOffered(t *testing.T) {
	client, server := configs(t)
	client.TLS.MinVersion, server.TLS.MinVersion = tls.VersionTLS12, tls.VersionTLS12
	var offered []uint16
	server.TLS.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		offered = h.SupportedVersions
		return nil, nil
	}
	c, s := mustRun(t, client, server)
	if !slices.Equal(offered, []uint16{tls.VersionTLS13}) {
		t.Errorf("the client offers %x", offered)
	}
	for _, h := range []*side{c, s} {
		if got := h.ConnectionState().Version; got != tls.VersionTLS13 {
			t.Errorf("the %s negotiated %x", h.config.Side, got)
		}
	}
}

// A server sends 1-RTT data before it can receive any (RFC 9001, section 5.7).
func TestServerSealsFirst(t *testing.T) {
	client, server := configs(t)
	c, s := begin(t, client), begin(t, server)
	if err := s.take(c, 1<<20); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"parameters", "sealer", "opener", "1-rtt"}, s.kinds()); diff != "" {
		t.Errorf("server's events after the ClientHello (-want +got):\n%s", diff)
	}
	if s.find(t, EventOneRTT, LevelOneRTT).OneRTT.CanOpen() {
		t.Error("a server opens 1-RTT packets before the client's Finished")
	}
}

// RFC 9001, section 4.1.3: data of a later level is kept until TLS reads there.
func TestLevelsOutOfOrder(t *testing.T) {
	client, server := configs(t)
	c, s := begin(t, client), begin(t, server)
	if err := s.take(c, 1<<20); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(s.data) // the Handshake flight before the ServerHello
	if len(s.data) < 2 || s.data[0].Level != LevelHandshake {
		t.Fatalf("the server's flight is %d pieces", len(s.data))
	}
	if err := talk(c, s, 100); err != nil {
		t.Fatal(err)
	}
	c.find(t, EventComplete, 0)
	s.find(t, EventComplete, 0)
}

func TestCryptoBreaches(t *testing.T) {
	tests := []struct {
		name  string
		level Level
		data  []byte
		code  wire.ErrorCode
	}{
		// RFC 9001, section 8.3: CRYPTO in a 0-RTT packet MUST be a PROTOCOL_VIOLATION.
		{"0-RTT", LevelEarly, []byte{1}, wire.ProtocolViolation},
		// RFC 9001, section 4.1.3: more data of an earlier level MUST be one.
		{"earlier level", LevelInitial, []byte{1}, wire.ProtocolViolation},
		{"earlier level, Handshake", LevelHandshake, []byte{1}, wire.ProtocolViolation},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := configs(t)
			c, _ := mustRun(t, client, server)
			err := c.HandleCrypto(tt.level, tt.data)
			wantCode(t, err, tt.code)
			if again := c.HandleCrypto(LevelOneRTT, []byte{4}); again != err {
				t.Errorf("after the error: %v, want the same", again)
			}
			if err := c.HandleCrypto(LevelOneRTT, nil); err == nil {
				t.Error("after the error: no data is fine")
			}
		})
	}
}

// RFC 9001, section 8.3, while TLS still reads Initial. An error drops the events
// before it.
func TestCryptoInEarly(t *testing.T) {
	client, _ := configs(t)
	h, err := New(client)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.HandleCrypto(LevelEarly, []byte{1}), wire.ProtocolViolation)
	if e, ok := h.NextEvent(); ok {
		t.Errorf("event %q after the error", e.Kind)
	}
}

func TestHeldDataIsBounded(t *testing.T) {
	client, _ := configs(t)
	c := begin(t, client)
	if err := c.HandleCrypto(LevelHandshake, make([]byte, maxHeld)); err != nil {
		t.Fatalf("%d bytes ahead of time: %v", maxHeld, err)
	}
	wantCode(t, c.HandleCrypto(LevelHandshake, []byte{0}), wire.CryptoBufferExceeded)
}

// RFC 9001, section 8.1: without a common protocol the error MUST be 0x0178.
func TestALPN(t *testing.T) {
	tests := []struct {
		name   string
		change func(client, server *tls.Config)
	}{
		{"nothing in common", func(c, _ *tls.Config) { c.NextProtos = []string{"other"} }},
		{"a server without any", func(_, s *tls.Config) {
			inner := s.Clone()
			inner.NextProtos = nil
			s.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }
		}},
		{"h2 for http/1.1", func(c, s *tls.Config) { c.NextProtos, s.NextProtos = []string{"http/1.1"}, []string{"h2"} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := configs(t)
			tt.change(client.TLS, server.TLS)
			_, _, err := run(t, client, server, 1<<20)
			wantCode(t, err, 0x178)
		})
	}
	t.Run("our own check", func(t *testing.T) {
		// The server of "h2 for http/1.1" as it would be with a client that lets it pass.
		client, server := configs(t)
		h, err := New(server)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		wantCode(t, h.fail(h.complete()), 0x178)
		_ = client
	})
}

// RFC 9001, section 4.8: an alert plus 0x0100 is the error code, and any alert MUST be
// fatal.
func TestAlerts(t *testing.T) {
	tests := []struct {
		name   string
		change func(client, server *tls.Config)
		code   wire.ErrorCode
		text   string
	}{
		{"unknown authority", func(c, _ *tls.Config) { c.RootCAs = x509.NewCertPool() }, 0x100 + 42, "unknown authority"},
		{"another name", func(c, _ *tls.Config) { c.ServerName = "example.org" }, 0x100 + 42, "example.org"},
		{"no certificate from the client", func(_, s *tls.Config) { s.ClientAuth = tls.RequireAnyClientCert }, 0x100 + 116, "certificate"},
		{"no curve in common", func(c, s *tls.Config) {
			c.CurvePreferences, s.CurvePreferences = []tls.CurveID{tls.X25519}, []tls.CurveID{tls.CurveP256}
		}, 0x100 + 40, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, server := configs(t)
			tt.change(client.TLS, server.TLS)
			c, s, err := run(t, client, server, 1<<20)
			wantCode(t, err, tt.code)
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v says nothing of %q", err, tt.text)
			}
			if c.Cause() == nil && s.Cause() == nil {
				t.Error("TLS's own error is lost")
			}
			if tt.name == "unknown authority" {
				if _, ok := errors.AsType[*tls.CertificateVerificationError](c.Cause()); !ok {
					t.Errorf("the cause is %T, want a CertificateVerificationError", c.Cause())
				}
			}
			for _, h := range []*side{c, s} {
				if _, ok := h.NextEvent(); ok && h.err != nil {
					t.Error("events after the error")
				}
				if err := h.HandleCrypto(LevelInitial, []byte{1}); h.err != nil && err == nil {
					t.Error("data was taken after the error")
				}
			}
		})
	}
}

func TestLifetime(t *testing.T) {
	client, _ := configs(t)
	h, err := New(client)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.HandleCrypto(LevelInitial, []byte{1}); err == nil {
		t.Error("data before Start was taken")
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err == nil {
		t.Error("started twice")
	}
	for range 2 {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := h.HandleCrypto(LevelInitial, []byte{1}); err == nil {
		t.Error("data after Close was taken")
	}
	if _, ok := h.NextEvent(); ok {
		t.Error("an event after Close")
	}
	unstarted, err := New(client)
	if err != nil {
		t.Fatal(err)
	}
	if err := unstarted.Close(); err != nil {
		t.Errorf("close before Start: %v", err)
	}
	if err := unstarted.Start(); err == nil {
		t.Error("started after Close")
	}
}

func TestKeyLog(t *testing.T) {
	client, server := configs(t)
	var log bytes.Buffer
	client.TLS.KeyLogWriter = &log
	mustRun(t, client, server)
	if !strings.Contains(log.String(), "CLIENT_TRAFFIC_SECRET_0") {
		t.Errorf("the key log has %q", log.String())
	}
}
