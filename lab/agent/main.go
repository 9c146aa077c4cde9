package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// cleanupBound is how long a child may take to end its sessions once it was
// told to end. Beyond it the process's exit ends them.
const cleanupBound = 2 * time.Second

// Config is what Main works with.
type Config struct {
	In      io.Reader
	Out     io.Writer
	Engines engine.Registry
	// KeyLog, which may be nil, gets the TLS secrets of all sessions, in the format of
	// SSLKEYLOGFILE: who has them can decrypt a capture.
	KeyLog io.Writer
}

// Main is the child: it serves requests from c.In on c.Out until c.In closes, ctx
// ends, a SIGTERM arrives or the lab says quit. SIGINT and SIGHUP are left to
// the lab, which gets them from the same terminal.
//
// It returns nil after such an end, and an error when the conversation broke:
// the caller prints it to standard error and exits. A read of c.In that is still
// blocked when Main returns is left to the process's exit.
func Main(ctx context.Context, config Config) error {
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(ignored)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	w := newLineWriter(config.Out, func(err error) { cancel(fmt.Errorf("write to the lab: %w", err)) })
	c := &child{Config: config, out: w}
	err := c.loop(ctx, config.In)
	cancel(err) // ends the request that runs

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.running.Wait()
		c.close()
		w.close()
		<-w.done
	}()
	select {
	case <-ended:
	case <-time.After(cleanupBound):
		err = errors.Join(err, fmt.Errorf("end the sessions: not over after %v", cleanupBound))
	}
	return err
}

// child is Main's state. The fields below running belong to the one request
// that runs at a time, and to Main after it.
type child struct {
	Config
	out     *lineWriter
	running sync.WaitGroup

	used     engine.Engine // nil before the first
	listener engine.Listener
	sessions []engine.Session
	keyLogs  []*os.File
	redial   func(context.Context) (engine.Session, error) // one more session; nil before dial
	dropped  bool
}

// loop reads requests and starts them one at a time.
func (c *child) loop(ctx context.Context, in io.Reader) error {
	lines := make(chan request)
	broken := make(chan error, 1)
	go func() { broken <- readRequests(ctx, in, lines) }()

	idle := make(chan struct{}, 1) // holds a token while no request runs
	idle <- struct{}{}
	for {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !isEnd(cause) {
				return cause
			}
			return nil
		case err := <-broken:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read from the lab: %w", err)
		case r := <-lines:
			if r.Op == opQuit {
				c.out.reply(ctx, reply{ID: r.ID})
				return nil
			}
			select {
			case <-idle:
			default:
				busy := errors.New("busy: one request at a time")
				c.out.reply(ctx, reply{ID: r.ID, Error: newRemoteError(busy)})
				continue
			}
			c.running.Go(func() {
				answer := c.serve(ctx, r)
				idle <- struct{}{} // before the reply: the lab may ask again at once
				c.out.reply(ctx, answer)
			})
		}
	}
}

// isEnd reports whether a context ended because the child was told to end,
// rather than because something broke.
func isEnd(cause error) bool {
	// signal.NotifyContext's cause is its own type, which wraps context.Canceled.
	return cause == nil || errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded)
}

// readRequests sends requests until in ends or holds something else.
func readRequests(ctx context.Context, in io.Reader, to chan<- request) error {
	lines := newLineReader(in)
	for {
		line, err := lines.next()
		if err != nil {
			return err
		}
		r, err := decodeRequest(line)
		if err != nil {
			return err
		}
		select {
		case to <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serve runs one request and returns its reply.
func (c *child) serve(ctx context.Context, r request) reply {
	result, err := c.do(ctx, r)
	if err != nil {
		return reply{ID: r.ID, Error: newRemoteError(err)}
	}
	body, err := json.Marshal(result)
	if err != nil {
		return reply{ID: r.ID, Error: newRemoteError(fmt.Errorf("encode the result of %s: %w", r.Op, err))}
	}
	return reply{ID: r.ID, Result: body}
}

// do decodes the parameters and calls the operation.
func (c *child) do(ctx context.Context, r request) (any, error) {
	switch r.Op {
	case opHello:
		return Hello{Version: protocolVersion, PID: os.Getpid()}, nil
	case opListen:
		return with(r, func(p Listen) (any, error) { return c.listen(ctx, p) })
	case opDial:
		return with(r, func(p Dial) (any, error) { return nil, c.dial(ctx, p) })
	case opAccept:
		return with(r, func(p accept) (any, error) { return nil, c.accept(ctx, p) })
	case opDrop:
		return with(r, func(p Credential) (any, error) { return nil, c.drop(p) })
	case opBulk:
		return with(r, func(p Bulk) (any, error) { return c.bulk(ctx, r.ID, p) })
	case opTimed:
		return with(r, func(p Timed) (any, error) { return c.timed(ctx, r.ID, p) })
	}
	return nil, fmt.Errorf("unknown operation %q", string(r.Op))
}

// with decodes a request's parameters, strictly, and calls f with them.
func with[P any](r request, f func(P) (any, error)) (any, error) {
	var p P
	if err := decodeStrict(r.Params, &p); err != nil {
		return nil, fmt.Errorf("read the parameters of %s: %w", r.Op, err)
	}
	return f(p)
}
