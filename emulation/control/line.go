package control

import (
	"bufio"
	"encoding/json"
	"iter"
	"net"
	"time"
)

// MaxLine is the longest request, in bytes: room for a trace of 400 000 opportunities.
const MaxLine = 4 << 20

const (
	idleBound = time.Minute
	sendBound = 2 * time.Second
)

// Lines returns a client's requests as they come, until it goes, idles, or sends a line
// that is too long. A line is good until the next.
func Lines(conn net.Conn) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		lines := bufio.NewScanner(conn)
		lines.Buffer(make([]byte, 0, 256), MaxLine)
		for conn.SetReadDeadline(time.Now().Add(idleBound)) == nil && lines.Scan() {
			if !yield(lines.Bytes()) {
				return
			}
		}
	}
}

// Send writes a value as one line.
func Send(conn net.Conn, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(sendBound)); err != nil {
		return err
	}
	_, err = conn.Write(append(data, '\n'))
	return err
}
