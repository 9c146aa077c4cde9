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

// Handshake is sessions set up one after the other: dial, ask on a first stream, wait
// for the first byte of the answer, close. It is a closed loop: each of Parallel
// diallers begins its next session when the last one is over.
type Handshake struct {
	Seed     uint64
	Parallel int           // at the same time, at least 1
	Duration time.Duration // of the dialling: what has begun by then is finished
	// Bound is how long one session may take; then it counts as failed.
	Bound time.Duration
}

const maxParallel = 4096

// Validate returns every reason why h cannot run, joined, or nil.
func (h Handshake) Validate() error {
	var errs []error
	if h.Parallel < 1 || h.Parallel > maxParallel {
		errs = append(errs, fmt.Errorf("handshake: %d at the same time: 1 to %d", h.Parallel, maxParallel))
	}
	if h.Duration <= 0 || h.Bound <= 0 {
		errs = append(errs, fmt.Errorf("handshake: a duration of %v with a bound of %v", h.Duration, h.Bound))
	}
	return errors.Join(errs...)
}

// HandshakeReport is what the dialler knows of its sessions.
type HandshakeReport struct {
	Done   int64 `json:"done"` // had their answer
	Failed int64 `json:"failed"`
	// Reason says why the first of the failed did.
	Reason string `json:"reason,omitempty"`
	// Elapsed is from the start to the last answer, at least as long as the dialling.
	Elapsed time.Duration `json:"elapsed_ns"`
	// MaxGap is the longest time without an answer.
	MaxGap time.Duration `json:"max_gap_ns"`
	// Dial is how long it took until the session was open, FirstByte until the answer's
	// first byte was there, both from the beginning of the dialling, of those that had an
	// answer.
	Dial      Latency `json:"dial"`
	FirstByte Latency `json:"first_byte"`
}

// On the wire: the control session's stream carries controlMagic from the dialler, and
// controlEnd when no more sessions come; the listener then writes a verdict, whose bytes
// are those of its answers, and waits for the dialler to end the stream. Each other
// session has one stream with one ask of 16 bytes, answered by 8.
const (
	controlMagic = "TQL-HAND"
	controlEnd   = "TQL-OVER"
	askMagic     = "TQL-PING"
	askSize      = 16
	answerSize   = 8
)

// errWord says that the peer does not speak this protocol.
var errWord = errors.New("another word was due")

// checkWord holds what came on the control stream against the word that was due there.
func checkWord(text []byte, word string) error {
	if string(text) != word {
		return fmt.Errorf("the control stream has %q where %q was due: %w", text, word, errWord)
	}
	return nil
}

// answerTo is what is answered to an ask: only who has read it can know.
func answerTo(ask uint64) uint64 { return scramble(^ask) }

// DialPause is how long a dialler waits after a failure.
const DialPause = 10 * time.Millisecond

// Request is the dialler's side. control is a session that is open already and stays
// so: it says when all is over. dial opens another. Failed sessions are no error; p, which
// may be nil, counts the answers' bytes.
func (h Handshake) Request(ctx context.Context, control engine.Session, role Role, dial func(context.Context) (engine.Session, error), p *Progress) (Report, error) {
	if err := h.Validate(); err != nil {
		return Report{Role: role}, err
	}
	now, err := monotonic()
	if err != nil {
		return Report{Role: role}, err
	}
	d := &dialling{HandshakeDialler: NewHandshakeDialler(h, role, now, p), dial: dial}
	err = d.run(ctx, control)
	return d.Report(err), err
}

// dialling drives a dialler's books over real sessions.
type dialling struct {
	*HandshakeDialler
	dial func(context.Context) (engine.Session, error)
}

func (d *dialling) run(ctx context.Context, control engine.Session) error {
	stream, err := control.OpenStream(ctx)
	if err != nil {
		return fmt.Errorf("open the control stream: %w", err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	flow := d.Control()
	if err := writePending(stream, flow); err != nil {
		return fmt.Errorf("write to the control stream: %w", cause(ctx, err))
	}
	d.Start()
	var all sync.WaitGroup
	for range d.Parallel {
		all.Go(func() {
			for d.More() && ctx.Err() == nil {
				d.once(ctx)
			}
		})
	}
	all.Wait()
	d.End()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return d.compare(ctx, stream, flow)
}

// compare tells the listener that all is over and holds its count against this side's.
// Where the network is gone by then there is nothing to compare: what was answered was
// answered.
func (d *dialling) compare(ctx context.Context, stream engine.Stream, flow *DiallerControl) error {
	patience := time.AfterFunc(d.Bound, func() { stream.Close() })
	defer patience.Stop()
	text := make([]byte, verdictSize)
	flow.Over()
	err := writePending(stream, flow)
	if err == nil {
		_, err = io.ReadFull(stream, text)
	}
	if err != nil {
		return context.Cause(ctx)
	}
	return flow.Read(text)
}

// writePending writes what a flow has to write.
func writePending(stream engine.Stream, f interface {
	Pending() []byte
	Wrote(n int)
},
) error {
	n, err := stream.Write(f.Pending())
	f.Wrote(n)
	return err
}

// cause prefers the reason why ctx ended, which closed what failed.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// once opens one session and counts what came of it.
func (d *dialling) once(ctx context.Context) {
	f := d.Dial()
	err := d.ask(ctx, f)
	if err == nil || ctx.Err() != nil { // its end is not the session's fault
		return
	}
	f.Fail(err)
	pause(ctx, DialPause)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// ask opens one session, asks, and waits for the answer. The session is closed.
func (d *dialling) ask(ctx context.Context, f *AskFlow) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.Bound, d.errBound())
	defer cancel()
	session, err := d.dial(ctx)
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	f.Opened()
	defer session.Close()
	stream, err := session.OpenStream(ctx)
	if err != nil {
		return fmt.Errorf("open a stream: %w", err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	if err := writePending(stream, f); err != nil {
		return fmt.Errorf("ask: %w", cause(ctx, err))
	}
	var answer [answerSize]byte
	for !f.Done() {
		n, err := stream.Read(answer[:])
		if err := f.Read(answer[:n]); err != nil {
			return err
		}
		if err != nil && !f.Done() {
			return fmt.Errorf("wait for the answer: %w", cause(ctx, err))
		}
	}
	return nil
}

// Serve is the listener's side: it answers the sessions that accept gives until the
// dialler says on control, an open session, that no more come, or until none can come any
// more. p may be nil.
func (h Handshake) Serve(ctx context.Context, control engine.Session, role Role, accept func(context.Context) (engine.Session, error), p *Progress) (Report, error) {
	if err := h.Validate(); err != nil {
		return Report{Role: role}, err
	}
	now, err := monotonic()
	if err != nil {
		return Report{Role: role}, err
	}
	a := &answering{NewHandshakeListener(h, role, now, p)}
	err = a.run(ctx, control, accept)
	return a.Report(err), err
}
