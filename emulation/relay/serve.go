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
	"sync"
	"sync/atomic"
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
	defer func() {
		for _, f := range files {
			err = errors.Join(err, ignoreClosed(f.Close()))
		}
	}()
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
	for _, w := range spec.Wires {
		wire, err := newWire(w, spec.Seed, files, clock, start)
		if err != nil {
			return err
		}
		r.wires = append(r.wires, wire)
		r.mirrors = append(r.mirrors, newMirror(w, 0, start), newMirror(w, 1, start))
	}
	listener, err := net.FileListener(files[spec.Control])
	if err != nil {
		return fmt.Errorf("listen on control socket: %w", err)
	}
	return r.run(ctx, newControl(listener, r), ready, log)
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

func (r *relay) run(ctx context.Context, control *control, ready func() error, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(control.serve)
	defer control.close()
	defer r.watching.Wait()
	defer close(r.closing)
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
