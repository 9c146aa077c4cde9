package relay

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

// Client asks a relay process over its control socket. Its methods may be called
// from several goroutines; after an error of the connection it must be closed.
type Client struct {
	mu     sync.Mutex // one request at a time
	conn   net.Conn
	reader *bufio.Reader
}

// Dial connects to the control socket at path.
func Dial(path string) (*Client, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, fmt.Errorf("reach the relay (has it ended?): %w", err)
	}
	return &Client{conn: conn, reader: bufio.NewReader(conn)}, nil
}

// Close ends the connection. The relay goes on.
func (c *Client) Close() error { return c.conn.Close() }

// Ping returns nil when the relay answers.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.ask(ctx, request{Op: "ping"})
	return err
}

// Counters returns what the relay has counted so far.
func (c *Client) Counters(ctx context.Context) (Status, error) {
	resp, err := c.ask(ctx, request{Op: "counters"})
	if err != nil {
		return Status{}, err
	}
	if resp.Status == nil {
		return Status{}, errors.New("ask the relay for counters: the answer has none")
	}
	return *resp.Status, nil
}

func (c *Client) ask(ctx context.Context, req request) (response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil { // before the connection is touched, which a late end would spoil
		return response{}, fmt.Errorf("ask the relay for %s: %w", req.Op, err)
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return response{}, fmt.Errorf("ask the relay for %s: %w", req.Op, err)
	}
	// A context that ends cuts the exchange short; the connection is then of no
	// more use, since the answer may still come.
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	resp, err := c.exchange(req)
	if err != nil {
		return response{}, fmt.Errorf("ask the relay for %s: %w", req.Op, errors.Join(ctx.Err(), err))
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
	return readResponse(c.reader)
}
