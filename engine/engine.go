package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"time"
)

// ErrUnsupported is wrapped by an error that says that this machine, or this
// engine, cannot do what was asked. Its text says what to do next.
var ErrUnsupported = errors.New("not supported")

// Engine is a transport under test. Its methods may be called from several
// goroutines.
type Engine interface {
	// Name is the word that topologies and --engine use: lower case, dashes.
	Name() string
	Capabilities() Capabilities
	// Listen accepts sessions on every path's Local address. The context bounds
	// the call, not the listener's life.
	Listen(ctx context.Context, c Config) (Listener, error)
	// Dial opens one session from every path's Local address to its Remote. It
	// returns when the session can carry data on at least the first path.
	Dial(ctx context.Context, c Config) (Session, error)
}

// Capabilities is what an engine can do.
type Capabilities struct {
	Multipath  bool   // one session uses several paths at once
	Encrypted  bool   // needs Config.TLS
	QLOG       bool   // writes the files that Config.QLOG asks for
	BulkOnly   bool   // its sessions are Generators: nothing but bulk transfers
	Congestion string // congestion control in use by default, e.g. "cubic"
	Scheduler  string // scheduler in use by default over several paths; empty: it has no name
	// Congestions and Schedulers are the names that Config takes; empty: none by name.
	Congestions, Schedulers []string
	// Probe says whether this machine can run the engine, in the calling
	// process's network namespace: nil, or an error that wraps ErrUnsupported and
	// says what to do. Nil means that it always can.
	Probe func() error
}

// Path is one pair of addresses over one link. A listener uses Local only; port
// 0 there takes any. A dialler's Local port is 0 unless it must be fixed.
type Path struct {
	Link   string         `json:"link"`
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote,omitzero"`
}

// Config is what Listen and Dial work from. Single-path engines use Paths[0]
// and return an error wrapping ErrUnsupported when given more.
type Config struct {
	Paths []Path
	// TLS holds the listener's certificate, or the dialler's roots and server
	// name. Engines clone it and set their own ALPN. Ignored by engines that are
	// not Encrypted.
	TLS *tls.Config
	// Congestion names the congestion control; empty means the engine's default.
	Congestion string
	// Scheduler names what chooses the path of data; empty means the engine's default.
	// Engines without Capabilities.Schedulers return an error for any other.
	Scheduler string
	// QLOG is a folder, which must exist, for qlog files: one of each connection,
	// whose name ends in ".sqlog", complete up to the close once its session is closed.
	// Empty means none. Ignored by engines without Capabilities.QLOG.
	QLOG string
}

// Listener accepts sessions.
type Listener interface {
	// Accept waits for the next session.
	Accept(ctx context.Context) (Session, error)
	// Paths returns Config.Paths with the local ports filled in.
	Paths() []Path
	// Close stops accepting. Sessions already accepted live on, with the streams that
	// they have and one more; others may need the listener. Idempotent.
	Close() error
}

// Session is one transport connection, or as many as the engine needs to carry
// streams between the same two ends. Once either side has closed it, its calls
// return errors that wrap net.ErrClosed.
type Session interface {
	// OpenStream opens a stream. The peer sees it once something was written.
	// Only the dialler opens streams: TCP's listener could not.
	OpenStream(ctx context.Context) (Stream, error)
	// AcceptStream waits for the next stream that the peer opened.
	AcceptStream(ctx context.Context) (Stream, error)
	// Stats returns the session's statistics so far.
	Stats() Stats
	// Close ends the session and everything that it started, and returns when
	// that is over, but for what a Lingerer leaves. Unread data may be lost. Idempotent.
	Close() error
}

// Stream is an ordered, reliable byte stream in both directions. Read and Write
// may run at the same time; neither may run twice at the same time. Write
// borrows its argument until it returns.
type Stream interface {
	io.Reader
	io.Writer
	// CloseWrite ends this side's bytes: the peer reads them all, then io.EOF.
	CloseWrite() error
	// Close ends both directions and unblocks Read and Write. Idempotent.
	Close() error
}

// Stats is what a session did, counted by the engine itself. A value that an
// engine cannot know is zero.
type Stats struct {
	Congestion string `json:"congestion,omitempty"` // control actually in use
	Scheduler  string `json:"scheduler,omitempty"`  // actually in use
	// Copied is how many bytes of stream payload the engine moved by memcpy, sent and
	// received ones, encryption aside; nil: it does not count them.
	Copied *uint64     `json:"copied_bytes,omitempty"`
	Paths  []PathStats `json:"paths,omitempty"` // in the order of Config.Paths
}

// PathStats is the part of one path.
type PathStats struct {
	Link             string        `json:"link"`
	SRTT             time.Duration `json:"srtt_ns,omitempty"` // smoothed round-trip time
	CongestionWindow uint64        `json:"cwnd_bytes,omitempty"`
	BytesInFlight    uint64        `json:"in_flight_bytes,omitempty"`
	SentPackets      uint64        `json:"sent_packets,omitempty"`
	ReceivedPackets  uint64        `json:"received_packets,omitempty"`
	LostPackets      uint64        `json:"lost_packets,omitempty"` // declared lost by the sender
	ReinjectedBytes  uint64        `json:"reinjected_bytes,omitempty"`
	Picks            uint64        `json:"scheduler_picks,omitempty"` // trains that the scheduler put on it
	Dead             bool          `json:"dead,omitempty"`            // given up during the session
}
