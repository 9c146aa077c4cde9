package agent

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// tailSize is how much of standard error an error quotes, in bytes.
const tailSize = 2048

// stderrLimit is how much a child may write to standard error, in bytes, before
// it is taken for one that babbles.
const stderrLimit = 16 << 20

// tail keeps the end of a stream. The zero value is empty.
type tail struct {
	mu    sync.Mutex
	buf   []byte // the end, at most tailSize bytes
	total int64
}

// write appends b and returns how much was written in all.
func (t *tail) write(b []byte) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total += int64(len(b))
	if len(b) >= tailSize {
		t.buf = append(t.buf[:0], b[len(b)-tailSize:]...)
		return t.total
	}
	if over := len(t.buf) + len(b) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	t.buf = append(t.buf, b...)
	return t.total
}

// String returns the end, marked when something stood before it.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.ToValidUTF8(string(t.buf), "?")
	if t.total > int64(len(t.buf)) {
		return "..." + text
	}
	return text
}

// readErrors keeps the tail of standard error and ends a child that babbles.
func (p *Process) readErrors(stderr *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := stderr.Read(buf)
		if p.tail.write(buf[:n]) > stderrLimit {
			p.abort(fmt.Errorf("it flooded its standard error with %d MiB", stderrLimit>>20))
		}
		if err != nil {
			return
		}
	}
}
