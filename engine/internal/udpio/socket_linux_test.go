package udpio

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// testSocket is a socket with a reader's pool.
type testSocket struct {
	*Socket
	t    *testing.T
	pool *buf.Pool
}

func newTestSocket(t *testing.T, network, address string, c Config) *testSocket {
	t.Helper()
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(pc.(*net.UDPConn), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &testSocket{Socket: s, t: t, pool: buf.NewPool(128<<10, 16)}
}

// to returns where others reach the socket by that address.
func (s *testSocket) to(address string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(address), s.LocalAddr().Port())
}

// datagrams reads n datagrams. Every train must look like the given one but for its
// data, its segment size and its buffer.
func (s *testSocket) datagrams(n int, like Received) [][]byte {
	s.t.Helper()
	var out [][]byte
	s.conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // ends a test that hangs
	for into := make([]Received, 64); len(out) < n; {
		got, err := s.Read(into, s.pool)
		if err != nil {
			s.t.Fatalf("read after %d of %d datagrams: %v", len(out), n, err)
		}
		for _, r := range into[:got] {
			if r.Local != like.Local || r.Remote != like.Remote || r.ECN != like.ECN {
				s.t.Fatalf("to %v from %v with mark %d; want %v, %v, %d", r.Local, r.Remote, r.ECN, like.Local, like.Remote, like.ECN)
			}
			for data := r.Data; len(data) > 0; data = data[min(r.Segment, len(data)):] {
				out = append(out, bytes.Clone(data[:min(r.Segment, len(data))]))
			}
			r.Buffer.Release()
		}
	}
	return out
}

func (s *testSocket) write(m Message) {
	s.t.Helper()
	if err := s.Write(m); err != nil {
		s.t.Fatalf("write: %v", err)
	}
}

// testTrain is n bytes that tell their place.
func testTrain(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8 ^ i)
	}
	return b
}

// checkTrain wants the datagrams to be the train, cut to segments.
func checkTrain(t *testing.T, got [][]byte, train []byte, segment int) {
	t.Helper()
	if want := datagrams(len(train), segment); len(got) != want {
		t.Fatalf("%d datagrams, want %d", len(got), want)
	}
	for i, d := range got {
		want := train[i*segment : min((i+1)*segment, len(train))]
		if !bytes.Equal(d, want) {
			t.Fatalf("datagram %d: %d bytes that differ from the %d sent", i, len(d), len(want))
		}
	}
}

// testArms are all features and the fall-backs.
func testArms() map[string]Config {
	return map[string]Config{
		"all features":   {},
		"no GSO":         {Disable: Features{GSO: true}},
		"no GRO":         {Disable: Features{GRO: true}},
		"neither":        {Disable: Features{GSO: true, GRO: true}},
		"one at a time":  {Disable: Features{GSO: true, GRO: true, SendMMsg: true, RecvMMsg: true}},
		"no ECN":         {Disable: Features{ECN: true}},
		"no packet info": {Disable: Features{PacketInfo: true}},
	}
}

