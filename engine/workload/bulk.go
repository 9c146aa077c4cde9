package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// Role is what a side does with the data.
type Role uint8

// The roles. Their numbers are on the wire.
const (
	Send    Role = 1
	Receive Role = 2
)

// String returns the role in lower case.
func (r Role) String() string {
	switch r {
	case Send:
		return "send"
	case Receive:
		return "receive"
	}
	return "unknown"
}

// peer returns the other side's role.
func (r Role) peer() Role { return Send + Receive - r }

// Bulk is a transfer as fast as the transport goes.
type Bulk struct {
	Seed uint64
	// Bytes is the payload over all streams of all sessions, split evenly; the
	// first streams take what is left over. 0 means by time.
	Bytes int64
	// Duration is how long the sender writes. 0 means by size.
	Duration time.Duration
	Streams  int // per session, at least 1
}

// Validate returns every reason why b is no transfer, joined, or nil.
func (b Bulk) Validate() error {
	var errs []error
	if (b.Bytes > 0) == (b.Duration > 0) || b.Bytes < 0 || b.Duration < 0 {
		errs = append(errs, fmt.Errorf("bulk needs either bytes or a duration: it has %d bytes and %v", b.Bytes, b.Duration))
	}
	if b.Streams < 1 || b.Streams > maxStreams {
		errs = append(errs, fmt.Errorf("bulk needs 1 to %d streams per session: it has %d", maxStreams, b.Streams))
	}
	return errors.Join(errs...)
}

// Request is the dialler's side: it opens b.Streams streams on every session and
// sends or receives on all of them, whatever role says. It returns when the
// receiver has read the last byte, or on the first error. The streams are closed
// then, the sessions are not. With an error the report still says how far it came.
//
// p may be nil.
func (b Bulk) Request(ctx context.Context, sessions []engine.Session, role Role, p *Progress) (Report, error) {
	if err := b.Validate(); err != nil {
		return Report{Role: role}, err
	}
	if role != Send && role != Receive {
		return Report{Role: role}, fmt.Errorf("bulk has no role %d", role)
	}
	if len(sessions) == 0 {
		return Report{Role: role}, errors.New("bulk needs a session")
	}
	t, err := newTransfer(ctx, p)
	if err != nil {
		return Report{Role: role}, err
	}
	defer t.stop(nil)
	t.role = role
	for i, session := range sessions {
		for j := range b.Streams {
			t.run(func() error { return t.request(session, b, role, len(sessions), Place{i, j}) })
		}
	}
	return t.wait()
}

// request returns the request for stream j of session i out of n sessions.
func (b Bulk) request(role Role, n, i, j int) request {
	r := request{
		role: role, session: uint32(i), stream: uint32(j), streams: uint32(b.Streams),
		seed: b.Seed, duration: b.Duration,
	}
	if b.Bytes > 0 {
		all := int64(n) * int64(b.Streams)
		r.bytes = b.Bytes / all
		if int64(r.number()) < b.Bytes%all {
			r.bytes++
		}
	}
	return r
}

// Serve is the listener's side: it accepts on each session as many streams as the
// session's first request says and does what they ask for. It returns like Request.
//
// p may be nil.
func Serve(ctx context.Context, sessions []engine.Session, p *Progress) (Report, error) {
	if len(sessions) == 0 {
		return Report{}, errors.New("bulk needs a session")
	}
	t, err := newTransfer(ctx, p)
	if err != nil {
		return Report{}, err
	}
	defer t.stop(nil)
	for _, session := range sessions {
		t.run(func() error { return t.serveSession(session) })
	}
	return t.wait()
}

// transfer is the state of one call: its streams' goroutines, and how they end.
type transfer struct {
	*Exchange
	ctx  context.Context
	stop context.CancelCauseFunc
	wg   sync.WaitGroup
}

func newTransfer(ctx context.Context, p *Progress) (*transfer, error) {
	now, err := monotonic()
	if err != nil {
		return nil, err
	}
	t := &transfer{Exchange: NewExchange(now, p)}
	t.ctx, t.stop = context.WithCancelCause(ctx)
	return t, nil
}

// run starts a goroutine of the transfer. Its first error stops the others.
func (t *transfer) run(f func() error) {
	t.wg.Go(func() {
		if err := f(); err != nil {
			t.stop(err)
		}
	})
}

// wait returns the report when every goroutine is done.
func (t *transfer) wait() (Report, error) {
	t.wg.Wait()
	err := context.Cause(t.ctx)
	return t.Report(err), err
}

// request opens one stream on the session and runs it, on the dialler's side.
func (t *transfer) request(session engine.Session, b Bulk, role Role, sessions int, at Place) error {
	f, err := t.Dial(b, role, sessions, at)
	if err != nil {
		return err
	}
	stream, err := session.OpenStream(t.ctx)
	if err != nil {
		return fmt.Errorf("open stream %d of session %d: %w", at.Stream, at.Session, f.fail(err))
	}
	return t.carry(stream, f, nil)
}

// serveSession accepts the streams of one session. The first request says how many
// there are.
func (t *transfer) serveSession(session engine.Session) error {
	streams := make(chan uint32, 1)
	if err := t.accept(session, streams); err != nil {
		return err
	}
	var n uint32
	select {
	case n = <-streams:
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	}
	for range n - 1 {
		if err := t.accept(session, nil); err != nil {
			return err
		}
	}
	return nil
}

// accept takes the session's next stream and serves it in a goroutine, which says
// on streams how many the request speaks of.
func (t *transfer) accept(session engine.Session, streams chan<- uint32) error {
	stream, err := session.AcceptStream(t.ctx)
	if err != nil {
		return fmt.Errorf("accept a stream: %w", err)
	}
	f := t.Serve()
	var begun func()
	if streams != nil {
		begun = func() { streams <- f.request.streams }
	}
	t.run(func() error { return t.carry(stream, f, begun) })
	return nil
}
