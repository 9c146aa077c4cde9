package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// tool returns a probe that looks for one of the programs in PATH.
func tool(names ...string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		for _, name := range names {
			path, err := exec.LookPath(name)
			if err == nil {
				return path, nil
			}
			if !errors.Is(err, exec.ErrNotFound) {
				return "", err
			}
		}
		return "", absent("it is not in PATH")
	}
}

// disk returns a probe that wants room where a folder is or would be made.
func disk(folder string, least int64) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		at, err := filepath.Abs(folder)
		if err != nil {
			return "", err
		}
		for {
			_, err := os.Stat(at)
			if err == nil || at == filepath.Dir(at) {
				break
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			at = filepath.Dir(at)
		}
		var st unix.Statfs_t
		if err := unix.Statfs(at, &st); err != nil {
			return "", fmt.Errorf("ask for the room in %s: %w", at, err)
		}
		free := int64(st.Bavail) * st.Bsize
		text := fmt.Sprintf("%.1f GB in %s", float64(free)/1e9, at)
		if free < least {
			return "", absent("%s", text)
		}
		return text, nil
	}
}
