package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Process is the lab's handle on one child. Its methods may be called from any
// goroutine; calls run one at a time. It must be closed.
type Process struct {
	node   string
	cmd    *exec.Cmd
	stdin  *os.File
	tail   tail
	turn   chan struct{} // holds a token while no call runs
	broken chan struct{} // closed when no reply can come any more and the child is reaped
	closed sync.Once
	onExit chan struct{} // closed when the child is reaped

	mu      sync.Mutex
	lastID  uint64
	current *call // the one that waits for its reply, or nil
	cause   error // why the conversation is over, before the exit state is known
}

// call is a request that waits for its reply.
type call struct {
	id       uint64
	began    time.Time
	events   int
	reply    chan reply     // one reply fits
	progress func(Progress) // or nil
}

// Start makes cmd a child and says hello to it. start starts cmd inside the
// node's namespace and returns; Start takes cmd's standard streams and waits
// for the process itself. ctx bounds the call, not the child's life, so cmd must
// not come from exec.CommandContext.
func Start(ctx context.Context, node string, cmd *exec.Cmd, start func(*exec.Cmd) error) (*Process, error) {
	p := &Process{
		node:   node,
		cmd:    cmd,
		turn:   make(chan struct{}, 1),
		broken: make(chan struct{}),
		onExit: make(chan struct{}),
	}
	p.turn <- struct{}{}
	stdout, stderr, err := p.launch(start)
	if err != nil {
		return nil, fmt.Errorf("start the agent on %s: %w", node, err)
	}
	go p.own(stdout, stderr)
	if err := p.greet(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// launch starts the child on three pipes and returns the lab's ends of its
// output. All ends are closed when it fails.
func (p *Process) launch(start func(*exec.Cmd) error) (stdout, stderr *os.File, err error) {
	var all []*os.File
	pipe := func() (r, w *os.File) {
		if err != nil {
			return nil, nil
		}
		if r, w, err = os.Pipe(); err == nil {
			all = append(all, r, w)
		}
		return r, w
	}
	childIn, stdin := pipe()
	stdout, childOut := pipe()
	stderr, childErr := pipe()
	if err == nil {
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = childIn, childOut, childErr
		err = start(p.cmd)
	}
	if err != nil {
		for _, f := range all {
			f.Close()
		}
		return nil, nil, err
	}
	childIn.Close()
	childOut.Close()
	childErr.Close()
	p.stdin = stdin
	return stdout, stderr, nil
}

// drainBound is how long the lab goes on reading after the child ended: what it
// wrote before is in the pipes already, and only a grandchild could hold them
// open.
const drainBound = 500 * time.Millisecond

// own is the goroutine that owns the child: it reads what the child writes,
// reaps it, and then marks the conversation as over.
func (p *Process) own(stdout, stderr *os.File) {
	var readers sync.WaitGroup
	readers.Go(func() { p.readReplies(stdout) })
	readers.Go(func() { p.readErrors(stderr) })

	// The exit state is read from cmd.ProcessState, so the error says nothing more.
	_ = p.cmd.Wait()
	close(p.onExit)
	deadline := time.Now().Add(drainBound)
	// Pipes take deadlines (os.File.SetDeadline); were that to fail, closing below
	// would still end the reads.
	_ = stdout.SetReadDeadline(deadline)
	_ = stderr.SetReadDeadline(deadline)
	readers.Wait()

	p.mu.Lock()
	if p.cause == nil {
		p.cause = errors.New("it died")
	}
	p.mu.Unlock()
	p.stdin.Close()
	stdout.Close()
	stderr.Close()
	close(p.broken)
}

// readReplies hands replies and events to the call that waits for them. What is
// not for it ends the child.
func (p *Process) readReplies(stdout *os.File) {
	lines := newLineReader(stdout)
	for {
		line, err := lines.next()
		if err == nil {
			err = p.handle(line)
		} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
			// The child closed its output. Unless it is dying it will never answer.
			p.endUnlessExited()
			return
		}
		if err != nil {
			p.abort(fmt.Errorf("it broke the protocol: %w", err))
			_, _ = io.Copy(io.Discard, stdout) // until the child is gone
			return
		}
	}
}

// endUnlessExited ends a child that closed its output and lives on.
func (p *Process) endUnlessExited() {
	select {
	case <-p.onExit:
	case <-time.After(drainBound):
		p.abort(errors.New("it closed its output"))
	}
}

// handle delivers one line.
func (p *Process) handle(line []byte) error {
	r, err := decodeReply(line)
	if err != nil {
		return err
	}
	p.mu.Lock()
	c := p.current
	if c == nil || c.id != r.ID {
		lastID := p.lastID
		p.mu.Unlock()
		if r.Event != "" && r.ID <= lastID {
			return nil // progress of a call that was given up
		}
		return fmt.Errorf("line %s answers request %d, which nobody made", excerpt(line), r.ID)
	}
	if r.Event == "" {
		p.current = nil
		p.mu.Unlock()
		c.reply <- r
		return nil
	}
	p.mu.Unlock()
	return c.event(r)
}

// event passes progress on. A child sends ten a second; one that sends many
// times that floods.
func (c *call) event(r reply) error {
	c.events++
	if limit := 1000 + 100*int(time.Since(c.began).Seconds()); c.events > limit {
		return fmt.Errorf("%d progress events in %v are a flood", c.events, time.Since(c.began).Round(time.Millisecond))
	}
	var progress Progress
	if err := decodeStrict(r.Result, &progress); err != nil {
		return fmt.Errorf("read progress: %w", err)
	}
	if c.progress != nil {
		c.progress(progress)
	}
	return nil
}

// call sends a request and decodes its result into result, which may be nil. It
// returns when the reply came, the child is gone, or ctx ended; after the last,
// the child is busy with the request for ever and is of no more use.
func (p *Process) call(ctx context.Context, o op, params, result any, progress func(Progress)) error {
	select {
	case <-p.turn:
	case <-ctx.Done():
		return p.failure(o, fmt.Errorf("another call runs: %w", context.Cause(ctx)))
	}
	defer func() { p.turn <- struct{}{} }()

	c, line, err := p.prepare(o, params, progress)
	if err != nil {
		return err
	}
	if err := p.send(ctx, line); err != nil {
		return p.wait(ctx, o, c, result, err)
	}
	return p.wait(ctx, o, c, result, nil)
}

// prepare numbers a request and makes it the current one.
func (p *Process) prepare(o op, params any, progress func(Progress)) (*call, []byte, error) {
	var body json.RawMessage
	if params != nil {
		var err error
		if body, err = json.Marshal(params); err != nil {
			return nil, nil, p.failure(o, fmt.Errorf("encode its parameters: %w", err))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		return nil, nil, fmt.Errorf("agent on %s: %s: it is still busy with a request that was given up: close it", p.node, o)
	}
	p.lastID++
	line, err := json.Marshal(request{ID: p.lastID, Op: o, Params: body})
	if err != nil || len(line) >= maxLine {
		return nil, nil, fmt.Errorf("agent on %s: %s: encode a request of %d bytes (at most %d): %w", p.node, o, len(line), maxLine, err)
	}
	p.current = &call{id: p.lastID, began: time.Now(), reply: make(chan reply, 1), progress: progress}
	return p.current, append(line, '\n'), nil
}

// send writes a line, for at most as long as ctx lasts.
func (p *Process) send(ctx context.Context, line []byte) error {
	stop := context.AfterFunc(ctx, func() { _ = p.stdin.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := p.stdin.Write(line)
	return err
}

// wait waits for a reply. sendErr is why the request may not have arrived; the
// child's end, which explains it, is preferred as the reason.
func (p *Process) wait(ctx context.Context, o op, c *call, result any, sendErr error) error {
	done := func(r reply) error {
		if r.Error != nil {
			return fmt.Errorf("agent on %s: %s: %w", p.node, o, r.Error)
		}
		if result == nil {
			return nil
		}
		if err := decodeStrict(r.Result, result); err != nil {
			err = fmt.Errorf("it broke the protocol: read the result of %s: %w", o, err)
			p.abort(err)
			return p.failure(o, err)
		}
		return nil
	}
	select {
	case r := <-c.reply:
		return done(r)
	case <-p.broken:
		select {
		case r := <-c.reply: // its last words were the answer
			return done(r)
		default:
		}
		p.mu.Lock()
		p.current = nil // nobody waits any more, and nothing comes
		cause := p.cause
		p.mu.Unlock()
		return p.failure(o, cause)
	case <-ctx.Done():
		if sendErr != nil {
			return p.failure(o, fmt.Errorf("it does not take the request (%w): %w", sendErr, context.Cause(ctx)))
		}
		return p.failure(o, fmt.Errorf("no answer after %v: %w", time.Since(c.began).Round(time.Millisecond), context.Cause(ctx)))
	}
}
