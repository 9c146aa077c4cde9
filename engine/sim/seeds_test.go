package sim

import (
	"flag"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/cryptotest"
	"time"
)

var seeds = flag.String("seeds", "", "first..last: the seeds that TestSeeds and TestRunSeeds run, for their own default")

// ordinarySeeds is how many seeds TestSeeds runs when it is not told.
const ordinarySeeds = 500

// TestSeeds makes up a connection, its network and its applications from each seed,
// lets them play and looks at what came of it: see scenario_test.go for what there
// is, verdict_test.go for what must be.
func TestSeeds(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	var all tally
	n := 0
	for seed := range seedRange(t, ordinarySeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			w := newWorld(t, newScenario(seed))
			defer func() {
				if cause := recover(); cause != nil {
					t.Errorf("panic: %v\n%s", cause, debug.Stack())
				}
				if t.Failed() {
					t.Logf("%v\n%s", w.scenario, replay("TestSeeds", seed))
				}
			}()
			w.play()
			w.judge()
			all.add(w)
		})
		n++
	}
	noGoroutines(t, goroutines)
	t.Log(all.String())
	if n >= ordinarySeeds {
		all.check(t)
	}
}

// TestSeedsRepeat: one seed sends the same datagrams at the same times each time, to
// the last bit.
func TestSeedsRepeat(t *testing.T) {
	for seed := range uint64(12) {
		var sums [2]string
		for i := range sums {
			t.Run(fmt.Sprintf("%d again %d", seed, i), func(t *testing.T) {
				cryptotest.SetGlobalRandom(t, seed)
				w := newWorld(t, newScenario(seed))
				w.play()
				sums[i] = fmt.Sprintf("%x over %d datagrams", w.log.Sum(nil), w.ends[0].sent+w.ends[1].sent)
			})
		}
		if sums[0] != sums[1] {
			t.Errorf("seed %d sends %s, and then %s", seed, sums[0], sums[1])
		}
	}
}

// seedRange yields the seeds of the flag, or 1 to ordinary.
func seedRange(t *testing.T, ordinary uint64) iter.Seq[uint64] {
	first, last := uint64(1), ordinary
	if *seeds != "" {
		if n, err := fmt.Sscanf(*seeds, "%d..%d", &first, &last); n != 2 || err != nil || first > last {
			t.Fatalf("-seeds=%s: expected first..last, such as 1..500", *seeds)
		}
	}
	return func(yield func(uint64) bool) {
		for seed := first; seed <= last && yield(seed); seed++ {
		}
	}
}

// replay is the command that runs a seed again.
func replay(test string, seed uint64) string {
	return fmt.Sprintf("replay: go test ./engine/sim -run '^%s$' -seeds=%d..%d -v", test, seed, seed)
}

// noGoroutines fails the test when there are more goroutines than at its beginning,
// though those that are about to end get time to: the one of the last subtest does so
// when the system lets it.
func noGoroutines(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if runtime.NumGoroutine() <= before {
			return
		}
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%d goroutines are left, %d were there before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}
