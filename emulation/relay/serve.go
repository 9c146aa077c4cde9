package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tquiclab/tquiclab/emulation/control"
)

const gcPercent = 800

// Serve runs the spec's wires over the files, which are indexed by the spec, and
// answers on its control socket. It calls ready once everything runs, and
// returns when ctx ends or no wire is left, after closing the files. The error
// is nil in both cases.
//
// It sets GOMAXPROCS and the garbage collector for the whole process, which
// should do nothing else.
func Serve(ctx context.Context, spec Spec, files []*os.File, ready func() error, log *slog.Logger) (err error) {
	defer func() { err = errors.Join(err, closeAll(files)) }()
	if err := spec.validate(len(files)); err != nil {
		return fmt.Errorf("relay of lab %s: %w", spec.Lab, err)
	}
	// A forwarding thread must never wait for another to get back from the kernel
	// into Go, and seldom meet the collector: only control answers make garbage.
	debug.SetGCPercent(gcPercent)
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 2*len(spec.Wires)+2))

	clock, err := newClock()
	if err != nil {
		return err
	}
	r := &relay{lab: spec.Lab, clock: clock, startKind: spec.Start, closing: make(chan struct{})}
	defer func() { err = errors.Join(err, r.close()) }()
	start := newStart(spec.Start == StartFirstPacket)
	r.start.Store(start)
	r.wires, err = newWires(spec, files, clock, start)
	if err != nil {
		return err
	}
	for _, w := range spec.Wires {
		r.mirrors = append(r.mirrors, newMirror(w, 0, start), newMirror(w, 1, start))
	}
	listener, err := net.FileListener(files[spec.Control])
	if err != nil {
		return fmt.Errorf("listen on control socket: %w", err)
	}
	return r.run(ctx, control.NewServer(listener, answers{r}.serve), ready, log)
}

// newWires makes the spec's wires, all at a time: for each socket the kernel waits two
// or three times until no CPU looks at it any more (synchronize_net in
// net/packet/af_packet.c), some 10 ms each, and many can wait together. Those that it
// returns beside an error are to be closed.
func newWires(spec Spec, files []*os.File, clock clock, start *start) ([]*wire, error) {
	wires, errs := make([]*wire, len(spec.Wires)), make([]error, len(spec.Wires))
	var making sync.WaitGroup
	for i, w := range spec.Wires {
		making.Go(func() { wires[i], errs[i] = newWire(w, ringLimit(2*len(spec.Wires)), spec.Seed, files, clock, start) })
	}
	making.Wait()
	return slices.DeleteFunc(wires, func(w *wire) bool { return w == nil }), errors.Join(errs...)
}

// closeAll closes the files, all at a time: closing waits as newWires does.
func closeAll(files []*os.File) error {
	errs := make([]error, len(files))
	var closing sync.WaitGroup
	for i, f := range files {
		closing.Go(func() { errs[i] = ignoreClosed(f.Close()) })
	}
	closing.Wait()
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// relay is a running Spec.
type relay struct {
	lab       string
	wires     []*wire
	clock     clock
	startKind StartKind
	start     atomic.Pointer[start] // replaced under mu
	closing   chan struct{}         // closed when the relay ends
	watching  sync.WaitGroup

	mu      sync.Mutex // one command at a time; never taken by a forwarder
	mirrors []*mirror  // by lane
}

func (r *relay) close() error {
	var errs []error
	for _, w := range r.wires {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}

func (r *relay) run(ctx context.Context, server *control.Server, ready func() error, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer r.watching.Wait() // after the last client, which may have armed the clock
	defer serving.Wait()
	serving.Go(server.Serve)
	defer close(r.closing)
	defer server.Close()
	r.watch(r.start.Load())
	serving.Go(func() {
		<-ctx.Done()
		for _, w := range r.wires {
			w.end()
		}
	})
	defer cancel()

	errs := make([]error, len(r.wires))
	var running sync.WaitGroup
	for i, w := range r.wires {
		running.Go(func() {
			errs[i] = w.run()
			if ctx.Err() == nil {
				log.Warn("wire ended: its interface is gone", "lab", r.lab, "link", w.link, "error", errs[i])
			}
		})
	}
	if r.startKind == StartUp {
		r.start.Load().set(r.clock.now())
	}
	if err := ready(); err != nil {
		cancel()
		running.Wait()
		return fmt.Errorf("say ready: %w", err)
	}
	running.Wait()
	return errors.Join(errs...)
}

func (r *relay) status() (Status, error) {
	s := Status{Lab: r.lab, PID: os.Getpid(), Start: r.startKind, Wires: make([]WireStatus, len(r.wires))}
	if at, ok := r.start.Load().at(); ok {
		s.Started = &at
	}
	var errs []error
	for i, w := range r.wires {
		var err error
		if s.Wires[i], err = w.status(); err != nil {
			errs = append(errs, err)
		}
	}
	return s, errors.Join(errs...)
}
