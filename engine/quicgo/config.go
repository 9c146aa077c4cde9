package quicgo

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine"
)

// alpn is the protocol that both sides ask for.
const alpn = "tquiclab"

// What a careful user sets for long fat paths. quic-go's own maxima are 6 MiB per
// stream and 15 MiB per connection, started at 512 KiB; 16 MiB are 1 Gbit/s at
// 130 ms, and quic-go's congestion window ends at 14.5 MB anyway. Large initial
// windows spare the first round trips the growing.
const (
	initialStreamWindow     = 4 << 20
	initialConnectionWindow = 6 << 20
	maxStreamWindow         = 16 << 20
	maxConnectionWindow     = 24 << 20

	// maxStreams bounds the streams that a dialler has open on one connection.
	maxStreams = 1 << 14

	idleTimeout = 30 * time.Second
	keepAlive   = 10 * time.Second
)

// A bond knows a dead path by its connection's timeout, and moves its data away
// long before (minPatience), so its connections may give up earlier. An outage
// shorter than this heals.
const (
	bondIdleTimeout = 10 * time.Second
	bondKeepAlive   = 3 * time.Second
)

// bondWindow is what the receiver of a bonded stream keeps at most: twice the sum
// of the rates times the longest round trip, 1 Gbit/s and 130 ms.
const bondWindow = 32 << 20

// congestionName is what quic-go runs; it has no other.
const congestionName = "newreno"

// quicConfig returns the settings of a connection whose qlog file goes to a folder,
// or nowhere.
func quicConfig(qlog string) *quic.Config {
	return &quic.Config{
		InitialStreamReceiveWindow:     initialStreamWindow,
		InitialConnectionReceiveWindow: initialConnectionWindow,
		MaxStreamReceiveWindow:         maxStreamWindow,
		MaxConnectionReceiveWindow:     maxConnectionWindow,
		MaxIncomingStreams:             maxStreams,
		MaxIncomingUniStreams:          -1,
		MaxIdleTimeout:                 idleTimeout,
		KeepAlivePeriod:                keepAlive,
		Tracer:                         tracer(qlog),
	}
}

func bondConfig(qlog string) *quic.Config {
	c := quicConfig(qlog)
	c.MaxIdleTimeout = bondIdleTimeout
	c.KeepAlivePeriod = bondKeepAlive
	return c
}

// tlsConfig returns a copy of the caller's TLS settings with our ALPN.
func tlsConfig(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.NextProtos = []string{alpn}
	c.MinVersion = tls.VersionTLS13
	return c
}

// check returns what is wrong with c for either engine, all of it.
func check(name string, c engine.Config) error {
	var errs []error
	if len(c.Paths) == 0 {
		errs = append(errs, errors.New("no path given"))
	}
	if c.TLS == nil {
		errs = append(errs, errors.New("no TLS settings given: QUIC is always encrypted"))
	}
	if c.Congestion != "" && c.Congestion != congestionName {
		errs = append(errs, fmt.Errorf("congestion control %q: %w: quic-go has only %s", c.Congestion, engine.ErrUnsupported, congestionName))
	}
	if err := checkFolder(c.QLOG); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func checkRemotes(name string, paths []engine.Path) error {
	for _, p := range paths {
		if !p.Remote.IsValid() {
			return fmt.Errorf("%s: path %q has no remote address", name, p.Link)
		}
	}
	return nil
}
