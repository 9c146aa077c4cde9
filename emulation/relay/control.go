package relay

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	controlClients = 16   // at once; more are turned away
	controlLine    = 4096 // bytes of a request
	controlIdle    = time.Minute
	controlWrite   = 2 * time.Second
)

// request and response are the lines of the control protocol: JSON, one a line.
type request struct {
	Op string `json:"op"` // ping or counters
}

type response struct {
	Error  string  `json:"error,omitempty"`
	Status *Status `json:"status,omitempty"`
}

// control answers requests on the control socket. It shares nothing with the
// forwarding threads but their snapshots, and bounds what a client can hold.
type control struct {
	listener net.Listener
	status   func() (Status, error)
	clients  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

func newControl(l net.Listener, status func() (Status, error)) *control {
	return &control{listener: l, status: status, open: map[net.Conn]bool{}}
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
		data, err := json.Marshal(c.respond(lines.Bytes()))
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

func (c *control) respond(line []byte) response {
	var req request
	if err := json.Unmarshal(line, &req); err != nil {
		return response{Error: "not a JSON request: " + err.Error()}
	}
	switch req.Op {
	case "ping":
		return response{}
	case "counters":
		s, err := c.status()
		if err != nil {
			return response{Error: err.Error()}
		}
		return response{Status: &s}
	}
	return response{Error: "unknown op: want ping or counters"}
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
