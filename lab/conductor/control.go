package conductor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	controlClients = 16      // at once; more are turned away
	controlLine    = 4 << 20 // bytes of a request: a setting may carry a trace
	controlIdle    = time.Minute
	controlWrite   = 2 * time.Second
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

// control answers requests on the control socket, and bounds what a client can hold.
type control struct {
	listener net.Listener
	actor    *Conductor
	clients  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

func newControl(l net.Listener, c *Conductor) *control {
	return &control{listener: l, actor: c, open: map[net.Conn]bool{}}
}

// serve accepts clients until close, and returns when the last one is gone.
func (c *control) serve(ctx context.Context) {
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
			c.answer(ctx, conn)
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
func (c *control) answer(ctx context.Context, conn net.Conn) {
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, 0, 256), controlLine)
	for {
		if conn.SetReadDeadline(time.Now().Add(controlIdle)) != nil || !lines.Scan() {
			return
		}
		data, err := json.Marshal(respond(ctx, c.actor, lines.Bytes()))
		if err != nil {
			return
		}
		if conn.SetWriteDeadline(time.Now().Add(controlWrite)) != nil {
			return
		}
		if _, err := conn.Write(append(data, '\n')); err != nil {
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
