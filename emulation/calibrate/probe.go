package calibrate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// sent is a packet that was sent.
type sent struct {
	at    int64 // when, CLOCK_REALTIME, ns
	size  int   // bytes of IP packet
	phase phase
}

// arrival is a packet that came.
type arrival struct {
	index int   // of what was sent
	at    int64 // when the kernel had it, CLOCK_REALTIME, ns
}

// observation is what a probe saw.
type observation struct {
	sent     []sent
	arrivals []arrival // in the order in which they came
	overflow uint32    // packets that the receiver's socket had no room for
}

// mostLate is how far the sender may be behind its plan.
const mostLate = time.Millisecond

// magic begins each packet of a probe; what follows is the probe's own number and the
// packet's.
const magic = 0x74716c63 // "tqlc"

// probe sends the items from one end to the other and waits for what comes.
func probe(ctx context.Context, from, to *End, items []item, headers int, patience time.Duration) (observation, error) {
	o := observation{sent: make([]sent, 0, len(items)), arrivals: make([]arrival, 0, len(items))}
	number := uint32(time.Now().UnixNano())
	var over atomic.Int64 // when nothing more is waited for, ns since start; 0: not yet known
	start := time.Now()
	var receiving sync.WaitGroup
	var receiveErr error
	receiving.Go(func() {
		receiveErr = receive(to, &o, number, len(items), func() bool {
			end := over.Load()
			return end != 0 && time.Since(start).Nanoseconds() > end
		})
	})
	sendErr := send(ctx, from, &o, number, items, headers)
	if sendErr != nil {
		patience = 0
	}
	over.Store(max(1, (time.Since(start) + patience).Nanoseconds()))
	receiving.Wait()
	return o, errors.Join(sendErr, receiveErr)
}

// send sends the items, each at its time or, where the sender is late, as soon as it
// can.
func send(ctx context.Context, from *End, o *observation, number uint32, items []item, headers int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	buf := make([]byte, 1<<16)
	start := time.Now()
	for first := 0; first < len(items); {
		it, n := items[first], unitOf(items[first:])
		switch wait := it.at - time.Since(start); {
		case wait > 0:
			if err := sleep(ctx, wait); err != nil {
				return err
			}
		case wait < -mostLate:
			start = start.Add(-wait - mostLate) // the rest moves: catching up would be a burst
		}
		payload := max(it.size-headers, leastPayload)
		for i := range n {
			b := buf[i*payload:]
			binary.BigEndian.PutUint32(b, magic)
			binary.BigEndian.PutUint32(b[4:], number)
			binary.BigEndian.PutUint32(b[8:], uint32(first+i))
		}
		if err := from.cut(n, payload); err != nil {
			return err
		}
		at, err := clockOf(unix.CLOCK_REALTIME)
		if err != nil {
			return err
		}
		if err := transmit(from, buf[:n*payload]); err != nil {
			return fmt.Errorf("send a probe of %d bytes: %w", it.size, err)
		}
		for range n {
			o.sent = append(o.sent, sent{at, it.size, it.phase})
		}
		first += n
	}
	return nil
}

// unitOf returns how many of the items leave together.
func unitOf(items []item) int {
	n := 1
	for n < len(items) && items[n] == items[0] {
		n++
	}
	return n
}

// transmit sends one packet, or the packets of a unit. A message that an earlier one was
// refused is not about this one.
func transmit(from *End, b []byte) error {
	for {
		_, err := unix.Write(from.fd, b)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EMSGSIZE) || err == nil {
			return err
		}
		if errors.Is(err, unix.EMSGSIZE) {
			return nil // the path told the kernel: as lost as one that vanishes
		}
	}
}

// sleep waits in the kernel: Go's timers are a millisecond late.
func sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	spec := unix.NsecToTimespec(int64(min(d, receivePatience)))
	for {
		err := unix.Nanosleep(&spec, &spec)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if d > receivePatience {
		return sleep(ctx, d-receivePatience)
	}
	return nil
}

// clockOf reads a clock, ns.
func clockOf(id int32) (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return t.Nano(), nil
}

// receive notes what comes until over says so. A packet that is not the probe's is
// passed over.
func receive(to *End, o *observation, number uint32, most int, over func() bool) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	buf, control := make([]byte, 1<<16), make([]byte, 128)
	for !over() {
		n, controlSize, _, _, err := unix.Recvmsg(to.fd, buf, control, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, unix.EMSGSIZE), errors.Is(err, unix.ECONNREFUSED):
			continue
		case err != nil:
			return fmt.Errorf("receive probes: %w", err)
		}
		said, err := parse(control[:controlSize])
		if err != nil {
			return err
		}
		o.overflow = max(o.overflow, said.overflow)
		segment := n
		if said.segment > 0 {
			segment = said.segment
		}
		for rest := buf[:n]; len(rest) >= leastPayload; rest = rest[min(segment, len(rest)):] {
			if binary.BigEndian.Uint32(rest) != magic || binary.BigEndian.Uint32(rest[4:]) != number {
				continue
			}
			if i := int(binary.BigEndian.Uint32(rest[8:])); i < most {
				o.arrivals = append(o.arrivals, arrival{i, said.at})
			}
		}
	}
	return nil
}

// ancillary is what the kernel says of what it gives.
type ancillary struct {
	at       int64  // when it had it, CLOCK_REALTIME, ns
	overflow uint32 // packets that it had no room for, of all time
	segment  int    // bytes of payload of each packet of a unit; 0: it is one packet
}

// parse reads the control messages.
func parse(control []byte) (a ancillary, err error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return a, fmt.Errorf("read a probe's time stamp: %w", err)
	}
	for _, m := range messages {
		switch h := m.Header; {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16:
			a.at = int64(binary.NativeEndian.Uint64(m.Data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(m.Data[8:]))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4:
			a.overflow = binary.NativeEndian.Uint32(m.Data)
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(m.Data) >= 4:
			a.segment = int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	if a.at == 0 {
		return a, errors.New("read a probe's time stamp: the kernel gave none")
	}
	return a, nil
}
