package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// Request is the dialler's side: it opens w.Streams streams on every session and
// exchanges messages on all of them. It returns when all of them are through, when
// those that are not have become overdue, or on the first error. Like Bulk.Request it
// closes the streams, not the sessions, and reports in any case.
//
// p, which may be nil, counts the bytes of frames or answers.
func (w Paced) Request(ctx context.Context, sessions []engine.Session, role Role, p *Progress) (Report, error) {
	if err := w.Validate(); err != nil {
		return Report{Role: role}, err
	}
	if role != Send && role != Receive {
		return Report{Role: role}, fmt.Errorf("%s has no role %d", w.Kind, role)
	}
	if len(sessions) == 0 || len(sessions) > maxSessions {
		return Report{Role: role}, fmt.Errorf("%s needs 1 to %d sessions: it has %d", w.Kind, maxSessions, len(sessions))
	}
	t, err := newPacedRun(ctx, p)
	if err != nil {
		return Report{Role: role}, err
	}
	defer t.stop(nil)
	t.role = role
	for i, session := range sessions {
		for j := range w.Streams {
			f, err := t.Dial(w, role, len(sessions), Place{i, j})
			if err != nil {
				t.stop(err)
				return t.wait()
			}
			stream, err := session.OpenStream(t.ctx)
			if err != nil {
				t.stop(fmt.Errorf("open stream %d of session %d: %w", j, i, err))
				return t.wait()
			}
			t.run(func() error { return t.carry(stream, f, nil) })
		}
	}
	t.Start()
	t.watch()
	return t.wait()
}

// ServePaced is the listener's side: it accepts on each session as many streams as the
// first request says and does what they ask for. It returns like Request.
//
// p may be nil.
func ServePaced(ctx context.Context, sessions []engine.Session, p *Progress) (Report, error) {
	if len(sessions) == 0 {
		return Report{}, errors.New("a paced exchange needs a session")
	}
	t, err := newPacedRun(ctx, p)
	if err != nil {
		return Report{}, err
	}
	defer t.stop(nil)
	for _, session := range sessions {
		t.run(func() error { return t.serveSession(session) })
	}
	return t.wait()
}

// pacedRun is the state of one call: its goroutines, and how they end.
type pacedRun struct {
	*PacedExchange
	ctx   context.Context
	stop  context.CancelCauseFunc
	wg    sync.WaitGroup
	alarm sync.Once
	timer *time.Timer // for what is overdue; guarded by alarm
}

func newPacedRun(ctx context.Context, p *Progress) (*pacedRun, error) {
	now, err := monotonic()
	if err != nil {
		return nil, err
	}
	t := &pacedRun{PacedExchange: NewPacedExchange(now, p)}
	t.ctx, t.stop = context.WithCancelCause(ctx)
	return t, nil
}

// run starts a goroutine of the exchange. Its first error stops the others.
func (t *pacedRun) run(f func() error) {
	t.wg.Go(func() {
		if err := f(); err != nil {
			t.stop(err)
		}
	})
}

// watch ends the exchange once what is missing is overdue. It does nothing before the
// start.
func (t *pacedRun) watch() {
	at, ok := t.Overdue()
	if !ok {
		return
	}
	t.alarm.Do(func() {
		t.timer = time.AfterFunc(time.Duration(at-t.now()), func() {
			t.GiveUp()
			t.stop(errOverdue)
		})
	})
}

// wait returns the report when every goroutine is done.
func (t *pacedRun) wait() (Report, error) {
	t.wg.Wait()
	t.alarm.Do(func() {}) // orders the timer's making before the next line
	if t.timer != nil {
		t.timer.Stop()
	}
	err := context.Cause(t.ctx)
	if errors.Is(err, errOverdue) {
		err = nil // the report says what is missing
	}
	return t.Report(err), err
}

