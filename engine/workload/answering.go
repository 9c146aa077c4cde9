package workload

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/tquiclab/tquiclab/engine"
)

// answering is the state of one call of ServeHandshakes.
type answering struct {
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
	// The dialler has ended all its sessions before it says so here.
	err = expect(ctx, stream, controlEnd)
	stop()
	all.Wait()
	if err != nil {
		return err
	}
	if _, err := stream.Write(verdict{bytes: a.done.Load() * answerSize, intact: true}.append(nil)); err != nil {
		return fmt.Errorf("write the count: %w", cause(ctx, err))
	}
	linger(stream)
	return nil
}

// expect reads a word off the control stream.
func expect(ctx context.Context, stream engine.Stream, word string) error {
	text := make([]byte, len(word))
	if _, err := io.ReadFull(stream, text); err != nil {
		return fmt.Errorf("wait for %s on the control stream: %w", word, cause(ctx, err))
	}
	if string(text) != word {
		return fmt.Errorf("the control stream has %q where %q was due", text, word)
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
