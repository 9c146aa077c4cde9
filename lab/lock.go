package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is how long a caller waits for another one's up or down, which
// take well under a second each.
const lockPatience = 30 * time.Second

// lock is held while labs are made, taken down or listed for that. The kernel
// lets go of it when its process dies.
type lock struct {
	file *os.File
	path string
}

// lockLabs takes the lock of the Host's folder, making the folder.
func (h Host) lockLabs(ctx context.Context) (*lock, error) {
	return takeLock(ctx, filepath.Join(h.dir(), "lock"), lockPatience)
}

// takeLock waits for the lock at path, making its folder. A patience of 0 tries
// once.
func takeLock(ctx context.Context, path string, patience time.Duration) (*lock, error) {
	deadline := time.Now().Add(patience)
	for {
		l, err := tryLock(path)
		if l != nil || err != nil {
			return l, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%w: another command holds %s", ErrBusy, path)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// tryLock returns nil without an error when the lock is held elsewhere. A file
// that was removed between its opening and its locking does not count: its
// lock would be held by two.
func tryLock(path string) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // whoever took the last lab down has just removed the folder
	}
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	held, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(held, named) {
		return nil, f.Close()
	}
	return &lock{file: f, path: path}, nil
}

// unlock lets go.
func (l *lock) unlock() error { return l.file.Close() }

// remove removes the lock's file while it is held, then lets go.
func (l *lock) remove() error {
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.file.Close())
}

// Reserve keeps other measurements out of the lab until release is called, or
// this process ends. An error wraps ErrBusy when another has it.
func (l *Lab) Reserve(ctx context.Context) (release func() error, err error) {
	held, err := takeLock(ctx, filepath.Join(l.host.labDir(l.Name()), "run.lock"), 0)
	if errors.Is(err, ErrBusy) {
		return nil, fmt.Errorf("%w: another run measures in lab %s: wait for it, or give this one a lab of its own with --name", ErrBusy, l.Name())
	}
	if err != nil {
		return nil, err
	}
	return held.unlock, nil
}