// serveSession accepts the streams of one session. The first request says how many
// there are.
func (t *pacedRun) serveSession(session engine.Session) error {
	first := make(chan int, 1)
	if err := t.accept(session, first); err != nil {
		return err
	}
	var n int
	select {
	case n = <-first:
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

// accept takes the session's next stream and serves it in a goroutine, which says on
// streams how many the request speaks of.
func (t *pacedRun) accept(session engine.Session, streams chan<- int) error {
	stream, err := session.AcceptStream(t.ctx)
	if err != nil {
		return fmt.Errorf("accept a stream: %w", err)
	}
	f := t.PacedExchange.Serve()
	begun := func() {
		t.watch()
		if streams != nil {
			streams <- f.request.Streams
		}
	}
	t.run(func() error { return t.carry(stream, f, begun) })
	return nil
}

// carry runs the flow over the stream, reading here and writing beside it, and closes
// the stream afterwards, or at once when the exchange ends. begun, which may be nil, is
// called when the flow knows its request.
func (t *pacedRun) carry(stream engine.Stream, f *PacedFlow, begun func()) error {
	ctx, end := context.WithCancel(t.ctx)
	defer end()
	release := context.AfterFunc(t.ctx, func() { stream.Close() })
	defer release()
	var writing sync.WaitGroup
	var writeErr error
	writing.Go(func() {
		if writeErr = writePaced(ctx, stream, f); writeErr != nil {
			stream.Close() // unblocks the reader
		}
	})
	readErr := t.readPaced(stream, f, begun)
	if readErr != nil {
		end()
		stream.Close() // unblocks the writer
	}
	writing.Wait()
	err := errors.Join(writeErr, readErr)
	closeErr := stream.Close()
	switch {
	case t.ctx.Err() != nil && err != nil:
		return context.Cause(t.ctx) // the stream was closed under the flow
	case err != nil && t.cut():
		return nil // the receiver's report says what is missing
	case err != nil:
		t.mu.Lock()
		defer t.mu.Unlock()
		return fmt.Errorf("stream %d of session %d: %w", f.request.stream, f.request.session, f.fail(err))
	case closeErr != nil:
		return fmt.Errorf("close stream: %w", closeErr)
	}
	return nil
}

// writePaced writes each message when it is due, until there is nothing more to write.
func writePaced(ctx context.Context, stream engine.Stream, f *PacedFlow) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if p := f.Pending(); len(p) > 0 {
			n, err := stream.Write(p)
			f.Wrote(n)
			if err != nil {
				return fmt.Errorf("write: %w", err)
			}
			continue
		}
		switch {
		case f.Ending():
			if err := stream.CloseWrite(); err != nil {
				return fmt.Errorf("end the stream: %w", err)
			}
			return nil
		case f.Lingering():
			return nil
		}
		timer.Reset(f.patience())
		select {
		case <-timer.C:
		case <-f.wake:
		case <-ctx.Done():
			return nil // the reader knows why
		}
	}
}

// patience returns how long the writer may sleep.
func (f *PacedFlow) patience() time.Duration {
	at, ok := f.Due()
	if !ok {
		return time.Hour // until roused
	}
	return max(time.Duration(at-f.books.now()), 0)
}

// readPaced reads until the flow needs no more.
func (t *pacedRun) readPaced(stream engine.Stream, f *PacedFlow, begun func()) error {
	buf := make([]byte, 64<<10)
	var lingering *time.Timer
	for {
		n, err := stream.Read(buf)
		if rerr := f.Read(buf[:n]); rerr != nil {
			return rerr
		}
		stage := f.at()
		if begun != nil && stage != flowRequest {
			begun()
			begun = nil
		}
		switch {
		case stage == flowDone:
			return nil
		case errors.Is(err, io.EOF):
			return f.End()
		case err != nil && stage == flowEnd && !f.dialler:
			return nil // the last word was this side's
		case err != nil:
			return fmt.Errorf("wait for %s: %w", f.Waiting(), err)
		case stage == flowEnd && !f.dialler && lingering == nil:
			lingering = time.AfterFunc(lingerTimeout, func() { stream.Close() })
			defer lingering.Stop()
		}
	}
}
