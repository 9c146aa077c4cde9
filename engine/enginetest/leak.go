package enginetest

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// leakWait is how long goroutines have to end after the calls that end them.
const leakWait = 5 * time.Second

// marks are what a goroutine of an engine has in its stack.
var marks = [...]string{"github.com/tquiclab/tquiclab/engine/", "github.com/quic-go/quic-go"}

// CheckLeaks fails the test if goroutines of an engine are left when it is over. It
// must be called before anything that the test cleans up.
func CheckLeaks(t testing.TB) {
	t.Cleanup(func() {
		var left []string
		for end := time.Now().Add(leakWait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if left = engineGoroutines(); len(left) == 0 {
				return
			}
		}
		t.Errorf("%d goroutines are left:\n\n%s", len(left), strings.Join(left, "\n\n"))
	})
}

// engineGoroutines returns the stacks of goroutines that belong to no test.
func engineGoroutines() []string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	var found []string
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(stack, "testing.tRunner") || strings.Contains(stack, "testing.(*M).Run") ||
			strings.Contains(stack, "testing.(*B).") {
			continue
		}
		for _, mark := range marks {
			if strings.Contains(stack, mark) {
				found = append(found, stack)
				break
			}
		}
	}
	return found
}
