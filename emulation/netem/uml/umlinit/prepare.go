package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation/netem/uml/internal/boot"
)

// mountAll makes the file tree usable. The root is the host's tree, read-only;
// /dev is the kernel's own devtmpfs, mounted before we ran.
func mountAll(shown []boot.Mount) error {
	// Files made here have the modes that were asked for.
	unix.Umask(0)
	var errs []error
	for _, m := range []struct {
		kind, target, options string
	}{
		{"proc", "/proc", ""},
		{"sysfs", "/sys", ""},
		{"devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666"},
		{"tmpfs", "/dev/shm", "mode=1777"},
		{"tmpfs", "/run", "mode=755"},
		{"tmpfs", "/tmp", "mode=1777"},
	} {
		errs = append(errs, mount(m.kind, m.target, 0, m.options))
	}
	for _, m := range shown {
		var flags uintptr = unix.MS_RDONLY
		if m.Write {
			flags = 0
		}
		// hostfs takes the folder on the host as its option.
		errs = append(errs, mount("hostfs", m.Path, flags, m.Path))
	}
	for name, target := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, name); err != nil && !errors.Is(err, os.ErrExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func mount(kind, target string, flags uintptr, options string) error {
	if _, err := os.Stat(target); err != nil {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return fmt.Errorf("make the mount point: %w", err)
		}
	}
	if err := unix.Mount(kind, target, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, target, err)
	}
	return nil
}

// loadModules loads the modules in order. One that is there already is fine.
func loadModules(paths []string) error {
	for _, path := range paths {
		flags := 0
		if !strings.HasSuffix(path, ".ko") {
			// .ko.xz and the like: the kernel unpacks them itself since 5.17,
			// where it was built with CONFIG_MODULE_DECOMPRESS.
			flags = unix.MODULE_INIT_COMPRESSED_FILE
		}
		if err := loadModule(path, flags); err != nil {
			return fmt.Errorf("load module %s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

func loadModule(path string, flags int) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.FinitModule(int(file.Fd()), "", flags); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

func raiseLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}
