package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const (
	readyLine = "ready"
	firstFile = 3 // of exec.Cmd's ExtraFiles in the child
)

// Live is the life of a process of a lab: serve is called with a context that ends
// with ctx, SIGTERM or SIGINT, and says once that it is ready, which becomes a line on
// out. An error of serve before that is the one line on out; every error is returned.
func Live(ctx context.Context, out io.Writer, serve func(ctx context.Context, ready func() error) error) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// The starter may be gone when something is logged.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	said := false
	err := serve(ctx, func() error {
		said = true
		_, err := fmt.Fprintln(out, readyLine)
		return err
	})
	if err != nil && !said {
		fmt.Fprintln(out, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return err
}

// Files returns the first n files that the process was started with
// (exec.Cmd.ExtraFiles), in order. It may be called once. No child of the process
// inherits them.
func Files(n int) []*os.File {
	files := make([]*os.File, n)
	for i := range files {
		fd := firstFile + i
		syscall.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), fmt.Sprintf("file %d", i))
	}
	return files
}

// WaitReady reads what such a process, which is called by its role, says on its
// standard output: nil once it is ready, else the error that it gave. It blocks until
// then or until r ends.
func WaitReady(role string, r io.Reader) error {
	line, err := bufio.NewReader(r).ReadString('\n')
	switch line = strings.TrimSpace(line); {
	case line == readyLine:
		return nil
	case line != "":
		return fmt.Errorf("start %s: %s", role, line)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("start %s: it ended without a word; see its log", role)
	}
	return fmt.Errorf("start %s: %w", role, err)
}
