package enginetest

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// pathCount is how many links the two nodes have between them.
const pathCount = 2

// twoNodes is a dialler and a listener with two links.
type twoNodes struct {
	dialler, listener *node
	creds             credentials
}

// newTwoNodes makes the nodes. Link i is path0 or path1 in both, 10.77.i.1 at the
// dialler and 10.77.i.2 at the listener.
func newTwoNodes(t testing.TB) *twoNodes {
	t.Helper()
	creds, err := newCredentials()
	if err != nil {
		t.Fatal(err)
	}
	n := &twoNodes{dialler: startNode(t), listener: startNode(t), creds: creds}
	n.dialler.run(t, "ip link set lo up")
	n.listener.run(t, "ip link set lo up")
	for i := range pathCount {
		n.dialler.run(t, fmt.Sprintf("ip link add path%d type veth peer name path%d netns %d", i, i, n.listener.cmd.Process.Pid))
		n.dialler.run(t, fmt.Sprintf("ip addr add 10.77.%d.1/24 dev path%d", i, i))
		n.listener.run(t, fmt.Sprintf("ip addr add 10.77.%d.2/24 dev path%d", i, i))
		n.dialler.run(t, fmt.Sprintf("ip link set path%d up", i))
		n.listener.run(t, fmt.Sprintf("ip link set path%d up", i))
	}
	// What a lab gives MPTCP's path manager; other engines do not care.
	n.dialler.run(t, "ip mptcp limits set subflows 4 add_addr_accepted 4")
	n.listener.run(t, "ip mptcp limits set subflows 4 add_addr_accepted 4")
	n.listener.run(t, "ip mptcp endpoint add 10.77.1.2 dev path1 signal")
	return n
}

// shape limits both directions of link i.
func (n *twoNodes) shape(t testing.TB, i int, rate string) {
	t.Helper()
	for _, end := range []*node{n.dialler, n.listener} {
		end.run(t, fmt.Sprintf("tc qdisc replace dev path%d root tbf rate %s burst 32kb latency 100ms", i, rate))
	}
}

// listen starts the engine at the listener and returns the paths for a dialler.
func (n *twoNodes) listen(t testing.TB, name string, sessions int, congestion string) []engine.Path {
	t.Helper()
	s := setup{Engine: name, Credentials: n.creds, Sessions: sessions, Congestion: congestion}
	for i := range pathCount {
		s.Paths = append(s.Paths, engine.Path{
			Link: linkName(i), Local: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, byte(i), 2}), 0),
		})
	}
	n.listener.order(t, order{Listen: &s})
	r := n.listener.reply(t)
	if r.Error != "" {
		t.Fatalf("listen: %s", r.Error)
	}
	for i := range r.Paths {
		r.Paths[i].Remote = r.Paths[i].Local
		r.Paths[i].Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, byte(i), 1}), 0)
	}
	return r.Paths
}

// start makes the dialler dial and transfer. The replies come from both nodes.
func (n *twoNodes) start(t testing.TB, name string, paths []engine.Path, w workload.Bulk, role workload.Role) {
	t.Helper()
	n.dialler.order(t, order{Bulk: &bulk{
		setup:    setup{Engine: name, Paths: paths, Credentials: n.creds, Sessions: 1},
		Workload: w, Role: role,
	}})
}

// received returns the bytes that link i has brought to the node.
func received(t testing.TB, n *node, i int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", n.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("read a node's counters: %v", err)
	}
	for line := range strings.Lines(string(data)) {
		name, counters, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok && name == fmt.Sprintf("path%d", i) {
			bytes, err := strconv.ParseInt(strings.Fields(counters)[0], 10, 64)
			if err != nil {
				t.Fatalf("read path%d's counter: %v", i, err)
			}
			return bytes
		}
	}
	t.Fatalf("the node has no path%d", i)
	return 0
}

