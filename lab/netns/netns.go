package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Dir is where names are bound, the same as ip-netns(8)'s, so that
// `ip netns exec NAME` works.
const Dir = "/run/netns"

// ErrExists is wrapped by Create's error when the name is taken.
var ErrExists = errors.New("namespace exists")

// ErrNotNamespace is wrapped by Open's error when the name is bound to nothing:
// an empty file that an interrupted creation left.
var ErrNotNamespace = errors.New("not a namespace")

// NS is an open network namespace. It keeps the namespace alive until Close.
type NS struct {
	name string
	file *os.File
}

// Create makes a namespace, marks it, brings its loopback up and binds it to
// name. A name that is taken gives an error that wraps ErrExists, and whatever
// bears it is left alone.
func Create(name, mark string) (*NS, error) {
	if err := shareDir(); err != nil {
		return nil, fmt.Errorf("create namespace %s: %w", name, err)
	}
	var ns *NS
	// The thread ends in a namespace of its own, so it is never given back.
	err := onThread(func() (keep bool, err error) {
		ns, err = create(name, mark)
		return false, err
	})
	if err != nil {
		return nil, fmt.Errorf("create namespace %s: %w", name, err)
	}
	return ns, nil
}

func create(name, mark string) (*NS, error) {
	handle, err := vnetns.New()
	if err != nil {
		return nil, fmt.Errorf("unshare: %w (it needs CAP_SYS_ADMIN)", err)
	}
	ns := &NS{name: name, file: os.NewFile(uintptr(handle), name)}
	if err := errors.Join(setMark(mark), bind(name)); err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return ns, nil
}

// bind gives the calling thread's namespace a name. The file is made with
// O_EXCL: of two creators of one name, one fails.
func bind(name string) error {
	path := filepath.Join(Dir, name)
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return err
	}
	err = f.Close()
	if err == nil {
		// Not /proc/self/ns/net: that is the main thread's.
		err = unix.Mount("/proc/thread-self/ns/net", path, "none", unix.MS_BIND, "")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("bind to %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// shareDir makes Dir a mount of its own with shared propagation, as ip-netns(8)
// does, so that names appear and vanish in every mount namespace.
func shareDir() error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", Dir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) { // not a mount point yet
		if err = unix.Mount(Dir, Dir, "none", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = unix.Mount("", Dir, "none", unix.MS_SHARED|unix.MS_REC, "")
		}
	}
	if err != nil {
		return fmt.Errorf("share %s: %w (it needs CAP_SYS_ADMIN)", Dir, err)
	}
	return nil
}

// Open opens the namespace bound to name. A missing name gives an error that
// wraps fs.ErrNotExist; a name bound to nothing, one that wraps ErrNotNamespace.
func Open(name string) (*NS, error) {
	f, err := os.Open(filepath.Join(Dir, name))
	if err != nil {
		return nil, fmt.Errorf("open namespace: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return nil, errors.Join(fmt.Errorf("open namespace %s: %w", name, err), f.Close())
	}
	if st.Type != unix.NSFS_MAGIC {
		return nil, errors.Join(fmt.Errorf("open namespace %s: %w", name, ErrNotNamespace), f.Close())
	}
	return &NS{name: name, file: f}, nil
}

// FromFile returns the namespace that file is open on, under a name for messages. The
// file is the namespace's from then on.
func FromFile(file *os.File, name string) *NS { return &NS{name: name, file: file} }

// File returns the namespace's file, for handing to another process. It stays the
// namespace's.
func (n *NS) File() *os.File { return n.file }

// Remove unbinds name and deletes its file. A missing name is no error.
func Remove(name string) error {
	path := filepath.Join(Dir, name)
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // EINVAL: not mounted
		return fmt.Errorf("remove namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove namespace %s: %w", name, err)
	}
	return nil
}

// Names returns the names in Dir, sorted.
func Names() ([]string, error) {
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Name returns the name that the namespace was made or opened under.
func (n *NS) Name() string { return n.name }

// Fd returns the namespace's file descriptor, borrowed until Close.
func (n *NS) Fd() int { return int(n.file.Fd()) }

// Close lets go of the namespace. Its name, if bound, stays.
func (n *NS) Close() error { return n.file.Close() }

// Inode identifies the namespace while it lives: two files with the same inode
// are the same namespace.
func (n *NS) Inode() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(n.Fd(), &st); err != nil {
		return 0, fmt.Errorf("stat namespace %s: %w", n.name, err)
	}
	return st.Ino, nil
}

// Do runs f on a thread inside the namespace. Calls of Do may be nested: each
// has a thread of its own.
func (n *NS) Do(f func() error) error {
	return onThread(func() (keep bool, err error) {
		home, err := vnetns.GetFromPath("/proc/thread-self/ns/net")
		if err != nil {
			return true, fmt.Errorf("enter namespace %s: %w", n.name, err)
		}
		if err := vnetns.Set(vnetns.NsHandle(n.Fd())); err != nil {
			return true, errors.Join(fmt.Errorf("enter namespace %s: %w", n.name, err), home.Close())
		}
		err = f()
		restored := vnetns.Set(home)
		if restored != nil {
			restored = fmt.Errorf("leave namespace %s (its thread ends): %w", n.name, restored)
		}
		return restored == nil, errors.Join(err, restored, home.Close())
	})
}

// onThread runs f on a goroutine that owns its thread. When f does not keep the
// thread, it ends with the goroutine. The process's first thread would not end, and
// would hold its namespace for as long as the process runs: it is passed over.
func onThread(f func() (keep bool, err error)) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			done <- onThread(f)
			runtime.UnlockOSThread()
			return
		}
		keep, err := f()
		if keep {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// setMark marks the calling thread's namespace and brings its loopback up.
func setMark(mark string) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := h.LinkSetAlias(lo, mark); err != nil {
		return fmt.Errorf("mark lo: %w", err)
	}
	if err := h.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// Mark returns the mark that Create gave the namespace, or "" when it has none.
func (n *NS) Mark() (string, error) {
	h, err := n.Netlink()
	if err != nil {
		return "", err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return "", fmt.Errorf("read mark of namespace %s: %w", n.name, err)
	}
	return lo.Attrs().Alias, nil
}

// Netlink opens a route netlink handle inside the namespace, to be used and
// closed anywhere.
func (n *NS) Netlink() (*netlink.Handle, error) {
	h, err := netlink.NewHandleAt(vnetns.NsHandle(n.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink in namespace %s: %w", n.name, err)
	}
	return h, nil
}