func TestTrainsArriveWhole(t *testing.T) {
	trains := []struct{ bytes, segment int }{
		{1, 0}, {1200, 1200}, {1201, 1200}, {2400, 1200}, {32 * 1472, 1472}, {44*1472 + 100, 1472}, {64 * 100, 100}, {7*8972 + 1, 8972}, {65488, 0}, {200 * 64, 64}, {90000, 30000},
	}
	nets := []struct{ name, network, bind, to string }{
		{"IPv4", "udp4", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "udp6", "[::1]:0", "::1"},
		{"dual-stack by IPv4", "udp", "[::]:0", "127.0.0.1"},
		{"dual-stack by IPv6", "udp", "[::]:0", "::1"},
		{"wildcard", "udp4", "0.0.0.0:0", "127.0.0.1"},
	}
	for arm, config := range testArms() {
		for _, n := range nets {
			t.Run(arm+"/"+n.name, func(t *testing.T) {
				from, to := newTestSocket(t, n.network, n.bind, config), newTestSocket(t, n.network, n.bind, config)
				like := Received{Local: to.to(n.to), Remote: from.to(n.to), ECN: wire.ECT0}
				if !to.Features().ECN {
					like.ECN = wire.NotECT
				}
				before := from.Features()
				if !to.Features().PacketInfo {
					like.Local = to.LocalAddr()
				}
				for _, tt := range trains {
					if !to.Features().GRO && tt.segment > slotSize {
						to.reader.slot = maxDatagram // TestSlotsGrow is about the loss
					}
					train := testTrain(tt.bytes)
					from.write(Message{Data: train, Segment: tt.segment, Remote: to.to(n.to), ECN: wire.ECT0})
					segment := tt.segment
					if segment == 0 {
						segment = tt.bytes
						to.reader.slot = maxDatagram
					}
					checkTrain(t, to.datagrams(datagrams(tt.bytes, segment), like), train, segment)
				}
				c := from.Counters()
				if c.DroppedDatagrams+c.TooLargeDatagrams > 0 || from.Features() != before {
					t.Errorf("%+v; features were %+v, are %+v", c, before, from.Features())
				}
			})
		}
	}
}

func TestOneCallPerTrain(t *testing.T) {
	from, to := newTestSocket(t, "udp4", "127.0.0.1:0", Config{}), newTestSocket(t, "udp4", "127.0.0.1:0", Config{})
	if f := from.Features(); !f.GSO || !f.GRO || !f.ECN || f.PacketInfo || from.MaxSegments() != 64 {
		t.Fatalf("features %+v, %d segments", f, from.MaxSegments())
	}
	from.write(Message{Data: testTrain(44 * 1472), Segment: 1472, Remote: to.LocalAddr()})
	into := make([]Received, 4)
	n, err := to.Read(into, to.pool)
	if err != nil || n != 1 || len(into[0].Data) != 44*1472 || into[0].Segment != 1472 {
		t.Fatalf("%d trains (%v), the first of %d bytes in segments of %d", n, err, len(into[0].Data), into[0].Segment)
	}
	into[0].Buffer.Release()
	c := from.Counters()
	want := Counters{SentTrains: 1, SentDatagrams: 44, SentBytes: 44 * 1472, SendCalls: 1}
	if c != want {
		t.Errorf("sender: %+v, want %+v", c, want)
	}
	want = Counters{ReceivedTrains: 1, ReceivedDatagrams: 44, ReceivedBytes: 44 * 1472, GROTrains: 1}
	if c := to.Counters(); c != want {
		t.Errorf("receiver: %+v, want %+v", c, want)
	}
}

func TestMaxSegments(t *testing.T) {
	for _, tt := range []struct {
		off  Features
		want int
	}{{Features{}, 64}, {Features{GSO: true}, 32}, {Features{GSO: true, SendMMsg: true}, 1}} {
		if got := newTestSocket(t, "udp4", "127.0.0.1:0", Config{Disable: tt.off}).MaxSegments(); got != tt.want {
			t.Errorf("without %+v: %d segments, want %d", tt.off, got, tt.want)
		}
	}
}

func TestMarksArrive(t *testing.T) {
	for _, bind := range []string{"127.0.0.1", "::1"} {
		from, to := newTestSocket(t, "udp", net.JoinHostPort(bind, "0"), Config{}), newTestSocket(t, "udp", net.JoinHostPort(bind, "0"), Config{})
		for _, mark := range []wire.ECN{wire.NotECT, wire.ECT1, wire.ECT0, wire.CE} {
			from.write(Message{Data: testTrain(300), Segment: 100, Remote: to.LocalAddr(), ECN: mark})
			to.datagrams(3, Received{Local: to.LocalAddr(), Remote: from.LocalAddr(), ECN: mark})
		}
	}
}

