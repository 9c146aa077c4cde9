package enginetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// serverName is what the certificate is for and what diallers ask for.
const serverName = "tquiclab.test"

// credentials is a listener's certificate and key, PEM-encoded, so that a test can
// give them to another process.
type credentials struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
}

func newCredentials() (credentials, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return credentials{}, fmt.Errorf("generate key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: serverName},
		DNSNames:     []string{serverName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return credentials{}, fmt.Errorf("make certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return credentials{}, fmt.Errorf("encode key: %w", err)
	}
	return credentials{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}, nil
}

// listener returns the settings of the side that holds the key.
func (c credentials) listener() (*tls.Config, error) {
	pair, err := tls.X509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("read the listener's certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
}

// dialler returns the settings of a side that trusts the certificate and nothing else.
func (c credentials) dialler() (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.Cert) {
		return nil, errors.New("read the trusted certificate: there is none")
	}
	return &tls.Config{RootCAs: roots, ServerName: serverName}, nil
}

// NewTLS returns the settings of a listener, with a certificate made for the
// occasion, and those of a dialler that trusts it and nothing else.
func NewTLS() (listener, dialler *tls.Config, err error) {
	c, err := newCredentials()
	if err != nil {
		return nil, nil, err
	}
	if listener, err = c.listener(); err != nil {
		return nil, nil, err
	}
	dialler, err = c.dialler()
	return listener, dialler, err
}
