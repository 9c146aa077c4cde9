package relay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	controlClients = 32 // at once; more are turned away
	controlIdle    = time.Minute
	controlWrite   = 2 * time.Second

	// awaitSlice is how long an await may take: the client asks again, which shows that
	// it is there.
	awaitSlice = 5 * time.Second
	dropsEvery = 20 * time.Millisecond
)

// control answers requests on the control socket. It shares nothing with the
// forwarding threads but their snapshots, orders and logs, none of which they wait
// for, and bounds what a client can hold.
type control struct {
	listener net.Listener
	relay    *relay
	clients  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

func newControl(l net.Listener, r *relay) *control {
	return &control{listener: l, relay: r, open: map[net.Conn]bool{}}
}

// serve accepts clients until close, and returns when the last one is gone.
func (c *control) serve() {
	defer c.clients.Wait()
	for {
		conn, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond) // out of files, say: it may pass
			continue
		}
		if !c.admit(conn) {
			_ = conn.Close()
			continue
		}
		c.clients.Go(func() {
			c.answer(conn)
			c.dismiss(conn)
		})
	}
}

func (c *control) admit(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.open) == controlClients {
		return false
	}
	c.open[conn] = true
	return true
}

func (c *control) dismiss(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
	_ = conn.Close()
}

// close ends all clients and makes serve return.
func (c *control) close() {
	_ = c.listener.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for conn := range c.open {
		_ = conn.Close()
	}
}

// answer serves one client until it goes, idles, or breaks the protocol.
func (c *control) answer(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, 0, 256), controlLine)
	for {
		if conn.SetReadDeadline(time.Now().Add(controlIdle)) != nil || !lines.Scan() {
			return
		}
		req, err := decodeRequest(lines.Bytes())
		if err == nil && req.Op == opDrops {
			c.streamDrops(conn)
			return
		}
		resp := response{}
		if err == nil {
			resp, err = c.respond(req)
		}
		if err != nil {
			resp = response{Error: err.Error()}
		}
		if send(conn, resp) != nil {
			return
		}
	}
}

// send writes a line of JSON.
func send(conn net.Conn, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(controlWrite)); err != nil {
		return err
	}
	_, err = conn.Write(append(data, '\n'))
	return err
}

func (c *control) respond(req request) (response, error) {
	r := c.relay
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
func (c *control) streamDrops(conn net.Conn) {
	var readers []*dropReader
	for _, w := range c.relay.wires {
		for way, f := range w.directions {
			r := f.model.log.follow(w.link, directionNames[way])
			defer r.end()
			readers = append(readers, r)
		}
	}
	if send(conn, response{}) != nil || conn.SetReadDeadline(time.Time{}) != nil {
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
			if drops = r.read(drops[:0]); len(drops) > 0 && send(conn, drops) != nil {
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