func TestSourceIsChosen(t *testing.T) {
	for _, bind := range []string{"0.0.0.0:0", "[::]:0"} {
		from, to := newTestSocket(t, "udp", bind, Config{}), newTestSocket(t, "udp4", "127.0.0.1:0", Config{})
		for _, source := range []string{"127.0.0.5", "127.0.0.1"} {
			from.write(Message{Data: testTrain(30), Segment: 10, Local: from.to(source), Remote: to.LocalAddr()})
			to.datagrams(3, Received{Local: to.LocalAddr(), Remote: from.to(source)})
		}
		// Bound to an address, the socket has no choice.
		to.write(Message{Data: testTrain(30), Segment: 10, Local: to.to("127.0.0.9"), Remote: from.to("127.0.0.3")})
		from.datagrams(3, Received{Local: from.to("127.0.0.3"), Remote: to.LocalAddr()})
	}
	from, to := newTestSocket(t, "udp6", "[::]:0", Config{}), newTestSocket(t, "udp6", "[::1]:0", Config{})
	from.write(Message{Data: testTrain(30), Segment: 10, Local: from.to("::1"), Remote: to.LocalAddr()})
	to.datagrams(3, Received{Local: to.LocalAddr(), Remote: from.to("::1")})
}

// The kernel refuses UDP_SEGMENT with EINVAL on a socket without checksums: the
// train arrives nevertheless, and no other is tried.
func TestGSOFallsBack(t *testing.T) {
	from, to := newTestSocket(t, "udp4", "127.0.0.1:0", Config{}), newTestSocket(t, "udp4", "127.0.0.1:0", Config{})
	from.raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
			t.Fatal(err)
		}
	})
	train := testTrain(10*1000 + 1)
	for range 2 {
		from.write(Message{Data: train, Segment: 1000, Remote: to.LocalAddr()})
		checkTrain(t, to.datagrams(11, Received{Local: to.LocalAddr(), Remote: from.LocalAddr()}), train, 1000)
	}
	if from.Features().GSO || from.MaxSegments() != 32 {
		t.Errorf("GSO %t, %d segments; want none, 32", from.Features().GSO, from.MaxSegments())
	}
	if c := from.Counters(); c.SendCalls != 3 || c.SentDatagrams != 22 || c.DroppedDatagrams != 0 {
		t.Errorf("%+v; want 3 calls: one refused, two by sendmmsg", c)
	}
}

// What no route leads to is lost, not an error, and GSO is not to blame for it.
func TestRefusedTrainsAreDropped(t *testing.T) {
	from := newTestSocket(t, "udp4", "127.0.0.1:0", Config{})
	for _, remote := range []string{"192.0.2.1:9", "[2001:db8::1]:9", "127.0.0.1:0"} {
		if err := from.Write(Message{Data: testTrain(2500), Segment: 1000, Remote: netip.MustParseAddrPort(remote)}); err != nil {
			t.Errorf("to %s: %v", remote, err)
		}
	}
	if c := from.Counters(); c.DroppedDatagrams != 9 || c.SentDatagrams != 0 {
		t.Errorf("%+v; want 9 dropped", c)
	}
	if !from.Features().GSO {
		t.Error("GSO is off")
	}
}

