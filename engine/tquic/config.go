package tquic

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/driver"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/udpio"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Config is what connections and endpoints are made with. Zero values stand for the
// defaults that each field names; a nil *Config is the zero value.
type Config struct {
	// Congestion names the congestion control, one of Congestions(): "newreno", "cubic",
	// "bbr", or one that couples the paths of a connection: "lia", "olia", "balia". Empty:
	// "bbr".
	Congestion string

	// Paths is how many paths a connection may have at a time, 2 to 16, when the peer has
	// the multipath extension, too (draft-ietf-quic-multipath-21). 0 and 1: it is off.
	// With it, a path whose address or link goes is given up at once, where the system
	// tells, as long as there is another one.
	Paths int
	// Scheduler names what chooses the path of data, one of Schedulers(). Empty: what
	// bonds best.
	Scheduler string
	// NoReinject keeps data that a path owes from being sent on another one before it is
	// lost.
	NoReinject bool
	// NoAckFrequency keeps draft-ietf-quic-ack-frequency off: the peer cannot say how often it
	// wants acknowledgements, nor is it asked for one at once.
	NoAckFrequency bool
	// AskAcks has a peer that acknowledges more often than its paths need asked to do so
	// less often, as the same draft has it. tquic itself seldom is one: it is of use
	// with others, over links with a thin way back.
	AskAcks bool
	// KeepWarm has every path answer something after so long a silence, so that those
	// that stand by are known to work, and NATs on the way keep them. 0: never.
	KeepWarm time.Duration
	// KeepPaths has a client open these paths besides the first, and open them again when
	// they fail or when their address or link comes back.
	KeepPaths []PathPair
	// DiscoverPaths has a client keep a path to the server from every interface with a
	// usable address of global scope, instead of KeepPaths.
	DiscoverPaths bool

	// IdleTimeout ends a connection that heard nothing for so long; the peer may ask for
	// less. 0: 30 s; negative: never.
	IdleTimeout time.Duration
	// KeepAlive has the peer answer something after so long a silence. 0: never.
	KeepAlive time.Duration
	// HandshakeTimeout bounds the handshake. 0: 10 s.
	HandshakeTimeout time.Duration

	// Receive windows, bytes: where they start and how far they grow by themselves, for
	// each stream and for all streams of a connection. 0: 512 KiB, 16 MiB, 1 MiB, 32 MiB.
	StreamWindow, MaxStreamWindow int
	ConnWindow, MaxConnWindow     int
	// SendBuffer is how many bytes a stream takes beyond those acknowledged. 0: 4 MiB.
	SendBuffer int

	// MaxStreams and MaxUniStreams bound the streams that the peer has open at once. 0:
	// 100; negative: none.
	MaxStreams, MaxUniStreams int64
	// MaxDatagram is the largest datagram accepted, bytes. 0: datagrams are off.
	MaxDatagram int

	// MaxUDPPayload is the largest UDP payload sent, bytes, 1200 to 65527. 0: what the
	// path's discovery finds.
	MaxUDPPayload int
	// NoPathMTUDiscovery has every datagram bear MaxUDPPayload from the start, or 1200
	// bytes when that is 0. The path must carry it.
	NoPathMTUDiscovery bool
	// NoECN leaves packets unmarked.
	NoECN bool
	// NoMigration tells the peer to stay at its address.
	NoMigration bool
	// QLOG is a folder, which must exist, for qlog files: one of each connection, named
	// by the connection's original destination ID and its side. Empty: none.
	QLOG string

	// Of endpoints and listeners:

	// EarlyData has a listener take 0-RTT data: Accept then returns a connection before
	// its handshake is complete, and what is read from it may have been replayed by an
	// attacker (RFC 8446, section 8). Conn.Handshake waits for the end of that time.
	EarlyData bool
	// RequireRetry makes each new client prove its address first, which takes a round
	// trip more. Without it that is asked for when 1000 handshakes are under way.
	RequireRetry bool
	// MaxConns bounds the connections of an endpoint. 0: 65536.
	MaxConns int
	// Backlog bounds the connections that wait for Accept; more are closed. 0: 128.
	Backlog int
	// Kernel buffers of each socket, bytes. 0: 7 MiB, or what the system grants.
	ReadBuffer, WriteBuffer int
}

const defaultBacklog = 128

// orDefaults returns c, or the zero Config for nil.
func (c *Config) orDefaults() Config {
	if c == nil {
		return Config{}
	}
	return *c
}

// proto returns the settings of a connection whose clock starts at epoch. Values that cannot work are found where
// they are used.
func (c *Config) proto(t *tls.Config, epoch time.Time) proto.Config {
	p := proto.Config{
		TLS: t, Congestion: c.Congestion, Paths: c.Paths, Scheduler: c.Scheduler, NoReinject: c.NoReinject, KeepWarm: c.KeepWarm,
		NoAckFrequency: c.NoAckFrequency, AskAcks: c.AskAcks,
		IdleTimeout: c.IdleTimeout, KeepAlive: c.KeepAlive, HandshakeTimeout: c.HandshakeTimeout,
		StreamWindow: wire.ByteCount(c.StreamWindow), MaxStreamWindow: wire.ByteCount(c.MaxStreamWindow),
		ConnWindow: wire.ByteCount(c.ConnWindow), MaxConnWindow: wire.ByteCount(c.MaxConnWindow),
		SendBuffer:     wire.ByteCount(c.SendBuffer),
		MaxBidiStreams: c.MaxStreams, MaxUniStreams: c.MaxUniStreams,
		MaxDatagram: wire.ByteCount(c.MaxDatagram), MaxUDPPayload: wire.ByteCount(c.MaxUDPPayload),
		FixedMTU: c.NoPathMTUDiscovery, ECN: !c.NoECN, DisableMigration: c.NoMigration,
		EarlyData: c.EarlyData, Tracer: c.tracer(epoch),
	}
	if p.FixedMTU && p.MaxUDPPayload == 0 {
		p.MaxUDPPayload = minUDPPayload
	}
	return p
}

// minUDPPayload is what every path must carry (RFC 9000, section 14).
const minUDPPayload = 1200

// driver returns the settings of an endpoint.
func (c *Config) driver() driver.Config {
	d := driver.Config{Socket: udpio.Config{ReadBuffer: c.ReadBuffer, WriteBuffer: c.WriteBuffer}, MaxConns: c.MaxConns}
	if c.RequireRetry {
		d.RetryAbove = -1
	}
	return d
}

func (c *Config) backlog() int {
	if c.Backlog == 0 {
		return defaultBacklog
	}
	return c.Backlog
}

// clientTLS returns a copy of t for a connection to a host.
func clientTLS(t *tls.Config, host string) (*tls.Config, error) {
	if t == nil {
		return nil, errors.New("no TLS settings given: QUIC is always encrypted")
	}
	t = t.Clone()
	if t.ServerName == "" {
		t.ServerName = host
	}
	t.MinVersion = tls.VersionTLS13 // RFC 9001, section 4.2: older TLS MUST NOT be negotiated
	return t, nil
}

func serverTLS(t *tls.Config) (*tls.Config, error) {
	if t == nil {
		return nil, errors.New("no TLS settings given: QUIC is always encrypted")
	}
	t = t.Clone()
	t.MinVersion = tls.VersionTLS13
	return t, nil
}
