package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	maxSettings = 4096 // of a request
)

// The requests.
const (
	opPing     = "ping"
	opCounters = "counters"
	opArm      = "arm"
	opStart    = "start"
	opStarted  = "started"
	opAwait    = "await"
	opSet      = "set"
	opDrops    = "drops"
)

// request and response are the lines of the control protocol: JSON, one a line. The
// answer to drops is followed by lists of Drop, one a line, until either end closes the
// connection.
type request struct {
	Op   string         `json:"op"`
	Seed uint64         `json:"seed,omitempty"`  // arm
	At   emulation.Time `json:"at_ns,omitempty"` // start
	// Settings are those of set, each to be decoded once their number is known.
	Settings []json.RawMessage `json:"settings,omitempty"`
}

type response struct {
	Error   string          `json:"error,omitempty"`
	Status  *Status         `json:"status,omitempty"`
	Started *emulation.Time `json:"started_ns,omitempty"` // of started and await: nil while it has not
}

// decodeRequest reads a request, which comes from anybody who reaches the socket. It
// takes no more memory than a small multiple of the line.
func decodeRequest(line []byte) (request, error) {
	var req request
	if err := decodeStrict(line, &req); err != nil {
		return request{}, fmt.Errorf("not a JSON request: %w", err)
	}
	if len(req.Settings) > maxSettings {
		return request{}, fmt.Errorf("%d changes are more than %d", len(req.Settings), maxSettings)
	}
	return req, nil
}

// settings decodes the changes of a request.
func (r request) settings() ([]Setting, error) {
	settings := make([]Setting, len(r.Settings))
	for i, raw := range r.Settings {
		if err := decodeStrict(raw, &settings[i]); err != nil {
			return nil, fmt.Errorf("change %d: %w", i+1, err)
		}
	}
	return settings, nil
}

// decodeStrict decodes one JSON value that has no field which to does not have.
func decodeStrict(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows")
	}
	return nil
}
