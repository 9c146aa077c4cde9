package agent

import (
	"fmt"
	"io"
	"os"
)

// keyLog returns where the TLS secrets of sessions go: to the file at path, if
// there is one, beside Config.KeyLog. The file stays open until close, so that the
// child may give up root meanwhile; both nodes' children append to it.
func (c *child) keyLog(path string) (io.Writer, error) {
	if path == "" {
		return c.KeyLog, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open key log: %w", err)
	}
	c.keyLogs = append(c.keyLogs, f)
	if c.KeyLog == nil {
		return f, nil
	}
	return io.MultiWriter(c.KeyLog, f), nil
}
