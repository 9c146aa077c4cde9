package relay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/control"
)

const (
	// awaitSlice is how long an await may take: the client asks again, which shows that
	// it is there.
	awaitSlice = 5 * time.Second
	dropsEvery = 20 * time.Millisecond
)

// answers is what the relay says on its control socket. It shares nothing with the
// forwarding threads but their snapshots, orders and logs, none of which they wait for.
type answers struct {
	relay *relay
}

// serve serves one client until it goes, idles, or breaks the protocol.
func (a answers) serve(conn net.Conn) {
	for line := range control.Lines(conn) {
		req, err := decodeRequest(line)
		if err == nil && req.Op == opDrops {
			a.streamDrops(conn)
			return
		}
		resp := response{}
		if err == nil {
			resp, err = a.respond(req)
		}
		if err != nil {
			resp = response{Error: err.Error()}
		}
		if control.Send(conn, resp) != nil {
			return
		}
	}
}

func (a answers) respond(req request) (response, error) {
	r := a.relay
	switch req.Op {
	case opPing:
		return response{}, nil
	case opCounters:
		s, err := r.status()
		return response{Status: &s}, err
	case opArm:
		return response{}, r.arm(req.Seed)
	case opStart:
		return response{}, r.begin(req.At)
	case opStarted, opAwait:
		at, ok := r.start.Load().at()
		if req.Op == opAwait && !ok {
			at, ok = r.awaitStart(awaitSlice)
		}
		if !ok {
			return response{}, nil
		}
		return response{Started: &at}, nil
	case opSet:
		settings, err := req.settings()
		if err != nil {
			return response{}, err
		}
		return response{}, r.set(settings)
	}
	return response{}, fmt.Errorf("unknown op %.40q", req.Op)
}

// awaitStart waits for the clock to start, but not longer than patience.
func (r *relay) awaitStart(patience time.Duration) (emulation.Time, bool) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		s := r.start.Load()
		select {
		case <-s.known:
			return s.at()
		case <-s.over: // armed anew: the next start is there
		case <-late.C:
			return 0, false
		case <-r.closing:
			return 0, false
		}
	}
}

// streamDrops tells a client what is dropped until it says something or goes.
func (a answers) streamDrops(conn net.Conn) {
	var readers []*dropReader
	for _, w := range a.relay.wires {
		for way, f := range w.directions {
			r := f.model.log.follow(w.link, directionNames[way])
			defer r.end()
			readers = append(readers, r)
		}
	}
	if control.Send(conn, response{}) != nil || conn.SetReadDeadline(time.Time{}) != nil {
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = conn.Read(make([]byte, 1))
	}()
	defer func() {
		_ = conn.Close()
		<-gone
	}()
	tick := time.NewTicker(dropsEvery)
	defer tick.Stop()
	var drops []Drop
	for {
		select {
		case <-gone:
			return
		case <-tick.C:
		}
		for _, r := range readers {
			if drops = r.read(drops[:0]); len(drops) > 0 && control.Send(conn, drops) != nil {
				return
			}
		}
	}
}

// readResponse reads one response line.
func readResponse(r *bufio.Reader) (response, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return response{}, err
	}
	var resp response
	if err := json.Unmarshal(line, &resp); err != nil {
		return response{}, err
	}
	if resp.Error != "" {
		return response{}, errors.New(resp.Error)
	}
	return resp, nil
}
