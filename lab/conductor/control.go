package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tquiclab/tquiclab/emulation/control"
)

// request and response are the lines of the control protocol: JSON, one a line.
type request struct {
	Op       string    `json:"op"`
	Seed     uint64    `json:"seed,omitempty"`     // arm
	Settings []Setting `json:"settings,omitempty"` // impair
	Link     string    `json:"link,omitempty"`     // link
	Carrier  Carrier   `json:"carrier,omitempty"`  // link
	Node     string    `json:"node,omitempty"`     // rebind
}

type response struct {
	Error   string   `json:"error,omitempty"`
	Running bool     `json:"running,omitempty"` // the error is ErrRunning
	Status  *Status  `json:"status,omitempty"`
	Links   []string `json:"links,omitempty"`
}

// serve serves one client of the control socket until it goes, idles, or breaks the
// protocol.
func (c *Conductor) serve(ctx context.Context, conn net.Conn) {
	for line := range control.Lines(conn) {
		if control.Send(conn, respond(ctx, c, line)) != nil {
			return
		}
	}
}

// answerBound is how long a request may take.
const answerBound = 10 * time.Second

// respond does what one line asks for.
func respond(ctx context.Context, c *Conductor, line []byte) response {
	var req request
	if err := json.Unmarshal(line, &req); err != nil {
		return response{Error: "not a JSON request: " + err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, answerBound)
	defer cancel()
	var resp response
	var err error
	switch req.Op {
	case "ping":
	case "status":
		var s Status
		s, err = c.Status(ctx)
		resp.Status = &s
	case "rest":
		resp.Links, err = c.Rest(ctx)
	case "arm":
		err = c.Arm(ctx, req.Seed)
	case "start":
		err = c.Start(ctx)
	case "impair":
		err = c.Impair(ctx, req.Settings)
	case "link":
		if req.Carrier != CarrierOn && req.Carrier != CarrierOff {
			err = fmt.Errorf("unknown carrier %q: want %s or %s", req.Carrier, CarrierOn, CarrierOff)
			break
		}
		err = c.SetLink(ctx, req.Link, req.Carrier)
	case "rebind":
		err = c.Rebind(ctx, req.Node)
	default:
		err = errors.New("unknown op: want ping, status, rest, arm, start, impair, link or rebind")
	}
	if err != nil {
		return response{Error: err.Error(), Running: errors.Is(err, ErrRunning)}
	}
	return resp
}
