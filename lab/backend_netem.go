package lab

import (
	"context"
	"fmt"

	"github.com/tquiclab/tquiclab/topologies"
)

type netemBackend struct{}

func (netemBackend) probe() error                                      { return fmt.Errorf("%w: to be built", ErrUnsupported) }
func (netemBackend) check(topologies.Topology) error                   { return nil }
func (netemBackend) attach(context.Context, *raising) error            { return nil }
func (netemBackend) wires(context.Context, *Lab) ([]WireStatus, error) { return nil, nil }
