package agent

import (
	"context"
	"fmt"
	"sync"

	"github.com/tquiclab/tquiclab/engine"
)

// prepared is a session whose first streams were opened ahead of their use: an
// engine may need a right for that which the child gives up before the transfer
// (TCP_CONGESTION in a namespace needs CAP_NET_ADMIN). It also keeps the opening
// out of what is measured, for every engine alike.
type prepared struct {
	engine.Session

	mu      sync.Mutex
	streams []engine.Stream
}

// prepare opens n streams on the session.
func prepare(ctx context.Context, s engine.Session, n int) (*prepared, error) {
	p := &prepared{Session: s}
	for i := range n {
		stream, err := s.OpenStream(ctx)
		if err != nil {
			return p, fmt.Errorf("open stream %d of %d: %w", i+1, n, err)
		}
		p.streams = append(p.streams, stream)
	}
	return p, nil
}

// OpenStream returns the next stream that is open already, then new ones.
func (p *prepared) OpenStream(ctx context.Context) (engine.Stream, error) {
	p.mu.Lock()
	if len(p.streams) > 0 {
		stream := p.streams[0]
		p.streams = p.streams[1:]
		p.mu.Unlock()
		return stream, nil
	}
	p.mu.Unlock()
	return p.Session.OpenStream(ctx)
}
