package workload

import (
	"context"
	"encoding/binary"
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

// answerTo is what is answered to an ask: only who has read it can know.
func answerTo(ask uint64) uint64 { return scramble(^ask) }

// dialPause is how long a dialler waits after a failure.
const dialPause = 10 * time.Millisecond

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
	d := &dialling{Handshake: h, dial: dial, open: newLatencies(), first: newLatencies()}
	d.now, d.progress = now, p
	if p == nil {
		d.progress = new(Progress)
	}
	err = d.run(ctx, control)
	return d.report(role, err), err
}

// dialling is the state of one call of Handshake.Request.
type dialling struct {
	Handshake
	meter
	dial func(context.Context) (engine.Session, error)

	mu          sync.Mutex
	asked       uint64
	result      HandshakeReport
	wrong       string // an answer that was none
	open, first latencies
}

func (d *dialling) run(ctx context.Context, control engine.Session) error {
	stream, err := control.OpenStream(ctx)
	if err != nil {
		return fmt.Errorf("open the control stream: %w", err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	if _, err := stream.Write([]byte(controlMagic)); err != nil {
		return fmt.Errorf("write to the control stream: %w", cause(ctx, err))
	}
	start := d.begin()
	end := start + int64(d.Duration)
	var all sync.WaitGroup
	for range d.Parallel {
		all.Go(func() {
			for d.now() < end && ctx.Err() == nil {
				d.once(ctx)
			}
		})
	}
	all.Wait()
	d.result.Elapsed = max(d.Duration, time.Duration(d.last.Load()-start))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return d.compare(ctx, stream)
}

// compare tells the listener that all is over and holds its count against this side's.
// Where the network is gone by then there is nothing to compare: what was answered was
// answered.
func (d *dialling) compare(ctx context.Context, stream engine.Stream) error {
	patience := time.AfterFunc(d.Bound, func() { stream.Close() })
	defer patience.Stop()
	var text [verdictSize]byte
	_, err := stream.Write([]byte(controlEnd))
	if err == nil {
		_, err = io.ReadFull(stream, text[:])
	}
	if err != nil {
		return context.Cause(ctx)
	}
	v, err := parseVerdict(text[:])
	if err != nil {
		return err
	}
	if v.bytes < d.result.Done*answerSize {
		return fmt.Errorf("the listener has answered %d sessions, the dialler has read %d answers", v.bytes/answerSize, d.result.Done)
	}
	return nil
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
	began := d.now()
	opened, answered, err := d.ask(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.result.Done++
		d.open.add(opened - began)
		d.first.add(answered - began)
	case ctx.Err() != nil: // not its fault
	default:
		d.result.Failed++
		if d.result.Reason == "" {
			d.result.Reason = err.Error()
		}
		d.mu.Unlock()
		pause(ctx, dialPause)
		d.mu.Lock()
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// ask opens one session, asks, and returns when it was open and when the answer was
// there. The session is closed.
func (d *dialling) ask(ctx context.Context) (opened, answered int64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.Bound, fmt.Errorf("no answer after %v", d.Bound))
	defer cancel()
	session, err := d.dial(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("dial: %w", err)
	}
	opened = d.now()
	defer session.Close()
	stream, err := session.OpenStream(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("open a stream: %w", err)
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { stream.Close() })()
	d.mu.Lock()
	d.asked++
	number := scramble(d.Seed) + d.asked
	d.mu.Unlock()
	text := binary.BigEndian.AppendUint64([]byte(askMagic), number)
	if _, err := stream.Write(text); err != nil {
		return 0, 0, fmt.Errorf("ask: %w", cause(ctx, err))
	}
	var answer [answerSize]byte
	n, err := io.ReadAtLeast(stream, answer[:], 1)
	answered = d.now()
	if err == nil {
		_, err = io.ReadFull(stream, answer[n:])
	}
	if err != nil {
		return 0, 0, fmt.Errorf("wait for the answer: %w", cause(ctx, err))
	}
	if binary.BigEndian.Uint64(answer[:]) != answerTo(number) {
		d.mu.Lock()
		d.wrong = fmt.Sprintf("the answer to session %d is wrong", number-scramble(d.Seed))
		err = errors.New(d.wrong)
		d.mu.Unlock()
		return 0, 0, err
	}
	d.moved(answerSize)
	return opened, answered, nil
}

// report sums up.
func (d *dialling) report(role Role, err error) Report {
	r := d.meter.report(role, []StreamReport{{Bytes: d.result.Done * answerSize, Delivered: d.result.Done * answerSize, Intact: d.wrong == "", Reason: d.wrong}}, err)
	h := d.result
	h.MaxGap = max(time.Duration(d.gap.Load()), time.Duration(d.start.Load())+h.Elapsed-time.Duration(d.last.Load()))
	var errs [2]error
	h.Dial, errs[0] = d.open.summary()
	h.FirstByte, errs[1] = d.first.summary()
	if err := errors.Join(errs[:]...); err != nil {
		r.Intact, r.Reason, r.Error = false, err.Error(), err.Error()
	}
	r.Handshake = &h
	return r
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
	a := &answering{Handshake: h}
	a.now, a.progress = now, p
	if p == nil {
		a.progress = new(Progress)
	}
	err = a.run(ctx, control, accept)
	n := a.done.Load() * answerSize
	return a.report(role, []StreamReport{{Bytes: n, Delivered: n, Intact: true}}, err), err
}
