package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// protocolVersion changes whenever a message does. Lab and child are the same
// program, so a difference means that the file was replaced while the lab ran.
const protocolVersion = 3

// op is what a request asks for.
type op string

const (
	opHello  op = "hello"
	opListen op = "listen"
	opDial   op = "dial"
	opAccept op = "accept"
	opDrop   op = "drop"
	opBulk   op = "bulk"
	opTimed  op = "timed"
	opQuit   op = "quit"
)

// request is a line from the lab. Params holds the operation's own struct, and
// is absent where it has none.
type request struct {
	ID     uint64          `json:"id"` // from 1, never reused
	Op     op              `json:"op"`
	Params json.RawMessage `json:"params,omitempty"`
}

// reply is a line from the child: an event (Event set, Result its body), or the
// one answer to a request (Result or Error).
type reply struct {
	ID     uint64          `json:"id"`
	Event  string          `json:"event,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *remoteError    `json:"error,omitempty"`
}

// eventProgress is the only event.
const eventProgress = "progress"

// remoteError is an error on its way from the child to the lab.
type remoteError struct {
	Text        string `json:"text"`
	Unsupported bool   `json:"unsupported,omitempty"` // it wrapped engine.ErrUnsupported
}

func (e *remoteError) Error() string { return e.Text }

// Is keeps errors.Is(err, engine.ErrUnsupported) true across the pipe.
func (e *remoteError) Is(target error) bool {
	return e.Unsupported && target == engine.ErrUnsupported
}

// newRemoteError prepares err for the pipe. The text is cut so that it always
// fits a line.
func newRemoteError(err error) *remoteError {
	const maxText = 16 << 10
	text := err.Error()
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + " ..."
	}
	return &remoteError{Text: text, Unsupported: errors.Is(err, engine.ErrUnsupported)}
}

// Hello is who the child is.
type Hello struct {
	Version int `json:"version"` // of the protocol
	PID     int `json:"pid"`
}

// Listen asks the child to accept sessions of an engine.
type Listen struct {
	Engine     string        `json:"engine"`
	Paths      []engine.Path `json:"paths"` // Local only; port 0 takes any
	Congestion string        `json:"congestion,omitempty"`
	Scheduler  string        `json:"scheduler,omitempty"`
	QLOG       string        `json:"qlog,omitempty"`   // folder for qlog files, absolute
	KeyLog     string        `json:"keylog,omitempty"` // file that takes the TLS secrets, absolute
}

// Listening is where the child listens and how to know it.
type Listening struct {
	Paths       []engine.Path `json:"paths"`       // with the ports
	Certificate []byte        `json:"certificate"` // DER, self-signed, of this child alone
}

// Dial asks the child to open sessions of an engine, and streams on each that a
// transfer then uses first.
type Dial struct {
	Engine      string        `json:"engine"`
	Paths       []engine.Path `json:"paths"` // Local and Remote
	Congestion  string        `json:"congestion,omitempty"`
	Scheduler   string        `json:"scheduler,omitempty"`
	QLOG        string        `json:"qlog,omitempty"`   // folder for qlog files, absolute
	KeyLog      string        `json:"keylog,omitempty"` // file that takes the TLS secrets, absolute
	Certificate []byte        `json:"certificate"`      // the one to trust
	Sessions    int           `json:"sessions"`
	Streams     int           `json:"streams"` // on each session
}

// accept asks the listening child to wait until it has that many sessions.
type accept struct {
	Sessions int `json:"sessions"`
}

// Credential is the user that a child becomes once its sockets are open.
type Credential struct {
	UID int `json:"uid"`
	GID int `json:"gid"`
}

// Side says which end of its sessions a child is: the dialler asks for the
// transfer, the listener serves it.
type Side string

// The sides.
const (
	Dialler  Side = "dialler"
	Listener Side = "listener"
)

// Bulk asks the child to take its part in a bulk transfer over all its sessions.
//
// Seed, Bytes, Duration and Streams are workload.Bulk's, and matter to the
// dialler only: it tells the listener.
type Bulk struct {
	Side     Side          `json:"side"`
	Role     workload.Role `json:"role"` // of this child: 1 sends, 2 receives; the dialler's matters
	Seed     uint64        `json:"seed"`
	Bytes    int64         `json:"bytes,omitempty"`
	Duration time.Duration `json:"duration_ns,omitempty"`
	Streams  int           `json:"streams"` // per session
}

// Progress is how far a bulk transfer is, from the child's own view.
type Progress struct {
	At    time.Duration `json:"at_ns"` // since the child began the transfer
	Bytes int64         `json:"bytes"` // payload written by a sender, read by a receiver
	// Paths is what the engine said of each link at At, by PerLink. It is the receiver's
	// to keep.
	Paths []engine.PathStats `json:"paths,omitempty"`
}

// Transfer is what a workload came to on one side. One that broke has
// Report.Error set.
type Transfer struct {
	Report workload.Report `json:"report"`
	Stats  []engine.Stats  `json:"stats"` // one per session, as they stood at the end
	Usage  Usage           `json:"usage"`
}

// Usage is what the child's process used from the start of the workload to its
// end.
type Usage struct {
	CPU        time.Duration `json:"cpu_ns"`      // user and system, all threads
	Mallocs    uint64        `json:"mallocs"`     // heap objects allocated
	AllocBytes uint64        `json:"alloc_bytes"` // bytes of them
	GCCycles   int64         `json:"gc_cycles"`
	PeakRSS    int64         `json:"peak_rss_bytes"` // since the child began, which was for this trial
}

// decodeStrict fills v from one JSON value and refuses unknown fields and
// anything after the value.
func decodeStrict(data []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// decodeRequest reads a line from the lab.
func decodeRequest(line []byte) (request, error) {
	var r request
	if err := decodeStrict(line, &r); err != nil {
		return request{}, fmt.Errorf("read request %s: %w", excerpt(line), err)
	}
	if r.ID == 0 || r.Op == "" {
		return request{}, fmt.Errorf("read request %s: it needs an id and an op", excerpt(line))
	}
	return r, nil
}

// decodeReply reads a line from the child.
func decodeReply(line []byte) (reply, error) {
	var r reply
	if err := decodeStrict(line, &r); err != nil {
		return reply{}, fmt.Errorf("read reply %s: %w", excerpt(line), err)
	}
	switch {
	case r.ID == 0:
		return reply{}, fmt.Errorf("read reply %s: it needs an id", excerpt(line))
	case r.Event != "" && r.Event != eventProgress:
		return reply{}, fmt.Errorf("read reply %s: unknown event %q", excerpt(line), r.Event)
	case r.Event != "" && r.Error != nil:
		return reply{}, fmt.Errorf("read reply %s: an event carries no error", excerpt(line))
	}
	return r, nil
}

// excerpt quotes the beginning of a line for an error.
func excerpt(line []byte) string {
	const limit = 80
	if len(line) > limit {
		return fmt.Sprintf("%q...", line[:limit])
	}
	return fmt.Sprintf("%q", line)
}
