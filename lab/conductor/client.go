package conductor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Client asks a conductor over its control socket. Its methods may be called from
// several goroutines; after an error of the connection it must be closed.
type Client struct {
	mu     sync.Mutex // one request at a time
	conn   net.Conn
	reader *bufio.Reader
}

// Dial connects to the control socket at path.
func Dial(path string) (*Client, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, fmt.Errorf("reach the conductor (has it ended?): %w", err)
	}
	return &Client{conn: conn, reader: bufio.NewReader(conn)}, nil
}

// Close ends the connection. The conductor goes on.
func (c *Client) Close() error { return c.conn.Close() }

// Status returns how the conductor is doing.
func (c *Client) Status(ctx context.Context) (Status, error) {
	resp, err := c.ask(ctx, request{Op: "status"})
	if err == nil && resp.Status == nil {
		err = errors.New("ask the conductor for status: the answer has none")
	}
	if err != nil {
		return Status{}, err
	}
	return *resp.Status, nil
}

// Rest stops the clock and gives every link its carrier back. It returns those that
// had none.
func (c *Client) Rest(ctx context.Context) ([]string, error) {
	resp, err := c.ask(ctx, request{Op: "rest"})
	return resp.Links, err
}

// Arm puts everything back to what the file says and makes the clock wait for its
// start anew.
func (c *Client) Arm(ctx context.Context, seed uint64) error {
	_, err := c.ask(ctx, request{Op: "arm", Seed: seed})
	return err
}

// Start starts the clock. An error wraps ErrRunning when it runs.
func (c *Client) Start(ctx context.Context) error {
	_, err := c.ask(ctx, request{Op: "start"})
	return err
}

// Impair changes directions whose impairments the conductor sets: all or none.
func (c *Client) Impair(ctx context.Context, settings []Setting) error {
	_, err := c.ask(ctx, request{Op: "impair", Settings: settings})
	return err
}

// SetLink gives a link its carrier or takes it.
func (c *Client) SetLink(ctx context.Context, link string, carrier Carrier) error {
	_, err := c.ask(ctx, request{Op: "link", Link: link, Carrier: carrier})
	return err
}

// Rebind makes a NAT forget its mappings.
func (c *Client) Rebind(ctx context.Context, node string) error {
	_, err := c.ask(ctx, request{Op: "rebind", Node: node})
	return err
}

func (c *Client) ask(ctx context.Context, req request) (response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil { // before the connection is touched, which a late end would spoil
		return response{}, fmt.Errorf("ask the conductor for %s: %w", req.Op, err)
	}
	if err := c.conn.SetDeadline(time.Now().Add(2 * answerBound)); err != nil {
		return response{}, fmt.Errorf("ask the conductor for %s: %w", req.Op, err)
	}
	// A context that ends cuts the exchange short; the connection is then of no more
	// use, since the answer may still come.
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	resp, err := c.exchange(req)
	if err != nil {
		return response{}, fmt.Errorf("ask the conductor for %s: %w", req.Op, errors.Join(ctx.Err(), err))
	}
	switch {
	case resp.Running:
		return response{}, ErrRunning
	case resp.Error != "":
		return response{}, errors.New(resp.Error)
	}
	return resp, nil
}

func (c *Client) exchange(req request) (response, error) {
	data, err := json.Marshal(req)
	if err != nil {
		return response{}, err
	}
	if _, err := c.conn.Write(append(data, '\n')); err != nil {
		return response{}, err
	}
	line, err := c.reader.ReadBytes('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return response{}, err
	}
	var resp response
	return resp, json.Unmarshal(line, &resp)
}
