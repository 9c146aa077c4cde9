package netem

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

// rateWindow is for how long a rate is measured, at the least.
const rateWindow = 5 * time.Second

// testProfileRates measures the rate of every direction, with all else that it asks
// for (losses, jitter, slots, its queue), over five seconds in which the queue never
// runs dry. Several directions run at once, as many as the machine's one CPU can feed.
func testProfileRates(t *testing.T, directions []profileDirection) {
	const together emulation.Rate = 1.3e9
	for len(directions) > 0 {
		n, sum := 0, emulation.Rate(0)
		for n < len(directions) && (n == 0 || sum+directions[n].imp.Rate <= together) {
			sum += directions[n].imp.Rate
			n++
		}
		t.Run(fmt.Sprintf("%d at %d Mbit", n, sum/1e6), func(t *testing.T) { testRatesTogether(t, directions[:n]) })
		directions = directions[n:]
	}
}

func testRatesTogether(t *testing.T, directions []profileDirection) {
	var streams []*stream
	for _, d := range directions {
		if d.imp.Rate > 0 {
			streams = append(streams, newStream(t, d))
		}
	}
	again(t, func() error {
		feed(streams)
		var errs []error
		for _, s := range streams {
			got, err := s.rate()
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
				continue
			}
			off := 100 * (got/float64(s.imp.Rate) - 1)
			t.Logf("%s: %d bit/s, off by %+.4f %%", s.name, s.imp.Rate, off)
			if math.Abs(off) > 1 {
				errs = append(errs, fmt.Errorf("%s: %.0f bit/s, want %d within 1 %%", s.name, got, s.imp.Rate))
			}
		}
		return errors.Join(errs...)
	})
}

// stream is packets of one size that keep the queue of a direction full.
type stream struct {
	profileDirection
	r       *rig
	out     *capture
	packets packets
	frame   time.Duration // that one takes at the rate
	holds   int           // so many the direction holds
	longest time.Duration // that its jitter delays
	slack   time.Duration // for how long it needs none

	fed   time.Time
	dry   time.Duration // of the window, for how long it may have needed some
	start time.Time     // of the window
	sent  uint64        // by the kernel's count, before
	left  []frame
}

// newStream makes a wire. The machine makes few packets a second: the faster the rate
// the larger they are, and the kernel counts bytes.
func newStream(t *testing.T, d profileDirection) *stream {
	t.Helper()
	const perSecond = 100
	size := min(max(1500, int(d.imp.Rate)/8/perSecond), 65_000)
	r := joined(t, size)
	r.must(Apply(r.ports[1], d.imp, 1))
	link, err := r.handle(r.nodes[1]).LinkByName("link")
	r.must(err)
	f := r.flow(0, size)
	r.option(f.to, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1) // nobody reads
	s := &stream{
		profileDirection: d, r: r, out: r.capture(r.nodes[1], link.Attrs().Index, 2048), packets: newPackets(f),
		frame: time.Duration(float64(8*(size+ethernetHeader)) / float64(d.imp.Rate) * float64(time.Second)),
		holds: int(r.state(1).Limit),
	}
	_, s.longest = delays(d.imp)
	// Until then what is ahead takes longer than any delay: the rate alone says when the
	// next packet leaves.
	s.slack = time.Duration(s.holds-1)*s.frame - s.longest
	if d.imp.Queue == (emulation.Queue{}) || s.slack <= 0 {
		t.Fatalf("%s: has no queue that could be kept full", d.name)
	}
	return s
}

// feed keeps all queues full until each has had a window. Where the machine stood
// still for so long that a queue may have run dry, that window starts anew: it tells
// more of the machine than of the link.
func feed(streams []*stream) {
	start := time.Now()
	for _, s := range streams {
		s.left, s.sent = nil, s.r.state(1).Counters.SentPackets
		s.fill(time.Now())
	}
	for now, ended := start, false; !ended && now.Sub(start) < 4*rateWindow; now = time.Now() {
		ended = true
		for _, s := range streams {
			s.topUp(now)
			s.left = append(s.left, s.out.take()...)
			ended = ended && now.After(s.end())
		}
		time.Sleep(time.Millisecond)
	}
	for _, s := range streams {
		s.r.drain()
		s.left = append(s.left, s.out.take()...)
	}
}

// fill fills the queue, and starts the window once no jitter can leave a gap.
func (s *stream) fill(now time.Time) {
	s.packets.send(s.holds)
	s.fed, s.dry, s.start = now, 0, now.Add(s.longest+100*time.Millisecond)
}

// topUp sends a tenth more than may have left. What does not fit is dropped.
func (s *stream) topUp(now time.Time) {
	const mostDry = rateWindow / 250
	since := now.Sub(s.fed)
	if since < s.slack/4 {
		return
	}
	if s.dry += max(0, since-s.slack); s.dry > mostDry && !now.After(s.end()) {
		s.fill(now)
		return
	}
	s.packets.send(min(s.holds, int(1.1*float64(since)/float64(s.frame))+1))
	s.fed = now
}

// end is a little later than the window's least length asks for, lest the last packet
// comes before.
func (s *stream) end() time.Time { return s.start.Add(rateWindow + 100*time.Millisecond) }

// rate returns the bits per second that left in the window, by the kernel's time.
func (s *stream) rate() (float64, error) {
	if counted := s.r.state(1).Counters.SentPackets - s.sent; counted != uint64(len(s.left)) {
		return 0, fmt.Errorf("%d packets left, %d were captured", counted, len(s.left))
	}
	var first, last emulation.Time
	bits := 0
	for _, f := range s.left {
		switch {
		case f.at < emulation.Time(s.start.UnixNano()) || f.at > emulation.Time(s.end().UnixNano()):
			continue
		case first == 0:
			first = f.at
		default:
			bits += 8 * f.size
		}
		last = f.at
	}
	if took := last.Sub(first); took < rateWindow {
		return 0, fmt.Errorf("%v without a gap in the queue, want %v: the machine stands still too often", took, rateWindow)
	}
	return float64(bits) / last.Sub(first).Seconds(), nil
}

// packets sends many datagrams with one system call, in trains. They are all the same.
type packets struct {
	f       *flow
	train   int // datagrams
	payload []byte
}

func newPackets(f *flow) packets {
	size := f.size - 28
	train := min(64, 65_507/size) // see flow.send
	return packets{f, train, make([]byte, train*size)}
}

func (p packets) send(n int) {
	p.f.r.t.Helper()
	type mmsghdr struct {
		header unix.Msghdr
		_      [8]byte // how much was sent
	}
	whole := unix.Iovec{Base: &p.payload[0]}
	whole.SetLen(len(p.payload))
	rest := whole
	rest.SetLen(n % p.train * (p.f.size - 28))
	messages := make([]mmsghdr, (n+p.train-1)/p.train)
	for i := range messages {
		messages[i].header.Iov, messages[i].header.Iovlen = &whole, 1
	}
	if n%p.train > 0 {
		messages[len(messages)-1].header.Iov = &rest
	}
	raw, err := p.f.from.SyscallConn()
	p.f.r.must(err)
	p.f.r.must(raw.Control(func(fd uintptr) {
		for len(messages) > 0 && err == nil {
			sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), 0, 0, 0)
			if errno != 0 {
				err = fmt.Errorf("send %d of %d packets: %w", len(messages), n, errno)
				return
			}
			messages = messages[sent:]
		}
	}))
	p.f.r.must(err)
}
