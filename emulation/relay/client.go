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

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/control"
)

// Client asks a relay process over its control socket. Its methods may be called
// from several goroutines; after an error of the connection it must be closed.
type Client struct {
	path   string
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
	return &Client{path: path, conn: conn, reader: bufio.NewReader(conn)}, nil
}

// Close ends the connection. The relay goes on.
func (c *Client) Close() error { return c.conn.Close() }

// Ping returns nil when the relay answers.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.ask(ctx, request{Op: opPing})
	return err
}

// Counters returns what the relay has counted so far.
func (c *Client) Counters(ctx context.Context) (Status, error) {
	resp, err := c.ask(ctx, request{Op: opCounters})
	if err != nil {
		return Status{}, err
	}
	if resp.Status == nil {
		return Status{}, errors.New("ask the relay for counters: the answer has none")
	}
	return *resp.Status, nil
}

// Arm makes every direction begin anew, all at one instant: with the impairments of the
// Spec, a fresh model whose randomness comes from seed (emulation.NewSeed), and the
// clock not started. It starts with the first packet on any wire, unless the Spec says
// StartManual, or at Start. Packets that are held depart as they would have; counters
// go on.
func (c *Client) Arm(ctx context.Context, seed uint64) error {
	_, err := c.ask(ctx, request{Op: opArm, Seed: seed})
	return err
}

// Start starts the clock at an instant, in ns of CLOCK_MONOTONIC, up to 10 s ago or a
// day ahead; 0 means now. It is an error when it has been started.
func (c *Client) Start(ctx context.Context, at int64) error {
	_, err := c.ask(ctx, request{Op: opStart, At: emulation.Time(at)})
	return err
}

// Started returns when the clock started, or will, in ns of CLOCK_MONOTONIC; false
// while that is not known.
func (c *Client) Started(ctx context.Context) (at int64, ok bool, err error) {
	resp, err := c.ask(ctx, request{Op: opStarted})
	if err != nil || resp.Started == nil {
		return 0, false, err
	}
	return int64(*resp.Started), true, nil
}

// AwaitStart is Started that waits until it is known, also while the clock is armed
// anew. It uses a connection of its own.
func (c *Client) AwaitStart(ctx context.Context) (at int64, err error) {
	own, err := Dial(c.path)
	if err != nil {
		return 0, err
	}
	defer own.Close()
	for {
		resp, err := own.ask(ctx, request{Op: opAwait})
		if err != nil {
			return 0, err
		}
		if resp.Started != nil {
			return int64(*resp.Started), nil
		}
	}
}

// Set changes the impairments of several directions, all at one instant. When one of
// the changes is impossible on what is in force none takes effect; the error says which
// and why. It returns once they are in force.
func (c *Client) Set(ctx context.Context, settings []Setting) error {
	req := request{Op: opSet}
	for _, s := range settings {
		raw, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("change link %s: %w", s.Link, err)
		}
		req.Settings = append(req.Settings, raw)
	}
	_, err := c.ask(ctx, req)
	return err
}

// Drops calls each for every packet that the emulated paths drop from when following
// is called (it may be nil) until ctx ends or each returns an error, which it returns.
// Drops come in the order of each direction. It uses a connection of its own. Where
// drops came faster than they could be read, a Drop says how many were missed.
func (c *Client) Drops(ctx context.Context, following func(), each func(Drop) error) error {
	own, err := Dial(c.path)
	if err != nil {
		return err
	}
	defer own.Close()
	if _, err := own.ask(ctx, request{Op: opDrops}); err != nil {
		return err
	}
	if following != nil {
		following()
	}
	stop := context.AfterFunc(ctx, func() { _ = own.Close() })
	defer stop()
	for {
		line, err := own.reader.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("follow drops: %w", errors.Join(ctx.Err(), err))
		}
		var drops []Drop
		if err := json.Unmarshal(line, &drops); err != nil {
			return fmt.Errorf("follow drops: %w", err)
		}
		for _, d := range drops {
			if err := each(d); err != nil {
				return err
			}
		}
	}
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
	if len(data) >= control.MaxLine {
		return response{}, fmt.Errorf("the request has %d bytes, the relay takes %d: use a shorter trace or table", len(data), control.MaxLine-1)
	}
	if _, err := c.conn.Write(append(data, '\n')); err != nil {
		return response{}, err
	}
	return readResponse(c.reader)
}
