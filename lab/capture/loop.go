package capture

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// loop is the state of the goroutine that captures.
type loop struct {
	*Capture
	wakeup    int // Capture.stop
	now       Summary
	published time.Time
}

// run captures until it is told to end or a limit is met, and finishes the file.
func (r *Capture) run(stop int, begin Summary) {
	defer close(r.done)
	begin.Points = slices.Clone(begin.Points)
	l := &loop{Capture: r, wakeup: stop, now: begin}
	err := l.capture()
	if err != nil {
		l.now.Ended = EndedByFailure
	}
	end := time.Now()
	err = errors.Join(err, l.finish(end))
	r.err = errors.Join(err, r.closeSockets())
	if r.err != nil {
		r.err = fmt.Errorf("capture: %w", r.err)
	}
	l.now.Seconds = end.Sub(l.now.Began).Seconds()
	l.publish()
}

// capture returns when the capture has ended, with what passed until then taken in.
func (l *loop) capture() error {
	for {
		full, err := l.drain(time.Now().Add(-holdBack).UnixNano())
		if full || err != nil {
			return err
		}
		if end, why := l.ended(); why != "" {
			l.now.Ended = why
			return l.last(end)
		}
		if time.Since(l.published) > publishEvery {
			if err := l.progress(); err != nil {
				return err
			}
		}
		if err := l.wait(); err != nil {
			return err
		}
	}
}

// ended returns when the capture ended and why, if it has.
func (l *loop) ended() (time.Time, string) {
	now := time.Now()
	if l.stopping.Load() {
		return now, EndedByStop
	}
	if d := l.config.Duration; d > 0 && now.Sub(l.now.Began) >= d {
		return l.now.Began.Add(d), EndedByDuration
	}
	return time.Time{}, ""
}

// last takes in what passed before the end and was not handed over then.
func (l *loop) last(end time.Time) error {
	time.Sleep(time.Until(end.Add(holdBack)))
	_, err := l.drain(end.UnixNano())
	return err
}

// drain moves the packets up to a time (ns since 1970) into the file, the oldest
// first. It reports whether a limit was met, and notes which.
func (l *loop) drain(until int64) (full bool, err error) {
	for {
		point, p := -1, packet{at: math.MaxInt64}
		for i, s := range l.sockets {
			if head, ok := s.ring.peek(); ok && head.at < p.at {
				point, p = i, head
			}
		}
		if point < 0 || p.at > until {
			return false, nil
		}
		if c := l.config; c.Size > 0 && l.file.size()+blockSize(p) > c.Size {
			l.now.Ended = EndedBySize
			return true, nil
		}
		if err := l.file.add(point, p); err != nil {
			return false, err
		}
		l.sockets[point].ring.next()
		l.now.Packets++
		l.now.Points[point].Packets++
		if l.now.Packets == l.config.Packets {
			l.now.Ended = EndedByPackets
			return true, nil
		}
	}
}

// wait returns when there may be something to do.
func (l *loop) wait() error {
	fds := []unix.PollFd{{Fd: int32(l.wakeup), Events: unix.POLLIN}}
	patience := idleWait
	for _, s := range l.sockets {
		if _, pending := s.ring.peek(); pending {
			patience = busyWait // the packets are young: no event tells when they are old enough
		}
	}
	if patience == idleWait {
		for _, s := range l.sockets {
			fds = append(fds, unix.PollFd{Fd: int32(s.fd()), Events: unix.POLLIN})
		}
		if d := l.config.Duration; d > 0 {
			patience = min(patience, max(time.Until(l.now.Began.Add(d)), time.Millisecond))
		}
	}
	if _, err := unix.Poll(fds, int(patience.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for packets: %w", err)
	}
	return nil
}

// progress writes out what was collected, and shows where the capture stands.
func (l *loop) progress() error {
	l.published = time.Now()
	for i, s := range l.sockets {
		if s.gone() {
			return fmt.Errorf("point %s: its interface is gone: was the lab taken down?", l.config.Points[i].Name)
		}
	}
	if err := l.file.flush(); err != nil {
		return err
	}
	l.now.Seconds = time.Since(l.now.Began).Seconds()
	err := l.count()
	l.publish()
	return err
}

// count reads the kernel's counters.
func (l *loop) count() error {
	var errs []error
	l.now.Dropped = 0
	for i, s := range l.sockets {
		if err := s.count(); err != nil {
			errs = append(errs, fmt.Errorf("point %s: %w", l.config.Points[i].Name, err))
		}
		l.now.Points[i].Received, l.now.Points[i].Dropped = s.received, s.dropped
		l.now.Dropped += s.dropped
	}
	return errors.Join(errs...)
}

func (l *loop) publish() {
	l.now.Bytes = l.file.size()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.summary = l.now
	l.summary.Points = slices.Clone(l.now.Points)
}

// finish adds the statistics and the secrets. Whatever fails, the file is closed.
func (l *loop) finish(end time.Time) error {
	errs := []error{l.count()}
	for i := range l.sockets {
		errs = append(errs, l.file.addStatistics(i, l.now.Points[i], l.now.Began, end))
	}
	errs = append(errs, l.file.flush())
	var secrets Secrets
	if l.config.Secrets != nil {
		var err error
		if secrets, err = l.config.Secrets(); err != nil {
			errs = append(errs, fmt.Errorf("add the secrets: %w", err))
		}
		l.now.Sessions, l.now.Skipped = secrets.Sessions, secrets.Skipped
	}
	return errors.Join(append(errs, l.file.close(secrets))...)
}
