package capture

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// DefaultSnaplen is more than any interface hands over.
	DefaultSnaplen = 256 << 10
	// DefaultRing is the memory in which a point's packets wait to be written, bytes:
	// 100 ms at 1 Gbit/s.
	DefaultRing = 16 << 20
	// maxRings is the memory of all points together.
	maxRings = 512 << 20

	// holdBack is how long a packet waits for older ones from other points: a block
	// that was not full is handed over within three times retireAfter.
	holdBack = 4 * retireAfter
	// The goroutine looks this often: while packets wait, and while none do.
	busyWait = 2 * time.Millisecond
	idleWait = 100 * time.Millisecond
	// publishEvery is how old the counters of Progress and the file on the disk are.
	publishEvery = 200 * time.Millisecond
)

// Config says what to capture.
type Config struct {
	Path    string // of the file, which must not be there
	Comment string // about the capture, for its readers
	Points  []Point
	// Do runs f on a thread inside a node's namespace.
	Do func(node string, f func() error) error

	Snaplen int // bytes kept of a packet; 0 means DefaultSnaplen
	Ring    int // memory of each point, bytes; 0 means DefaultRing, less of it for many points

	// The capture ends by itself with the first of these that is met; 0 means never.
	Duration time.Duration
	Packets  uint64
	Size     int64 // of the file without secrets, bytes

	// Secrets, which may be nil, is asked for the secrets when the capture has ended.
	Secrets func() (Secrets, error)
}

func (c Config) validate() error {
	var errs []error
	if len(c.Points) == 0 {
		errs = append(errs, errors.New("there is no point to capture at"))
	}
	if c.Path == "" {
		errs = append(errs, errors.New("there is no file to write"))
	}
	if c.Snaplen < 0 || c.Ring < 0 || c.Duration < 0 || c.Size < 0 {
		errs = append(errs, fmt.Errorf("a limit is negative: snaplen %d, ring %d, duration %v, size %d", c.Snaplen, c.Ring, c.Duration, c.Size))
	}
	if n := len(c.Points); n > maxRings/(2*ringBlock) {
		errs = append(errs, fmt.Errorf("%d points are more than %d", n, maxRings/(2*ringBlock)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}

// withDefaults fills in what zero values stand for.
func (c Config) withDefaults() Config {
	if c.Snaplen == 0 {
		c.Snaplen = DefaultSnaplen
	}
	if c.Ring == 0 {
		c.Ring = min(DefaultRing, maxRings/len(c.Points))
	}
	return c
}

// Why a capture ended.
const (
	EndedByStop     = "stopped"
	EndedByDuration = "duration"
	EndedByPackets  = "packets"
	EndedBySize     = "size"
	EndedByFailure  = "failed"
)

// Summary is what a capture came to, or where it stands.
type Summary struct {
	File     string         `json:"file"`
	Points   []PointSummary `json:"points"`
	Packets  uint64         `json:"packets"` // in the file
	Bytes    int64          `json:"bytes"`   // of the file, without the secrets
	Dropped  uint64         `json:"dropped"` // packets that passed and are not in the file
	Began    time.Time      `json:"began"`
	Seconds  float64        `json:"duration_s"`
	Sessions int            `json:"sessions_with_secrets"`
	Skipped  int            `json:"key_log_lines_skipped,omitempty"`
	Ended    string         `json:"ended,omitempty"` // why; empty while it runs
}

// PointSummary is the part of one point.
type PointSummary struct {
	Point
	Packets  uint64 `json:"packets"`  // in the file
	Received uint64 `json:"received"` // that the kernel counted
	Dropped  uint64 `json:"dropped"`  // of these, lost by the capture: it was too slow
}

// Capture is a capture that runs or has ended.
type Capture struct {
	config  Config
	file    *file
	sockets []*socket

	stopping atomic.Bool
	done     chan struct{} // closed when the goroutine has ended
	err      error         // read after done

	mu      sync.Mutex
	stop    int     // eventfd, readable when the goroutine shall end; -1 when it has
	summary Summary // as published
}

// Start begins to capture. When it returns, what passes the points gets into the
// file. The caller calls Stop or Wait, and Stop in any case.
func Start(c Config) (*Capture, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	r := &Capture{config: c, stop: -1, done: make(chan struct{})}
	err := r.open()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("capture: %w", err), r.closeSockets())
	}
	r.summary = Summary{File: c.Path, Began: time.Now()}
	for _, p := range c.Points {
		r.summary.Points = append(r.summary.Points, PointSummary{Point: p})
	}
	go r.run(r.stop, r.summary)
	return r, nil
}

// open opens the file last, so that a capture that cannot begin leaves none.
func (r *Capture) open() error {
	var err error
	if r.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	for _, p := range r.config.Points {
		err := r.config.Do(p.Node, func() error {
			s, err := openSocket(p, r.config.Snaplen, r.config.Ring)
			if err == nil {
				r.sockets = append(r.sockets, s)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("point %s: %w", p.Name, err)
		}
	}
	r.file, err = createFile(r.config.Path, header{r.config.Comment, r.config.Points, r.config.Snaplen})
	return err
}

func (r *Capture) closeSockets() error {
	var errs []error
	for _, s := range r.sockets {
		errs = append(errs, s.close())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop >= 0 {
		errs = append(errs, unix.Close(r.stop))
		r.stop = -1
	}
	return errors.Join(errs...)
}

// Progress returns where the capture stands.
func (r *Capture) Progress() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.summary
}

// Done is closed when the capture has ended, by itself or by Stop.
func (r *Capture) Done() <-chan struct{} { return r.done }

// Stop ends the capture, if it has not ended by itself, and returns what it came
// to. What passed before is in the file by then. It may be called again.
func (r *Capture) Stop() (Summary, error) {
	r.stopping.Store(true)
	r.wake()
	<-r.done
	return r.Progress(), r.err
}

// wake ends the goroutine's wait.
func (r *Capture) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop < 0 {
		return // it has ended
	}
	one := [8]byte{0: 1}
	// The only failure is an eventfd that is full, hence readable as it should be.
	_, _ = unix.Write(r.stop, one[:])
}
