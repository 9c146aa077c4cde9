package netem

import (
	"encoding/binary"
	"os"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/emulationtest"
)

// numberOffset is where a flow's packet has its number: behind the headers of
// Ethernet, IPv4 and UDP.
const numberOffset = 14 + 20 + 8

// frame is a packet as an interface received it.
type frame struct {
	at   emulation.Time // by the kernel
	size int
	data []byte // the beginning
}

func (f frame) number() int { return int(binary.BigEndian.Uint64(f.data[numberOffset:])) }

// capture takes down what an interface receives, with the kernel's time. It needs no
// system call per packet: a ring in shared memory, large enough for what a test sends
// before it takes.
type capture struct {
	r      *rig
	memory []byte
	slots  int
	next   int
}

const (
	captureSlot = 256 // bytes
	manyFrames  = 32768
	fewFrames   = 256
)

func (r *rig) capture(ns, index, slots int) *capture {
	r.t.Helper()
	c := &capture{r: r, slots: slots}
	r.must(within(ns, func() error {
		// The protocol, in the network's order.
		const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		r.t.Cleanup(func() { unix.Close(fd) })
		for _, o := range [][3]int{
			{unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2},
			{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
			{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1}, // the time of arrival, not of delivery
		} {
			if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
				return os.NewSyscallError("setsockopt", err)
			}
		}
		request := unix.TpacketReq{
			Block_size: 1 << 16, Block_nr: uint32(slots * captureSlot >> 16),
			Frame_size: captureSlot, Frame_nr: uint32(slots),
		}
		_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_PACKET, unix.PACKET_RX_RING,
			uintptr(unsafe.Pointer(&request)), unsafe.Sizeof(request), 0)
		if errno != 0 {
			return os.NewSyscallError("setsockopt", errno)
		}
		c.memory, err = unix.Mmap(fd, 0, slots*captureSlot, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return os.NewSyscallError("mmap", err)
		}
		r.t.Cleanup(func() { _ = unix.Munmap(c.memory) })
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	}))
	return c
}

// take returns the frames received since the last time.
func (c *capture) take() []frame {
	var frames []frame
	for {
		slot := c.memory[c.next*captureSlot:][:captureSlot]
		h := (*unix.Tpacket2Hdr)(unsafe.Pointer(unsafe.SliceData(slot)))
		if atomic.LoadUint32(&h.Status)&unix.TP_STATUS_USER == 0 {
			return frames
		}
		if len(frames) == c.slots {
			c.r.t.Fatal("the capture is full: frames may be missing")
		}
		frames = append(frames, frame{
			at:   emulation.Time(int64(h.Sec)*int64(time.Second) + int64(h.Nsec)),
			size: int(h.Len),
			data: append([]byte(nil), slot[h.Mac:][:h.Snaplen]...),
		})
		atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
		c.next = (c.next + 1) % c.slots
	}
}

// watch is what reaches a wire from node 0, and what leaves it towards node 1.
type watch struct {
	r          *rig
	in, out    *capture
	arrivals   []frame
	departures []frame
}

func (r *rig) watch(frames int) *watch {
	r.t.Helper()
	link, err := r.handle(r.nodes[1]).LinkByName("link")
	r.must(err)
	return &watch{r: r, in: r.capture(r.wire, r.ports[0].Index, frames), out: r.capture(r.nodes[1], link.Attrs().Index, frames)}
}

// reach waits until n packets in all have reached the wire.
func (w *watch) reach(n int) {
	w.r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Microsecond) {
		w.arrivals = append(w.arrivals, w.in.take()...)
		switch {
		case len(w.arrivals) == n:
			return
		case len(w.arrivals) > n:
			w.r.t.Fatalf("%d packets reached the wire, want %d", len(w.arrivals), n)
		case time.Now().After(end):
			w.r.t.Fatalf("%d of %d packets reached the wire", len(w.arrivals), n)
		}
	}
}

// finish waits until n packets in all have reached the wire and it holds none.
func (w *watch) finish(n int) {
	w.r.t.Helper()
	w.reach(n)
	w.r.drain()
	w.departures = append(w.departures, w.out.take()...)
}

// drain waits until the wire holds no packet towards node 1.
func (r *rig) drain() {
	r.t.Helper()
	for end := time.Now().Add(patience); r.state(1).Counters.BacklogPackets > 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("the wire keeps %+v", r.state(1).Counters)
		}
	}
}

// play returns what the model does to the same arrivals with a seed of its own.
func (w *watch) play(imp emulation.Impairments, seed uint64) []emulationtest.Departure {
	w.r.t.Helper()
	out, _, err := emulationtest.Play(imp, emulation.NewSeed(seed, "wire", "up"), w.modelArrivals())
	w.r.must(err)
	return out
}

func (w *watch) modelArrivals() []emulationtest.Arrival {
	arrivals := make([]emulationtest.Arrival, len(w.arrivals))
	for i, f := range w.arrivals {
		arrivals[i] = emulationtest.Arrival{At: f.at, Size: emulation.ByteCount(f.size)}
	}
	return arrivals
}

// kernel returns what netem did, in the words of the model.
func (w *watch) kernel() []emulationtest.Departure {
	out := make([]emulationtest.Departure, len(w.departures))
	for i, f := range w.departures {
		out[i] = emulationtest.Departure{Number: f.number(), At: f.at, ECN: emulation.ECN(f.data[15] & 3)}
	}
	return out
}

// lost says which packets did not leave.
func (w *watch) lost() []bool { return emulationtest.Lost(len(w.arrivals), w.kernel()) }

// delays returns how long each packet that left was held, in seconds.
func (w *watch) delays() []float64 { return emulationtest.Delays(w.modelArrivals(), w.kernel()) }

// sendAll sends n packets as fast as they are taken, and finishes.
func (w *watch) sendAll(f *flow, n int) {
	w.r.t.Helper()
	// An interface's backlog ends at 1000 packets (net.core.netdev_max_backlog).
	const train = 256
	for done := 0; done < n; {
		done = min(done+train, n)
		f.send(done - int(f.sent))
		w.reach(done)
		if done == n || done%(manyFrames/4) == 0 {
			w.finish(done)
		}
	}
}

// offload switches a node's offloads off.
func (r *rig) offload(node int, names ...string) {
	r.t.Helper()
	off := map[string]bool{}
	for _, name := range names {
		off[name] = false
	}
	r.must(within(r.nodes[node], func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		return e.Change("link", off)
	}))
}

// again measures up to three times, and fails only if no measurement holds. A
// machine that is busy elsewhere spoils some, and one in a hundred lies outside a 99 %
// interval; three in a row are one in a million.
func again(t *testing.T, measure func() error) {
	t.Helper()
	var err error
	for range 3 {
		if err = measure(); err == nil {
			return
		}
		t.Logf("measured again: %v", err)
	}
	t.Errorf("three times in a row, the last: %v", err)
}