// TwoPaths runs a multipath engine over two real links, both ways, and takes a link
// away under it.
func TwoPaths(t *testing.T, e engine.Engine) {
	for _, role := range []workload.Role{workload.Send, workload.Receive} {
		t.Run("both paths carry data, dialler's role "+role.String(), func(t *testing.T) {
			bothCarry(t, e, role)
		})
	}
	for i := range pathCount {
		for _, end := range []string{"dialler", "listener"} {
			t.Run(fmt.Sprintf("path %d goes down at the %s", i, end), func(t *testing.T) {
				pathDies(t, e, i, end)
			})
		}
	}
}

// receiver returns the node that the data goes to.
func (n *twoNodes) receiver(role workload.Role) *node {
	if role == workload.Receive {
		return n.dialler
	}
	return n.listener
}

func bothCarry(t *testing.T, e engine.Engine, role workload.Role) {
	const size = 12 << 20
	n := newTwoNodes(t)
	n.shape(t, 0, "60mbit")
	n.shape(t, 1, "60mbit")
	paths := n.listen(t, e.Name(), 1, "")
	n.start(t, e.Name(), paths, workload.Bulk{Seed: 1, Bytes: size, Streams: 1}, role)
	d, l := n.finish(t)
	for i := range pathCount {
		if got := received(t, n.receiver(role), i); got < size/10 {
			t.Errorf("path %d brought %d of %d bytes, want a tenth at least", i, got, size)
		}
	}
	sender := d
	if role == workload.Receive {
		sender = l
	}
	for i, p := range sender.Stats[0].Paths {
		if p.Dead || p.SentPackets < size/10/65536 || p.SRTT <= 0 {
			t.Errorf("the sender's statistics of path %d: %+v", i, p)
		}
	}
}

// finish waits for both ends and wants the transfer intact.
func (n *twoNodes) finish(t testing.TB) (dialler, listener reply) {
	t.Helper()
	dialler, listener = n.dialler.reply(t), n.listener.reply(t)
	if dialler.Error != "" || listener.Error != "" {
		t.Fatalf("dialler: %s; listener: %s", dialler.Error, listener.Error)
	}
	d, l := dialler.Report, listener.Report
	if !d.Intact || !l.Intact || d.Bytes != l.Bytes {
		t.Fatalf("dialler: %d bytes, %q; listener: %d bytes, %q", d.Bytes, d.Reason, l.Bytes, l.Reason)
	}
	return dialler, listener
}

func pathDies(t *testing.T, e engine.Engine, path int, where string) {
	const size = 24 << 20
	n := newTwoNodes(t)
	n.shape(t, 0, "60mbit")
	n.shape(t, 1, "60mbit")
	paths := n.listen(t, e.Name(), 1, "")
	n.start(t, e.Name(), paths, workload.Bulk{Seed: 2, Bytes: size, Streams: 1}, workload.Receive)
	awaitBytes(t, n.dialler, size/8)
	// The node itself is busy with the transfer: its namespace is entered from outside.
	end := n.dialler
	if where == "listener" {
		end = n.listener
	}
	end.enter(t, "ip", "link", "set", "path"+strconv.Itoa(path), "down")
	d, l := n.finish(t)
	t.Logf("%.0f Mbit/s, longest gap %v", float64(d.Report.Bytes)*8e3/float64(d.Report.LastNS-l.Report.StartNS), d.Report.MaxGap)
	for i, p := range l.Stats[0].Paths {
		if p.Dead != (i == path) {
			t.Errorf("the sender's statistics call path %d dead: %t, want %t\n%+v", i, p.Dead, i == path, p)
		}
	}
}

// awaitBytes waits until every link has brought so many bytes to the node.
func awaitBytes(t testing.TB, n *node, bytes int64) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		least := received(t, n, 0)
		for i := range pathCount {
			least = min(least, received(t, n, i))
		}
		if least >= bytes {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("a link has brought %d bytes, want %d", least, bytes)
		}
	}
}
