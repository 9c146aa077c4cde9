package agent

import (
	"context"
	"fmt"
)

// greet asks the child who it is.
func (p *Process) greet(ctx context.Context) error {
	var h Hello
	if err := p.call(ctx, opHello, nil, &h, nil); err != nil {
		return err
	}
	if h.Version != protocolVersion {
		return fmt.Errorf("agent on %s: it speaks version %d of the protocol, this lab %d: was the program replaced while the lab ran?", p.node, h.Version, protocolVersion)
	}
	return nil
}

// Listen opens the child's listener.
func (p *Process) Listen(ctx context.Context, l Listen) (Listening, error) {
	var r Listening
	err := p.call(ctx, opListen, l, &r, nil)
	return r, err
}

// Accept returns when the child's listener has accepted that many sessions.
func (p *Process) Accept(ctx context.Context, sessions int) error {
	return p.call(ctx, opAccept, accept{sessions}, nil, nil)
}

// Dial opens the child's sessions.
func (p *Process) Dial(ctx context.Context, d Dial) error {
	return p.call(ctx, opDial, d, nil, nil)
}

// Drop makes the child give up root and prove that it cannot get it back. What
// needs root, such as opening sockets on some ports, comes before it.
func (p *Process) Drop(ctx context.Context, to Credential) error {
	return p.call(ctx, opDrop, to, nil, nil)
}

// Bulk runs the child's side of a bulk transfer and returns what it came to.
// progress, which may be nil, is called every 100 ms from the goroutine that
// reads the child; it must not block.
func (p *Process) Bulk(ctx context.Context, b Bulk, progress func(Progress)) (Transfer, error) {
	var r Transfer
	err := p.call(ctx, opBulk, b, &r, progress)
	return r, err
}

// Quit asks the child to end and returns when it has answered. Close does the
// rest.
func (p *Process) Quit(ctx context.Context) error {
	return p.call(ctx, opQuit, nil, nil, nil)
}
