package quicgo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"
)

// checkFolder returns an error unless dir is a folder, or empty.
func checkFolder(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("qlog folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("qlog folder %s is not a folder", dir)
	}
	return nil
}

// tracer returns what makes quic-go write a file of each connection into dir; nil
// for an empty dir. A connection whose file cannot be created goes on without one:
// quic-go has no way to tell.
func tracer(dir string) func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace {
	if dir == "" {
		return nil
	}
	return func(_ context.Context, isClient bool, odcid quic.ConnectionID) qlogwriter.Trace {
		side := "server"
		if isClient {
			side = "client"
		}
		file, err := os.Create(filepath.Join(dir, odcid.String()+"_"+side+".sqlog"))
		if err != nil {
			return nil
		}
		trace := qlogwriter.NewConnectionFileSeq(&buffered{Writer: bufio.NewWriter(file), file: file}, isClient, odcid)
		go trace.Run() // until the connection is over, which waits for it
		return trace
	}
}

// buffered is a file behind a buffer.
type buffered struct {
	*bufio.Writer
	file *os.File
}

func (b *buffered) Close() error { return errors.Join(b.Flush(), b.file.Close()) }