// An ICMP error about an earlier datagram disturbs neither direction.
func TestRefusedConnectionIsIgnored(t *testing.T) {
	gone := newTestSocket(t, "udp4", "127.0.0.1:0", Config{})
	to := gone.LocalAddr()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(conn, Config{})
	if err != nil {
		t.Fatal(err)
	}
	from := &testSocket{Socket: s, t: t, pool: buf.NewPool(128<<10, 4)}
	defer from.Close()
	gone.Close()
	from.write(Message{Data: testTrain(10), Remote: to}) // answered by ICMP
	from.write(Message{Data: testTrain(10), Remote: to}) // told so
	from.write(Message{Data: testTrain(10), Remote: to})
	back, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if _, err := back.WriteToUDPAddrPort([]byte("back"), from.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	from.datagrams(1, Received{Local: from.LocalAddr(), Remote: to})
}

func TestSlotsGrow(t *testing.T) {
	from := newTestSocket(t, "udp4", "127.0.0.1:0", Config{})
	to := newTestSocket(t, "udp4", "127.0.0.1:0", Config{Disable: Features{GRO: true}})
	like := Received{Local: to.LocalAddr(), Remote: from.LocalAddr()}
	from.write(Message{Data: testTrain(100), Remote: to.LocalAddr()})
	from.write(Message{Data: testTrain(9000), Remote: to.LocalAddr()}) // lost
	from.write(Message{Data: testTrain(200), Remote: to.LocalAddr()})
	if got := to.datagrams(2, like); len(got[0]) != 100 || len(got[1]) != 200 {
		t.Errorf("datagrams of %d and %d bytes, want 100 and 200", len(got[0]), len(got[1]))
	}
	if c := to.Counters(); c.TruncatedDatagrams != 1 {
		t.Errorf("%d truncated, want 1", c.TruncatedDatagrams)
	}
	train := testTrain(5 * 9000)
	from.write(Message{Data: train, Segment: 9000, Remote: to.LocalAddr()})
	checkTrain(t, to.datagrams(5, like), train, 9000)
}

// One recvmmsg takes all that is there, into one buffer.
func TestRecvMMsgTakesABatch(t *testing.T) {
	from := newTestSocket(t, "udp4", "127.0.0.1:0", Config{})
	to := newTestSocket(t, "udp4", "127.0.0.1:0", Config{Disable: Features{GRO: true}})
	from.write(Message{Data: testTrain(40 * 1200), Segment: 1200, Remote: to.LocalAddr()})
	into := make([]Received, 64)
	for _, want := range []int{32, 8} {
		n, err := to.Read(into, to.pool)
		if err != nil || n != want {
			t.Fatalf("%d datagrams (%v), want %d", n, err, want)
		}
		for _, r := range into[:n] {
			if r.Buffer != into[0].Buffer || r.Segment != 1200 {
				t.Fatalf("segment %d, the same buffer: %t", r.Segment, r.Buffer == into[0].Buffer)
			}
			r.Buffer.Release()
		}
	}
}

func TestEmptyDatagramsAreNobodys(t *testing.T) {
	for _, off := range []Features{{}, {GRO: true}} {
		from, to := newTestSocket(t, "udp4", "127.0.0.1:0", Config{}), newTestSocket(t, "udp4", "127.0.0.1:0", Config{Disable: off})
		if _, err := from.conn.WriteToUDPAddrPort(nil, to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		from.write(Message{Remote: to.LocalAddr()}) // sends nothing at all
		from.write(Message{Data: []byte("x"), Remote: to.LocalAddr()})
		to.datagrams(1, Received{Local: to.LocalAddr(), Remote: from.LocalAddr()})
		if c := to.Counters(); c.ReceivedDatagrams != 1 {
			t.Errorf("%+v", c)
		}
	}
}

func TestTooLarge(t *testing.T) {
	for _, off := range []Features{{}, {GSO: true}, {GSO: true, SendMMsg: true}} {
		from := newTestSocket(t, "udp4", "127.0.0.1:0", Config{Disable: off})
		if err := from.Write(Message{Data: testTrain(65508), Remote: from.LocalAddr()}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("65508 bytes: got %v, want %v", err, ErrTooLarge)
		}
	}
}

// In a network whose MTU is 1500: probes that are too large fail, whatever the kernel
// believes of fragments, and GSO stays. RFC 9000, section 14: datagrams MUST NOT be
// fragmented at the IP layer.
func TestTooLargeForTheInterface(t *testing.T) {
	for name, config := range testArms() {
		t.Run(name, func(t *testing.T) {
			inSmallNetwork(t, func() {
				for _, n := range []struct {
					bind string
					fits int
				}{{"127.0.0.1:0", 1472}, {"[::1]:0", 1452}, {"[::]:0", 1452}} {
					from, to := newTestSocket(t, "udp", n.bind, config), newTestSocket(t, "udp", n.bind, config)
					remote := to.LocalAddr()
					if remote.Addr().IsUnspecified() {
						remote = to.to("::1")
					}
					before := from.Features()
					train := testTrain(3 * n.fits)
					for range 2 {
						for _, m := range []Message{{Data: train[:n.fits+1]}, {Data: train, Segment: n.fits + 1}} {
							m.Remote = remote
							if err := from.Write(m); !errors.Is(err, ErrTooLarge) {
								t.Errorf("%s: %d bytes in segments of %d: got %v, want %v", n.bind, len(m.Data), m.Segment, err, ErrTooLarge)
							}
						}
					}
					from.write(Message{Data: train, Segment: n.fits, Remote: remote})
					into, got := make([]Received, 8), 0
					for got < len(train) {
						k, err := to.Read(into, to.pool)
						if err != nil {
							t.Fatal(err)
						}
						for _, r := range into[:k] {
							got += len(r.Data)
							r.Buffer.Release()
						}
					}
					if from.Features() != before {
						t.Errorf("%s: features were %+v, are %+v", n.bind, before, from.Features())
					}
					if c := from.Counters(); c.TooLargeDatagrams != 8 || c.DroppedDatagrams != 0 {
						t.Errorf("%s: %+v, want 8 too large", n.bind, c)
					}
				}
			})
		})
	}
}

// inSmallNetwork runs f on a thread in a network namespace of its own, whose only
// interface is lo with an MTU of 1500. It needs root.
func inSmallNetwork(t *testing.T, f func()) {
	t.Helper()
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err = enterSmallNetwork(); err == nil {
			f()
		}
	})
	wg.Wait()
	if errors.Is(err, unix.EPERM) {
		t.Skipf("needs root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func enterSmallNetwork() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint32(1500)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFMTU, lo); err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

func TestCloseUnblocksRead(t *testing.T) {
	s := newTestSocket(t, "udp4", "127.0.0.1:0", Config{})
	s.write(Message{Data: []byte("x"), Remote: s.LocalAddr()})
	s.datagrams(1, Received{Local: s.LocalAddr(), Remote: s.LocalAddr()})
	done := make(chan error)
	go func() {
		_, err := s.Read(make([]Received, 4), s.pool)
		done <- err
	}()
	s.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: got %v, want %v", err, net.ErrClosed)
	}
	if n := s.pool.InUse(); n != 0 {
		t.Errorf("%d buffers are left", n)
	}
	if err := s.Write(Message{Data: []byte("x"), Remote: s.LocalAddr()}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: got %v, want %v", err, net.ErrClosed)
	}
	if s.Counters().SentTrains != 1 {
		t.Error("the counters are gone")
	}
	if _, err := New(s.conn, Config{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("New on a closed socket: %v", err)
	}
}

func TestBuffersAreEnlarged(t *testing.T) {
	const want = 300 << 10 // more than the default of Linux, less than its limit
	f := newTestSocket(t, "udp4", "127.0.0.1:0", Config{ReadBuffer: want, WriteBuffer: want}).Features()
	if f.ReadBuffer < want || f.WriteBuffer < want || f.ReadBuffer > 2*want {
		t.Errorf("buffers of %d and %d bytes, want %d", f.ReadBuffer, f.WriteBuffer, want)
	}
	small := newTestSocket(t, "udp4", "127.0.0.1:0", Config{ReadBuffer: 1}).Features()
	if small.ReadBuffer < 10_000 {
		t.Errorf("a buffer shrank to %d bytes", small.ReadBuffer)
	}
}

func TestOverflowIsCounted(t *testing.T) {
	from, to := newTestSocket(t, "udp4", "127.0.0.1:0", Config{}), newTestSocket(t, "udp4", "127.0.0.1:0", Config{ReadBuffer: 1})
	for range 2000 {
		from.write(Message{Data: testTrain(1000), Remote: to.LocalAddr()})
	}
	if c := to.Counters(); c.OverflowDatagrams == 0 {
		t.Errorf("%+v: 2 MB went into a small buffer", c)
	}
}

func TestSmallPoolIsRefused(t *testing.T) {
	s := newTestSocket(t, "udp4", "127.0.0.1:0", Config{})
	if _, err := s.Read(make([]Received, 1), buf.NewPool(1<<10, 1)); err == nil {
		t.Error("a pool of 1 KiB is taken")
	}
}

// Several goroutines write; each one's datagrams arrive in its order.
func TestConcurrentWriters(t *testing.T) {
	for name, config := range testArms() {
		t.Run(name, func(t *testing.T) {
			const writers, trains, per, size = 4, 25, 8, 200
			from, to := newTestSocket(t, "udp4", "127.0.0.1:0", config), newTestSocket(t, "udp4", "127.0.0.1:0", config)
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := range trains {
						train := make([]byte, per*size)
						for j := range per {
							train[j*size], train[j*size+1] = byte(w), byte(i*per+j)
						}
						if err := from.Write(Message{Data: train, Segment: size, Remote: to.LocalAddr()}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			var next [writers]byte
			for _, d := range to.datagrams(writers*trains*per, Received{Local: to.LocalAddr(), Remote: from.LocalAddr()}) {
				if d[1] != next[d[0]] {
					t.Fatalf("writer %d: datagram %d, want %d", d[0], d[1], next[d[0]])
				}
				next[d[0]]++
			}
			wg.Wait()
		})
	}
}

func TestReadAndWriteDoNotAllocate(t *testing.T) {
	for name, config := range testArms() {
		for _, bind := range []string{"127.0.0.1", "::1"} {
			t.Run(name+"/"+bind, func(t *testing.T) {
				from, to := newTestSocket(t, "udp", net.JoinHostPort(bind, "0"), config), newTestSocket(t, "udp", net.JoinHostPort(bind, "0"), config)
				m := Message{Data: testTrain(20 * 1200), Segment: 1200, Local: from.LocalAddr(), Remote: to.LocalAddr(), ECN: wire.ECT0}
				into := make([]Received, 64)
				got := 0
				allocs := testing.AllocsPerRun(50, func() {
					if err := from.Write(m); err != nil {
						t.Fatal(err)
					}
					for got = 0; got < len(m.Data); {
						n, err := to.Read(into, to.pool)
						if err != nil {
							t.Fatal(err)
						}
						for _, r := range into[:n] {
							got += len(r.Data)
							r.Buffer.Release()
						}
					}
				})
				if allocs > 0 {
					t.Errorf("%v allocations for a train there and back, want 0", allocs)
				}
			})
		}
	}
}

// What was received stays as it is while it is kept, though others come into the
// same buffer.
func TestReceivedBytesStay(t *testing.T) {
	for name, config := range testArms() {
		t.Run(name, func(t *testing.T) {
			const rounds, per, size = 20, 5, 100
			from, to := newTestSocket(t, "udp4", "127.0.0.1:0", config), newTestSocket(t, "udp4", "127.0.0.1:0", config)
			train := testTrain(rounds * per * size)
			var kept []Received
			for i, got := 0, 0; i < rounds; i++ {
				from.write(Message{Data: train[i*per*size:][:per*size], Segment: size, Remote: to.LocalAddr()})
				for got < (i+1)*per*size {
					into := make([]Received, 64)
					n, err := to.Read(into, to.pool)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range into[:n] {
						got += len(r.Data)
					}
					kept = append(kept, into[:n]...)
				}
			}
			if n := to.pool.InUse(); n > 2+rounds*per*slotSize/to.pool.Size() {
				t.Errorf("%d buffers for %d bytes", n, len(train))
			}
			var all []byte
			for _, r := range kept {
				all = append(all, r.Data...)
				r.Buffer.Release()
			}
			if !bytes.Equal(all, train) {
				t.Error("the bytes have changed")
			}
		})
	}
}
