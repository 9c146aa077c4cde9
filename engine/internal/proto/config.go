package proto

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/sched"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// What zero values of Config stand for.
const (
	defaultIdleTimeout      = 30 * time.Second
	defaultHandshakeTimeout = 10 * time.Second
	defaultStreamWindow     = 512 << 10
	defaultMaxStreamWindow  = 16 << 20
	defaultConnWindow       = 1 << 20
	defaultMaxConnWindow    = 32 << 20
	defaultSendBuffer       = 4 << 20
	defaultMaxSendBuffer    = 64 << 20
	defaultStreams          = 100
	defaultCongestion       = "bbr"
)

// Sizes of UDP payloads, bytes.
const (
	// minUDPPayload is what every path must carry (RFC 9000, section 14).
	minUDPPayload wire.ByteCount = 1200
	// maxUDPPayload is the largest payload that UDP over IPv4 or IPv6 has.
	maxUDPPayload wire.ByteCount = 65527
)

// maxPaths bounds the paths of a connection: each costs some connection IDs in advance.
const maxPaths = 16

// connIDLen is the length of the connection IDs that this side makes up.
const connIDLen = 8

// maxAckDelay is the longest that this side holds back an acknowledgement (RFC
// 9000, section 18.2: max_ack_delay).
const maxAckDelay = 25 * time.Millisecond

// ackDelayExponent scales the delays in this side's ACK frames.
const ackDelayExponent = 3

// validate returns every reason why c cannot work, joined, or nil.
func (c *Config) validate() error {
	var errs []error
	if c.TLS == nil {
		errs = append(errs, errors.New("a connection needs a TLS configuration"))
	} else if len(c.TLS.NextProtos) == 0 {
		errs = append(errs, errors.New("the TLS configuration names no application protocol: set NextProtos (RFC 9001, section 8.1)"))
	}
	if c.Congestion != "" && !slices.Contains(congest.Names(), c.Congestion) {
		errs = append(errs, fmt.Errorf("unknown congestion control %q: known are %v", c.Congestion, congest.Names()))
	}
	if c.MaxUDPPayload != 0 && (c.MaxUDPPayload < minUDPPayload || c.MaxUDPPayload > maxUDPPayload) {
		errs = append(errs, fmt.Errorf("a UDP payload of %d bytes: QUIC takes %d to %d", c.MaxUDPPayload, minUDPPayload, maxUDPPayload))
	}
	for _, n := range []struct {
		name string
		v    wire.ByteCount
	}{
		{"stream window", c.StreamWindow},
		{"largest stream window", c.MaxStreamWindow},
		{"connection window", c.ConnWindow},
		{"largest connection window", c.MaxConnWindow},
		{"send buffer", c.SendBuffer},
		{"largest send buffer", c.MaxSendBuffer},
		{"datagram size", c.MaxDatagram},
	} {
		if n.v < 0 {
			errs = append(errs, fmt.Errorf("the %s is negative: %d bytes", n.name, n.v))
		}
	}
	if c.Paths < 0 || c.Paths > maxPaths {
		errs = append(errs, fmt.Errorf("%d paths: a connection has 1 to %d", c.Paths, maxPaths))
	}
	if _, err := sched.New(c.Scheduler); err != nil {
		errs = append(errs, err)
	}
	if c.MaxBidiStreams > 1<<60 || c.MaxUniStreams > 1<<60 {
		errs = append(errs, errors.New("more than 2^60 streams cannot be told apart"))
	}
	return errors.Join(errs...)
}

// withDefaults returns c with what its zero values stand for.
func (c Config) withDefaults() Config {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	orDuration(&c.IdleTimeout, defaultIdleTimeout)
	orDuration(&c.HandshakeTimeout, defaultHandshakeTimeout)
	orBytes(&c.StreamWindow, defaultStreamWindow)
	orBytes(&c.MaxStreamWindow, max(defaultMaxStreamWindow, c.StreamWindow))
	orBytes(&c.ConnWindow, max(defaultConnWindow, c.StreamWindow))
	orBytes(&c.MaxConnWindow, max(defaultMaxConnWindow, c.ConnWindow, c.MaxStreamWindow))
	orBytes(&c.SendBuffer, defaultSendBuffer)
	orBytes(&c.MaxSendBuffer, max(defaultMaxSendBuffer, c.SendBuffer))
	orBytes(&c.MaxUDPPayload, maxUDPPayload)
	orStreams(&c.MaxBidiStreams)
	orStreams(&c.MaxUniStreams)
	if c.Congestion == "" {
		c.Congestion = defaultCongestion
	}
	if c.Scheduler == "" {
		c.Scheduler = sched.Default
	}
	c.IdleTimeout = max(c.IdleTimeout, 0)
	return c
}

func orDuration(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

func orBytes(b *wire.ByteCount, v wire.ByteCount) {
	if *b == 0 {
		*b = v
	}
}

func orStreams(n *int64) {
	if *n == 0 {
		*n = defaultStreams
	}
	*n = max(*n, 0)
}

// minAckDelay returns what this side advertises, if it does.
func (c *Config) minAckDelay() time.Duration {
	if c.NoAckFrequency {
		return 0
	}
	return minAckDelay
}

// parameters returns what the connection tells its peer about itself, apart from
// connection IDs.
func (c *Config) parameters() wire.TransportParameters {
	return wire.TransportParameters{
		MaxIdleTimeout:                 c.IdleTimeout,
		MaxUDPPayload:                  maxUDPPayload,
		InitialMaxData:                 uint64(c.ConnWindow),
		InitialMaxStreamDataBidiLocal:  uint64(c.StreamWindow),
		InitialMaxStreamDataBidiRemote: uint64(c.StreamWindow),
		InitialMaxStreamDataUni:        uint64(c.StreamWindow),
		InitialMaxStreamsBidi:          uint64(c.MaxBidiStreams),
		InitialMaxStreamsUni:           uint64(c.MaxUniStreams),
		AckDelayExponent:               ackDelayExponent,
		MaxAckDelay:                    maxAckDelay,
		DisableActiveMigration:         c.DisableMigration,
		ActiveConnectionIDLimit:        activeIDLimit,
		MaxDatagramFrame:               uint64(c.MaxDatagram),
		MinAckDelay:                    c.minAckDelay(),
		HasMinAckDelay:                 !c.NoAckFrequency,
		HasMultipath:                   c.Paths > 1,
		InitialMaxPathID:               wire.PathID(max(c.Paths, 1) - 1),
	}
}
