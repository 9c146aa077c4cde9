package breadth

import (
	"cmp"
	"context"
	"runtime"
	"sync"
)

// spread calls do for 0 to n-1, on so many goroutines (0: one a core), and waits for
// all. Once ctx ends no more calls begin, and it returns ctx's cause.
func spread(ctx context.Context, workers, n int, do func(int)) error {
	next := make(chan int)
	var all sync.WaitGroup
	for range min(n, cmp.Or(max(workers, 0), runtime.GOMAXPROCS(0))) {
		all.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	all.Wait()
	return context.Cause(ctx)
}
