package results

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// NeedBytes is the free space that Create insists on. An hour of six arms with
// 100 ms samples of four interfaces takes about a tenth of it.
const NeedBytes = 64 << 20

// checkWritable makes sure, before anything is measured, that the folder can
// take a result: there is space, and what is written reaches the disk.
func checkWritable(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	// Bavail is what an unprivileged user may take: root's reserve is not for results.
	if free := int64(st.Bavail) * st.Bsize; free < NeedBytes {
		return fmt.Errorf("results folder %s: only %d MiB are free, a run needs %d MiB: free space, or choose another folder with --out",
			dir, free>>20, NeedBytes>>20)
	}
	return writeAtomically(filepath.Join(dir, ".probe"), []byte("probe\n"), os.Remove)
}

// writeAtomically makes path hold data, whole or not at all: a temporary file in
// the same folder, synced, renamed, and the folder synced. What then follows gets
// the path (nil does nothing).
func writeAtomically(path string, data []byte, then func(string) error) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return writeError("create", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(tmp.Name()))
		}
	}()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err != nil {
		return writeError("write", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return writeError("write", path, err)
	}
	if then != nil {
		if err := then(path); err != nil {
			return writeError("finish", path, err)
		}
	}
	return syncDir(dir)
}

// syncDir makes renames and creations in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return writeError("sync", dir, err)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// isEmpty reports whether the folder has no entry.
func isEmpty(dir string) (bool, error) {
	d, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer d.Close()
	_, err = d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// writeError wraps a failure to write with what the user can do about it.
func writeError(verb, path string, err error) error {
	advice := ": choose another folder with --out"
	switch {
	case errors.Is(err, unix.ENOSPC):
		advice = ": the disk is full: free space, or choose another folder with --out"
	case errors.Is(err, unix.EDQUOT):
		advice = ": your quota is used up: free space, or choose another folder with --out"
	case errors.Is(err, unix.EROFS):
		advice = ": the file system is read-only: choose another folder with --out"
	case errors.Is(err, fs.ErrPermission):
		advice = ": choose a folder that you may write to with --out"
	}
	return fmt.Errorf("%s %s: %w%s", verb, path, err, advice)
}
