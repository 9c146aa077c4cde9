package lab

import (
	"context"
	"fmt"

	"github.com/tquiclab/tquiclab/emulation/relay"
)

// Drop is one packet that an emulated path dropped, with its reason and what waited
// then.
type Drop = relay.Drop

// Drops calls each for every packet that the lab's wires drop from when following is
// called, which may be nil, until ctx ends or each returns an error, which it returns.
// Drops come in the order of each direction; a Drop with Missed stands for those that
// came faster than they could be read. An error wraps ErrUnsupported where the backend
// does not tell one drop from another.
func (l *Lab) Drops(ctx context.Context, following func(), each func(Drop) error) error {
	if err := l.CheckDrops(); err != nil {
		return err
	}
	client, err := relay.Dial(l.host.relaySocket(l.Name()))
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Drops(ctx, following, each)
}

// CheckDrops returns why Drops cannot follow this lab's drops, or nil.
func (l *Lab) CheckDrops() error {
	if l.state.Backend != BackendRelay {
		return fmt.Errorf("%w: backend %s counts drops and does not tell one from another: use --backend %s on a topology with an impaired link",
			ErrUnsupported, l.state.Backend, BackendRelay)
	}
	return nil
}
