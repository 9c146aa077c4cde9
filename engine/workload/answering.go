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

// answering drives a listener's books over real sessions.
type answering struct{ *HandshakeListener }

func (a *answering) run(ctx context.Context, control engine.Session, accept func(context.Context) (engine.Session, error)) error {
	stream, err := control.AcceptStream(ctx)
	if err != nil {
		return fmt.Errorf("accept the control stream: %w", err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	flow := a.Control()
	if err := expect(ctx, stream, flow); err != nil {
		return err
	}
	accepting, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { a.accept(accepting, accept, &all) })
	// The last session begins within Duration and takes a Bound at most, and then the
	// dialler says so here, unless the network is gone.
	limit := time.NewTimer(a.patience())
	defer limit.Stop()
	said := make(chan error, 1)
	all.Go(func() { said <- expect(ctx, stream, flow) })
	for ended := false; !ended; {
		select {
		case err = <-said:
			// A control session that broke says nothing of the others: they go on.
			ended = err == nil || errors.Is(err, errWord) || ctx.Err() != nil
			said = nil
		case <-limit.C:
			ended, err = true, errOverdue
			stream.Close() // ends the waiting for its word
		}
	}
	stop()
	all.Wait()
	switch {
	case errors.Is(err, errOverdue):
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	if writePending(stream, flow) == nil {
		linger(stream)
	}
	return context.Cause(ctx)
}

// expect reads the next word off the control stream.
func expect(ctx context.Context, stream engine.Stream, flow *ListenerControl) error {
	text := make([]byte, len(flow.due()))
	if _, err := io.ReadFull(stream, text); err != nil {
		return fmt.Errorf("wait for %s on the control stream: %w", flow.due(), cause(ctx, err))
	}
	return flow.Read(text)
}

// accept takes sessions until ctx ends. One that fails is the dialler's to count.
func (a *answering) accept(ctx context.Context, accept func(context.Context) (engine.Session, error), all *sync.WaitGroup) {
	for ctx.Err() == nil {
		session, err := accept(ctx)
		if err != nil {
			pause(ctx, DialPause)
			continue
		}
		all.Go(func() {
			defer session.Close()
			a.answer(ctx, session)
		})
	}
}

// answer answers one session's ask and waits for the dialler to close it.
func (a *answering) answer(ctx context.Context, session engine.Session) {
	stream, err := session.AcceptStream(ctx)
	if err != nil {
		return
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	f := a.Answer()
	var ask [askSize]byte
	if _, err := io.ReadFull(stream, ask[:]); err != nil || f.Read(ask[:]) != nil {
		return
	}
	if writePending(stream, f) == nil {
		linger(stream)
	}
}
