package runner

import (
	"context"

	"github.com/tquiclab/tquiclab/results"
)

// BackendSim is the backend of a run that needs no lab: see Config.Backend.
const BackendSim = "sim"

// venue is where trials take place: in a lab, or in virtual time.
type venue interface {
	// begin takes the first readings. The context that it returns is ctx, but ends, too,
	// when the venue can carry no more trials, with the reason as its cause.
	begin(ctx context.Context) (context.Context, error)
	// trial runs one arm once. What goes wrong with it is in the Trial; the error is for
	// what ends the run.
	trial(ctx context.Context, p planned) (results.Trial, error)
	// end gives everything up and returns what the venue knows against the results. It
	// is called once, whether begin succeeded or not.
	end(ctx context.Context) []string
}
