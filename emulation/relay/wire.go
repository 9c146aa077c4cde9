package relay

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/tquiclab/tquiclab/emulation"
)

// wire is a running Wire.
type wire struct {
	link       string
	spec       Wire
	ports      [2]*Port
	directions [2]*forwarder // up, down

	mu    sync.Mutex // for what follows; never taken by a forwarder
	drops [2]uint64  // frames that found the ring full, by port
}

// newWire makes a wire of which each port's ring has at most ring bytes.
func newWire(spec Wire, ring int, seed uint64, files []*os.File, clock clock, start *start) (*wire, error) {
	w := &wire{link: spec.Link, spec: spec}
	for i, index := range spec.Ports {
		port, err := PortFromFile(files[index])
		if err != nil {
			return nil, fmt.Errorf("link %s: %w", spec.Link, err)
		}
		port.limit = ring
		w.ports[i] = port
	}
	for i := range directionNames {
		course, err := w.newCourse(i, seed, start)
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		f, err := startForwarder(w.ports[i], w.ports[1-i], spec.Offload, newLane(course), clock)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("link %s: %w", spec.Link, err), w.close())
		}
		w.directions[i] = f
	}
	return w, nil
}

// startForwarder lets packets into the port in for a new forwarder.
func startForwarder(in, out *Port, offload Offload, model *lane, clock clock) (*forwarder, error) {
	if offload == OffloadOn {
		if err := in.startUnits(); err != nil {
			return nil, err
		}
		return newForwarder(in, out, nil, model, clock)
	}
	ring, err := in.start()
	if err != nil {
		return nil, err
	}
	f, err := newForwarder(in, out, ring, model, clock)
	if err != nil {
		return nil, errors.Join(err, ring.close())
	}
	return f, nil
}

// newCourse returns one way's course from a start on.
func (w *wire) newCourse(way int, seed uint64, start *start) (*course, error) {
	base, timeline := w.spec.direction(way)
	c, err := newCourse(base, timeline, emulation.NewSeed(seed, w.link, directionNames[way]), start)
	if err != nil {
		return nil, fmt.Errorf("link %s %s: %w", w.link, directionNames[way], err)
	}
	return c, nil
}

var directionNames = [2]string{"up", "down"}

// run forwards both ways until end, or until one of the interfaces is gone.
func (w *wire) run() error {
	var errs [2]error
	var threads sync.WaitGroup
	for i, f := range w.directions {
		threads.Go(func() {
			if err := f.run(); err != nil {
				errs[i] = fmt.Errorf("link %s %s: %w", w.link, directionNames[i], err)
			}
			w.end() // one direction alone is no wire
		})
	}
	threads.Wait()
	return errors.Join(errs[:]...)
}

func (w *wire) end() {
	for _, f := range w.directions {
		f.end()
	}
}

// close frees what newWire made, once run has returned. The ports' files stay
// their owner's.
func (w *wire) close() error {
	var errs []error
	for _, f := range w.directions {
		if f != nil {
			errs = append(errs, f.close())
		}
	}
	return errors.Join(errs...)
}

func (w *wire) status() (WireStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := WireStatus{Link: w.link, Offload: w.directions[0].super != nil}
	var errs []error
	for i, f := range w.directions {
		n, err := w.ports[i].takeDrops()
		if err != nil {
			errs = append(errs, err)
		}
		w.drops[i] += n
		*[]*DirectionStatus{&s.Up, &s.Down}[i] = newDirectionStatus(f.read(), w.drops[i])
	}
	return s, errors.Join(errs...)
}
