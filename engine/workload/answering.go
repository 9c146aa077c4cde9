package workload

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// answering is the state of one call of Handshake.Serve.
type answering struct {
	Handshake
	meter
	done atomic.Int64
}

func (a *answering) run(ctx context.Context, control engine.Session, accept func(context.Context) (engine.Session, error)) error {
	stream, err := control.AcceptStream(ctx)
	if err != nil {
		return fmt.Errorf("accept the control stream: %w", err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	if err := expect(ctx, stream, controlMagic); err != nil {
		return err
	}
	a.begin()
	accepting, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { a.accept(accepting, accept, &all) })
	// The last session begins within Duration and takes a Bound at most, and then the
	// dialler says so here, unless the network is gone.
	limit := time.NewTimer(a.Duration + 2*a.Bound)
	defer limit.Stop()
	said := make(chan error, 1)
	all.Go(func() { said <- expect(ctx, stream, controlEnd) })
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
	if _, err := stream.Write(verdict{bytes: a.done.Load() * answerSize, intact: true}.append(nil)); err == nil {
		linger(stream)
	}
	return context.Cause(ctx)
}

// errWord says that the peer does not speak this protocol.
var errWord = errors.New("another word was due")

// expect reads a word off the control stream.
func expect(ctx context.Context, stream engine.Stream, word string) error {
	text := make([]byte, len(word))
	if _, err := io.ReadFull(stream, text); err != nil {
		return fmt.Errorf("wait for %s on the control stream: %w", word, cause(ctx, err))
	}
	if string(text) != word {
		return fmt.Errorf("the control stream has %q where %q was due: %w", text, word, errWord)
	}
	return nil
}

// accept takes sessions until ctx ends. One that fails is the dialler's to count.
func (a *answering) accept(ctx context.Context, accept func(context.Context) (engine.Session, error), all *sync.WaitGroup) {
	for ctx.Err() == nil {
		session, err := accept(ctx)
		if err != nil {
			pause(ctx, dialPause)
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
	var ask [askSize]byte
	if _, err := io.ReadFull(stream, ask[:]); err != nil || string(ask[:len(askMagic)]) != askMagic {
		return
	}
	number := binary.BigEndian.Uint64(ask[len(askMagic):])
	// Counted first: the dialler may have read it before Write returns.
	a.done.Add(1)
	if _, err := stream.Write(binary.BigEndian.AppendUint64(nil, answerTo(number))); err != nil {
		return
	}
	a.moved(answerSize)
	linger(stream)
}
