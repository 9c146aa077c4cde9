package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"math/big"
	"time"
)

// calendar is the date at the beginning of virtual time, for certificates and
// tickets.
var calendar = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	serverName = "tquic.sim"
	protocol   = "tquiclab-sim"
)

// identity is the hosts' secrets, all from the seed.
type identity struct {
	seed           uint64
	client, server *tls.Config
}

// newIdentity returns configurations of a server and of a client that trusts it. An
// Ed25519 certificate has one size, whatever the seed, and so has the handshake.
func newIdentity(seed uint64, now func() time.Time) (*identity, error) {
	id := &identity{seed: seed}
	secret := id.key("certificate")
	key := ed25519.NewKeyFromSeed(secret[:])
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: serverName}, DNSNames: []string{serverName},
		NotBefore: calendar.Add(-time.Hour), NotAfter: calendar.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate made: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	id.server = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}},
		NextProtos:   []string{protocol}, MinVersion: tls.VersionTLS13, Time: now,
	}
	id.client = &tls.Config{RootCAs: roots, ServerName: serverName, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS13, Time: now}
	return id, nil
}

// key derives a secret for one purpose.
func (id *identity) key(purpose string) [32]byte {
	return sha256.Sum256(append(binary.LittleEndian.AppendUint64([]byte("tquiclab sim 1 "), id.seed), purpose...))
}
