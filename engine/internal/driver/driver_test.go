package driver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// TestMain fails when goroutines of the package are left.
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if n := strings.Count(string(stacks), "internal/driver."); n <= strings.Count(string(stacks), "driver.TestMain") {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", stacks)
			code = 1
			break
		}
	}
	os.Exit(code)
}

// testTLS returns configurations of a server and of a client that trusts it.
func testTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "driver.test"}, DNSNames: []string{"driver.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"test"}}
	client = &tls.Config{RootCAs: roots, ServerName: "driver.test", NextProtos: []string{"test"}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	return server, client
}

// rig is two endpoints, one of which listens, and what their connections need.
type rig struct {
	t              testing.TB
	ctx            context.Context // ends a test that hangs
	client, server *Endpoint
	config         proto.Config // of the client's connections
}

func testEndpoint(t testing.TB, address string, c Config) *Endpoint {
	t.Helper()
	pc, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(pc.(*net.UDPConn), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close endpoint: %v", err)
		}
		if n := e.pool.InUse() + e.trains.InUse(); n != 0 {
			t.Errorf("%d buffers are left", n)
		}
	})
	return e
}

// newRig listens on the address; both sides' connections have the config.
func newRig(t testing.TB, address string, c proto.Config) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx, client: testEndpoint(t, address, Config{}), server: testEndpoint(t, address, Config{})}
	serverTLS, clientTLS := testTLS(t)
	r.config = c
	c.TLS, r.config.TLS = serverTLS, clientTLS
	if err := r.server.Listen(c, 16); err != nil {
		t.Fatal(err)
	}
	return r
}

// remote is the server's address.
func (r *rig) remote() netip.AddrPort {
	a := r.server.LocalAddr()
	switch a.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
	}
	return a
}

// connect returns both ends of a new connection.
func (r *rig) connect() (client, server *Conn) {
	r.t.Helper()
	client, err := r.client.Dial(r.config, r.remote())
	if err != nil {
		r.t.Fatalf("dial: %v", err)
	}
	server, err = r.server.Accept(r.ctx)
	if err != nil {
		r.t.Fatalf("accept: %v (client: %v)", err, client.Err())
	}
	r.await(client.Confirmed())
	return client, server
}

func (r *rig) await(c <-chan struct{}) {
	r.t.Helper()
	select {
	case <-c:
	case <-r.ctx.Done():
		r.t.Fatal("nothing happened")
	}
}

// stream returns both ends of a new stream, which has carried one byte.
func (r *rig) stream(client, server *Conn) (c, s *Stream) {
	r.t.Helper()
	c, err := client.OpenStream(r.ctx, wire.Bidi)
	if err != nil {
		r.t.Fatalf("open stream: %v", err)
	}
	if _, err := c.Write([]byte{1}); err != nil {
		r.t.Fatalf("write: %v", err)
	}
	if s, err = server.AcceptStream(r.ctx, wire.Bidi); err != nil {
		r.t.Fatalf("accept stream: %v", err)
	}
	var b [1]byte
	if _, err := io.ReadFull(s, b[:]); err != nil || b[0] != 1 {
		r.t.Fatalf("read: %d, %v", b[0], err)
	}
	return c, s
}

func testPattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func TestTransfer(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			r := newRig(t, address, proto.Config{})
			client, server := r.connect()
			c, s := r.stream(client, server)
			data := testPattern(8<<20 + 3)
			wrote := make(chan error, 1)
			go func() {
				_, err := c.Write(data)
				if err == nil {
					err = c.CloseWrite()
				}
				wrote <- err
			}()
			got, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes (%v), equal: %t", len(got), err, bytes.Equal(got, data))
			}
			if err := <-wrote; err != nil {
				t.Error(err)
			}
		})
	}
}

// settle gives calls time to block before the test unblocks them. Too short a time
// makes a test weaker, never wrong.
func settle() { time.Sleep(20 * time.Millisecond) }
