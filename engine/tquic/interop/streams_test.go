package interop

import (
	"errors"
	"io"
	"testing"
)

// streamCount is as many streams as either stack allows its peer at once, unasked.
const streamCount = 100

// TestStreams: 100 streams of each kind from each side, open at the same time; and
// 100 more, for which the receiver has to give credit.
func TestStreams(t *testing.T) {
	const size = 20_000
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		results := make(chan error)
		running := 0
		run := func(f func() error) {
			running++
			go func() { results <- f() }()
		}
		for range 2 {
			for _, d := range []struct{ from, to end }{{p.client, p.server}, {p.server, p.client}} {
				run(func() error { return openMany(r, d.from, size) })
				run(func() error { return acceptMany(r, d.to, size) })
			}
			for ; running > 0; running-- {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// openMany opens all streams before it uses one.
func openMany(r *rig, e end, size int) error {
	streams := make([]stream, streamCount)
	uni := make([]io.WriteCloser, streamCount)
	for i := range streams {
		var err error
		if streams[i], err = e.open(r.ctx); err != nil {
			return err
		}
		if uni[i], err = e.openUni(r.ctx); err != nil {
			return err
		}
	}
	results := make(chan error)
	for i := range streams {
		go func() { results <- send(streams[i], int(streams[i].id()), size) }()
		go func() { results <- send(uni[i], 7, size) }()
		go func() { results <- receive(streams[i], 1+int(streams[i].id()), size) }()
	}
	return gather(results, 3*streamCount)
}

// acceptMany answers the streams that openMany opens.
func acceptMany(r *rig, e end, size int) error {
	results := make(chan error)
	for range streamCount {
		s, err := e.accept(r.ctx)
		if err != nil {
			return err
		}
		u, err := e.acceptUni(r.ctx)
		if err != nil {
			return err
		}
		go func() { results <- receive(s, int(s.id()), size) }()
		go func() { results <- send(s, 1+int(s.id()), size) }()
		go func() { results <- receive(u, 7, size) }()
	}
	return gather(results, 3*streamCount)
}

func gather(results <-chan error, n int) error {
	var errs []error
	for range n {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

// TestStreamEnds: RESET_STREAM and STOP_SENDING carry the application's code.
func TestStreamEnds(t *testing.T) {
	bothWays(t, func(t *testing.T, r *rig) {
		p := r.connect()
		for _, d := range []struct {
			name     string
			from, to func(client, server stream) stream
		}{
			{"client", first, second},
			{"server", second, first},
		} {
			client, server := p.stream()
			d.from(client, server).reset(41)
			_, err := io.ReadAll(d.to(client, server))
			if got, ok := cancellation(err); !ok || got != (cancelled{41, true}) {
				t.Errorf("%s resets: the peer's Read gives %v, want code 41 of the remote", d.name, err)
			}
			client, server = p.stream()
			d.from(client, server).stopSending(42)
			err = writeOn(d.to(client, server))
			if got, ok := cancellation(err); !ok || got != (cancelled{42, true}) {
				t.Errorf("%s stops: the peer's Write gives %v, want code 42 of the remote", d.name, err)
			}
			// The other direction goes on.
			if err := send(d.from(client, server), 0, 1000); err != nil {
				t.Error(err)
			}
			if err := receive(d.to(client, server), 0, 1000); err != nil {
				t.Error(err)
			}
		}
	})
}

func first(client, _ stream) stream  { return client }
func second(_, server stream) stream { return server }

// writeOn writes until that fails.
func writeOn(w io.Writer) error {
	for {
		if _, err := w.Write(make([]byte, 100)); err != nil {
			return err
		}
	}
}
