package handshake

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Config is what a TLS is made with.
type Config struct {
	// TLS must have NextProtos; a server's needs certificates, a client's a ServerName
	// (or InsecureSkipVerify). It is not changed: TLS 1.3 is forced on a copy. The one
	// Config must serve all connections of a server, since it has the ticket keys.
	TLS  *tls.Config
	Side wire.Perspective
	// Parameters are this side's transport parameters, encoded.
	Parameters []byte
	// Early makes a client offer 0-RTT where its session allows it, and a server accept
	// it and put that into its tickets.
	Early bool
	// TicketData is what a server puts into its tickets: the parameters that 0-RTT
	// depends on.
	TicketData []byte
	// AcceptEarly reports whether a server can honour what an earlier TicketData
	// promised. nil: when it equals today's. It borrows ticketData.
	AcceptEarly func(ticketData []byte) bool
}

func (c *Config) validate() error {
	if c.TLS == nil {
		return errors.New("no tls.Config: set one with NextProtos")
	}
	var errs []error
	// RFC 9001, section 8.1: endpoints MUST use ALPN.
	if len(c.TLS.NextProtos) == 0 {
		errs = append(errs, errors.New(`the tls.Config has no NextProtos: name the application protocol, as in []string{"h3"}`))
	}
	if c.TLS.MaxVersion != 0 && c.TLS.MaxVersion < tls.VersionTLS13 {
		errs = append(errs, fmt.Errorf("the tls.Config's MaxVersion is %s: leave it 0, QUIC needs TLS 1.3", tls.VersionName(c.TLS.MaxVersion)))
	}
	switch {
	case c.Side == wire.Client && c.TLS.ServerName == "" && !c.TLS.InsecureSkipVerify:
		errs = append(errs, errors.New("the tls.Config has no ServerName: name the server that the certificate must be for, or set InsecureSkipVerify"))
	case c.Side == wire.Server && len(c.TLS.Certificates) == 0 && c.TLS.GetCertificate == nil && c.TLS.GetConfigForClient == nil:
		errs = append(errs, errors.New("the server's tls.Config has no certificate: set Certificates or GetCertificate"))
	}
	return errors.Join(errs...)
}
