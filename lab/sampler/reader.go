package sampler

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// replyBound is how long the kernel may take to answer one request. It answers
// from memory, in microseconds.
const replyBound = 5 * time.Second

// Reader reads the counters of a fixed set of interfaces.
type Reader struct {
	interfaces []Interface

	mu      sync.Mutex
	handles map[string]*netlink.Handle // by node; nil once closed
	indexes map[Interface]int
}

// Open opens one socket per node, through do, which runs its function on a
// thread inside the node's namespace, and finds the interfaces.
func Open(interfaces []Interface, do func(node string, f func() error) error) (*Reader, error) {
	r := &Reader{
		interfaces: slices.Clone(interfaces),
		handles:    map[string]*netlink.Handle{},
		indexes:    map[Interface]int{},
	}
	for _, i := range r.interfaces {
		if err := r.open(i, do); err != nil {
			r.Close()
			return nil, fmt.Errorf("read the counters of %s in %s: %w", i.Link, i.Node, err)
		}
	}
	return r, nil
}

func (r *Reader) open(i Interface, do func(node string, f func() error) error) error {
	h := r.handles[i.Node]
	if h == nil {
		err := do(i.Node, func() (err error) {
			h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
			return err
		})
		if err != nil {
			return err
		}
		r.handles[i.Node] = h
		if err := h.SetSocketTimeout(replyBound); err != nil {
			return err
		}
	}
	link, err := h.LinkByName(i.Link)
	if err != nil {
		return err
	}
	r.indexes[i] = link.Attrs().Index
	return nil
}

// Read returns all counters since their interfaces were made.
func (r *Reader) Read() (Totals, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	totals := make(Totals, len(r.interfaces))
	for _, i := range r.interfaces {
		h := r.handles[i.Node]
		if h == nil {
			return nil, errors.New("read interface counters: the reader is closed")
		}
		link, err := h.LinkByIndex(r.indexes[i])
		if err != nil {
			return nil, fmt.Errorf("read the counters of %s in %s: %w", i.Link, i.Node, err)
		}
		s := link.Attrs().Statistics
		if s == nil {
			return nil, fmt.Errorf("read the counters of %s in %s: the kernel gave none", i.Link, i.Node)
		}
		totals[i] = Counters{
			RxBytes: s.RxBytes, RxPackets: s.RxPackets, RxDropped: s.RxDropped,
			TxBytes: s.TxBytes, TxPackets: s.TxPackets, TxDropped: s.TxDropped,
		}
	}
	return totals, nil
}

// Close closes the sockets. Idempotent.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.handles {
		h.Close()
	}
	r.handles = nil
}
