package capture

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/netns"
)

// net2 is two namespaces, a and b, joined by two veth pairs, one and two.
type net2 map[string]*netns.NS

func newNet2(t *testing.T) net2 {
	t.Helper()
	n := net2{}
	for _, node := range []string{"a", "b"} {
		name := "tqltest-" + rand.Text()[:8]
		ns, err := netns.Create(name, "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(ns.Close(), netns.Remove(name)); err != nil {
				t.Error(err)
			}
		})
		// IPv6 would announce itself at a moment of its own choice.
		quiet := link.Sysctl{Name: "net.ipv6.conf.default.disable_ipv6", Value: "1"}
		if err := link.SetSysctls(ns, []link.Sysctl{quiet}); err != nil {
			t.Fatal(err)
		}
		n[node] = ns
	}
	for i, name := range []string{"one", "two"} {
		end := func(node string, last byte) link.End {
			return link.End{
				NS: n[node], Name: name, MTU: 1500, MAC: net.HardwareAddr{2, 0x74, 0x71, 0, byte(i), last},
				Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 80, byte(i), last}), 24)},
			}
		}
		a, b := end("a", 1), end("b", 2)
		if err := link.CreateVeth(a, b); err != nil {
			t.Fatal(err)
		}
		for e, peer := range map[*link.End]link.End{&a: b, &b: a} {
			neighbours := []link.Neighbour{{Address: peer.Addresses[0].Addr(), MAC: peer.MAC}}
			if err := errors.Join(link.AddNeighbours(e.NS, name, neighbours), link.SetOffloads(e.NS, name, link.OffloadsOff)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

func (n net2) do(node string, f func() error) error {
	ns, ok := n[node]
	if !ok {
		return errors.New("no node " + node)
	}
	return ns.Do(f)
}

// echo is a client on a and a server on b that sends every datagram back.
type echo struct {
	t              *testing.T
	client, server net.PacketConn
	to             net.Addr
}

func (n net2) echo(t *testing.T, linkIndex byte) *echo {
	t.Helper()
	e := &echo{t: t}
	listen := func(node string, last byte) (c net.PacketConn) {
		if err := n.do(node, func() (err error) {
			c, err = net.ListenPacket("udp4", fmt.Sprintf("10.80.%d.%d:0", linkIndex, last))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	e.client, e.server = listen("a", 1), listen("b", 2)
	e.to = e.server.LocalAddr()
	return e
}

// exchange sends numbered datagrams there and back, one at a time.
func (e *echo) exchange(first, count, size int) {
	e.t.Helper()
	buf := make([]byte, size)
	for i := range count {
		binary.BigEndian.PutUint32(buf, uint32(first+i))
		_ = e.client.SetDeadline(time.Now().Add(5 * time.Second))
		_ = e.server.SetDeadline(time.Now().Add(5 * time.Second))
		_, err1 := e.client.WriteTo(buf, e.to)
		n, from, err2 := e.server.ReadFrom(buf)
		if err := errors.Join(err1, err2); err != nil {
			e.t.Fatal(err)
		}
		_, err1 = e.server.WriteTo(buf[:n], from)
		_, _, err2 = e.client.ReadFrom(buf)
		if err := errors.Join(err1, err2); err != nil {
			e.t.Fatal(err)
		}
	}
}

// record is a packet of a file, or of a test's expectations.
type record struct {
	point    string
	outgoing bool
	number   uint32
}

// content is what a file holds, read by other code than the one that wrote it.
type content struct {
	records    []record
	times      []time.Time
	lengths    []int // on the wire
	captured   []int
	statistics []pcapgo.NgInterfaceStatistics
	described  []pcapgo.NgInterface
}

const udpPayload = 14 + 20 + 8

func readFile(t *testing.T, path string) content {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	var c content
	for {
		data, info, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read %s after %d packets: %v", path, len(c.records), err)
		}
		at, err := r.Interface(info.InterfaceIndex)
		if err != nil || options.Flags == nil {
			t.Fatalf("packet %d: interface %v, flags %v", len(c.records), err, options.Flags)
		}
		number := uint32(0)
		if len(data) >= udpPayload+4 {
			number = binary.BigEndian.Uint32(data[udpPayload:])
		}
		c.records = append(c.records, record{at.Name, options.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound, number})
		c.times = append(c.times, info.Timestamp)
		c.lengths, c.captured = append(c.lengths, info.Length), append(c.captured, info.CaptureLength)
	}
	for i := range r.NInterfaces() {
		described, err := r.Interface(i)
		if err != nil {
			t.Fatal(err)
		}
		c.described, c.statistics = append(c.described, described), append(c.statistics, described.Statistics)
	}
	return c
}

func start(t *testing.T, n net2, c Config) *Capture {
	t.Helper()
	c.Path, c.Do = filepath.Join(t.TempDir(), "capture.pcapng"), n.do
	r, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Stop() })
	return r
}

func mustStop(t *testing.T, r *Capture) Summary {
	t.Helper()
	s, err := r.Stop()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Four points see what passes them, each in its direction, all in one order.
func TestCaptureAtPoints(t *testing.T) {
	n := newNet2(t)
	one, two := n.echo(t, 0), n.echo(t, 1)
	one.exchange(900, 3, 100) // before the capture: not in it
	r := start(t, n, Config{Comment: "a test", Points: []Point{
		{"a:one", "a", "one", Both}, {"one.up.out", "b", "one", In}, {"one.down.in", "b", "one", Out}, {"b:two", "b", "two", Both},
	}})
	const count = 40
	for i := range count {
		one.exchange(i, 1, 200)
		two.exchange(1000+i, 1, 1200)
	}
	summary := mustStop(t, r)
	got := readFile(t, summary.File)
	seen := map[string][]record{}
	for i, rec := range got.records {
		seen[rec.point] = append(seen[rec.point], rec)
		if i > 0 && got.times[i].Before(got.times[i-1]) {
			t.Fatalf("packet %d is older than the one before it, by %v", i, got.times[i-1].Sub(got.times[i]))
		}
		if want := map[bool]int{true: 1200, false: 200}[strings.HasSuffix(rec.point, "two")] + udpPayload; got.lengths[i] != want {
			t.Errorf("packet %d at %s has %d bytes, want %d", i, rec.point, got.lengths[i], want)
		}
	}
	for _, tt := range []struct {
		point string
		out   []bool // of each exchange
		first int
	}{
		{"a:one", []bool{true, false}, 0},
		{"one.up.out", []bool{false}, 0},
		{"one.down.in", []bool{true}, 0},
		{"b:two", []bool{false, true}, 1000},
	} {
		want := []record{}
		for i := range count {
			for _, out := range tt.out {
				want = append(want, record{tt.point, out, uint32(tt.first + i)})
			}
		}
		if fmt.Sprint(seen[tt.point]) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", tt.point, seen[tt.point], want)
		}
	}
	checkSummary(t, summary, got, 6*count)
}

// checkSummary holds the summary and the file's statistics against its packets.
func checkSummary(t *testing.T, s Summary, c content, packets int) {
	t.Helper()
	if s.Packets != uint64(packets) || len(c.records) != packets || s.Dropped != 0 || s.Ended != EndedByStop || s.Seconds <= 0 {
		t.Errorf("summary %+v with %d packets in the file, want %d, stopped", s, len(c.records), packets)
	}
	if info, err := os.Stat(s.File); err != nil || info.Size() != s.Bytes || info.Mode().Perm() != 0o600 {
		t.Errorf("file %v, %v: want %d bytes for its owner alone", info, err, s.Bytes)
	}
	for i, p := range s.Points {
		if st := c.statistics[i]; st.PacketsReceived != p.Received || st.PacketsDropped != 0 || p.Received != p.Packets || st.EndTime.Before(st.StartTime) || st.StartTime.IsZero() {
			t.Errorf("%s: statistics %+v, summary %+v", p.Name, st, p)
		}
		if d := c.described[i]; d.Name != p.Name || !strings.Contains(d.Description, "node "+p.Node) || d.Comment != "link "+p.Link {
			t.Errorf("%s is described as %+v", p.Name, d)
		}
	}
}

func TestLimits(t *testing.T) {
	n := newNet2(t)
	e := n.echo(t, 0)
	points := []Point{{"one.up.in", "a", "one", Out}}
	const block = 32 + 12 + 200 + udpPayload + 2 // padded to 4
	head := start(t, n, Config{Points: points})
	empty := mustStop(t, head).Bytes - 4*8 - 24 - 4*8 // less the statistics' block
	for _, tt := range []struct {
		name  string
		limit Config
		why   string
		want  int
	}{
		{"packets", Config{Packets: 7}, EndedByPackets, 7},
		{"size", Config{Size: empty + 5*block + block - 1}, EndedBySize, 5},
		{"size below one packet", Config{Size: 1}, EndedBySize, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.limit
			c.Points = points
			r := start(t, n, c)
			e.exchange(0, 20, 200)
			select {
			case <-r.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("it did not end by itself")
			}
			s := mustStop(t, r)
			if got := readFile(t, s.File); len(got.records) != tt.want || s.Packets != uint64(tt.want) || s.Ended != tt.why {
				t.Errorf("%d packets in the file, summary %+v; want %d, ended by %s", len(got.records), s, tt.want, tt.why)
			}
		})
	}
}

// What passed before the end of the duration is in the file, and nothing later.
func TestDuration(t *testing.T) {
	n := newNet2(t)
	e := n.echo(t, 0)
	const duration = 300 * time.Millisecond
	r := start(t, n, Config{Points: []Point{{"a:one", "a", "one", Both}}, Duration: duration})
	for i := 0; ; i++ {
		select {
		case <-r.Done():
		default:
			e.exchange(i, 1, 100)
			continue
		}
		break
	}
	s := mustStop(t, r)
	got := readFile(t, s.File)
	end := s.Began.Add(duration)
	if len(got.records) == 0 || s.Ended != EndedByDuration || got.times[len(got.times)-1].After(end) {
		t.Errorf("%d packets, ended by %q, last %v, want some until %v", len(got.records), s.Ended, got.times[len(got.times)-1], end)
	}
}

func TestSnaplen(t *testing.T) {
	n := newNet2(t)
	e := n.echo(t, 0)
	r := start(t, n, Config{Points: []Point{{"one.up.out", "b", "one", In}}, Snaplen: 60})
	e.exchange(3, 1, 1000)
	got := readFile(t, mustStop(t, r).File)
	if len(got.records) != 1 || got.captured[0] != 60 || got.lengths[0] != 1000+udpPayload || got.records[0].number != 3 {
		t.Errorf("got %+v, want one packet with 60 bytes of %d", got, 1000+udpPayload)
	}
}

// While it runs the file can be read: all of it that is older than a moment.
func TestRunningCaptureIsReadable(t *testing.T) {
	n := newNet2(t)
	e := n.echo(t, 0)
	r := start(t, n, Config{Points: []Point{{"a:one", "a", "one", Both}}})
	e.exchange(0, 50, 100)
	var got content
	for range 500 {
		if got = readFile(t, r.config.Path); len(got.records) == 100 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if p := r.Progress(); len(got.records) != 100 || p.Packets != 100 || p.Points[0].Received != 100 {
		t.Errorf("%d packets in the file, progress %+v, want 100", len(got.records), p)
	}
}

// The secrets stand before the first packet, and the packets are the same.
func TestSecretsStandFirst(t *testing.T) {
	n := newNet2(t)
	e := n.echo(t, 0)
	log := []byte("CLIENT_RANDOM " + randomA + " " + secret + "\nnonsense\n")
	r := start(t, n, Config{
		Points:  []Point{{"a:one", "a", "one", Both}},
		Secrets: func() (Secrets, error) { return ParseSecrets(log), nil },
	})
	e.exchange(0, 10, 100)
	s := mustStop(t, r)
	if got := readFile(t, s.File); len(got.records) != 20 || s.Sessions != 1 || s.Skipped != 1 {
		t.Errorf("%d packets, summary %+v, want 20 and one session", len(got.records), s)
	}
	types := blockTypes(t, s.File)
	if want := []uint32{0x0a0d0d0a, 1, 10, 6}; len(types) < 4 || fmt.Sprint(types[:4]) != fmt.Sprint(want) {
		t.Errorf("blocks %x, want the section, the interface, the secrets, then packets", types)
	}
	if _, err := os.Stat(s.File + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is still there: %v", err)
	}
}

// A key log that cannot be read costs the secrets, not the packets.
func TestMissingSecretsLeaveThePackets(t *testing.T) {
	n := newNet2(t)
	e := n.echo(t, 0)
	r := start(t, n, Config{
		Points:  []Point{{"a:one", "a", "one", Both}},
		Secrets: func() (Secrets, error) { return ReadSecrets("/no/such/file") },
	})
	e.exchange(0, 10, 100)
	s, err := r.Stop()
	if err == nil || !strings.Contains(err.Error(), "/no/such/file") {
		t.Errorf("Stop = %v, want it to name the key log", err)
	}
	if got := readFile(t, s.File); len(got.records) != 20 {
		t.Errorf("%d packets in the file, want 20", len(got.records))
	}
}

// blockTypes walks through a file's blocks.
func blockTypes(t *testing.T, path string) []uint32 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var types []uint32
	for len(data) > 0 {
		length := binary.LittleEndian.Uint32(data[4:])
		if length < 12 || length%4 != 0 || int(length) > len(data) || !bytes.Equal(data[length-4:length], data[4:8]) {
			t.Fatalf("%s: after %d blocks comes one of %d bytes, with %d left", path, len(types), length, len(data))
		}
		types = append(types, binary.LittleEndian.Uint32(data))
		data = data[length:]
	}
	return types
}

// A ring that is too small for a flood loses packets, and every one is accounted for.
func TestDropsAreCounted(t *testing.T) {
	n := newNet2(t)
	e := n.echo(t, 0)
	sent := uint64(0)
	for range 20 { // until the capture was too slow once
		r := start(t, n, Config{Points: []Point{{"one.up.in", "a", "one", Out}}, Ring: 2 * ringBlock})
		const packets = 20000
		for range packets {
			if _, err := e.client.WriteTo(make([]byte, 1400), e.to); err != nil {
				t.Fatal(err)
			}
		}
		sent += packets
		s := mustStop(t, r)
		got := readFile(t, s.File)
		if p := s.Points[0]; p.Received != packets || p.Packets+p.Dropped != packets || len(got.records) != int(p.Packets) ||
			got.statistics[0].PacketsDropped != p.Dropped || s.Dropped != p.Dropped {
			t.Fatalf("%d packets sent, %d in the file, summary %+v, statistics %+v", packets, len(got.records), s, got.statistics[0])
		}
		if s.Dropped > 0 {
			return
		}
	}
	t.Errorf("%d packets through a ring of %d bytes lost none: is the ring as small as asked?", sent, 2*ringBlock)
}

// A vanished interface ends the capture with an error and a whole file.
func TestVanishedInterface(t *testing.T) {
	n := newNet2(t)
	e := n.echo(t, 0)
	r := start(t, n, Config{Points: []Point{{"a:two", "a", "two", Both}, {"a:one", "a", "one", Both}}})
	e.exchange(0, 5, 100)
	h, err := n["a"].Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l, err := h.LinkByName("one")
	if err == nil {
		err = h.LinkSetDown(l) // alone it ends nothing
	}
	if err == nil {
		err = h.LinkDel(l)
	}
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the capture goes on")
	}
	s, err := r.Stop()
	if err == nil || !strings.Contains(err.Error(), "a:one") || s.Ended != EndedByFailure {
		t.Errorf("Stop = %+v, %v, want an error that names the point", s, err)
	}
	if got := readFile(t, s.File); len(got.records) != 10 {
		t.Errorf("%d packets in the file, want 10", len(got.records))
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	n := newNet2(t)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	point := []Point{{"a:one", "a", "one", Both}}
	for _, tt := range []struct {
		name string
		c    Config
		want string
	}{
		{"no point", Config{Path: path + "x"}, "no point"},
		{"no file", Config{Points: point}, "no file"},
		{"a limit below zero", Config{Path: path + "x", Points: point, Size: -1}, "negative"},
		{"too many points", Config{Path: path + "x", Points: make([]Point, 2000)}, "2000 points"},
		{"a file that is there", Config{Path: path, Points: point}, "is there already"},
		{"a folder that is not", Config{Path: path + "x/y", Points: point}, "create capture file"},
		{"no such interface", Config{Path: path + "x", Points: []Point{{"a:three", "a", "three", Both}}}, "point a:three"},
		{"no such node", Config{Path: path + "x", Points: []Point{{"c:one", "c", "one", Both}}}, "no node c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.Do = n.do
			if _, err := Start(tt.c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start = %v, want %q in it", err, tt.want)
			}
			if _, err := os.Stat(path + "x"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file was left: %v", err)
			}
		})
	}
	if data, err := os.ReadFile(path); string(data) != "mine" {
		t.Errorf("the file that was there holds %q, %v", data, err)
	}
}
