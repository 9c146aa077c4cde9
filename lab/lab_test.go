package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab/netns"
	"github.com/tquiclab/tquiclab/topologies"
)

// testDirPrefix begins every state folder of this process's tests; a unix socket's
// path in it must stay under 108 bytes, which t.TempDir's may not.
func testDirPrefix() string { return fmt.Sprintf("tqlt-%d-", os.Getpid()) }

func testHost(dir string) Host {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	// Race builds would end a second late each, relays above all.
	environment := append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return Host{Dir: dir, Relay: []string{exe, "relay"}, Conductor: []string{exe, "conduct"}, Environment: environment}
}

// newHost returns a Host with a folder of its own, and takes down at the end
// whatever a failed test leaves in it.
func newHost(t testing.TB) Host {
	t.Helper()
	parent, err := os.MkdirTemp("", testDirPrefix())
	if err != nil {
		t.Fatal(err)
	}
	h := testHost(filepath.Join(parent, "run"))
	t.Cleanup(func() {
		if _, err := h.DownAll(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("clean up: %v", err)
		}
		if err := os.RemoveAll(parent); err != nil {
			t.Error(err)
		}
	})
	return h
}

// twoLinks is an impaired link and a plain one between two nodes.
func twoLinks() topologies.Topology {
	address := func(link, end string) []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix("10.77." + link + "." + end + "/24"), netip.MustParsePrefix("fd74:7171:0:" + link + "::" + end + "/64")}
	}
	return topologies.Topology{
		Name: "two-links", Seed: 1,
		Nodes: []topologies.Node{{Name: "client"}, {Name: "server"}},
		Links: []topologies.Link{
			{
				Name: "lte", Endpoints: [2]string{"client", "server"}, MTU: 1400,
				Up:        emulation.Impairments{Rate: 10e6, Delay: 5 * time.Millisecond},
				Down:      emulation.Impairments{Rate: 20e6, Delay: 5 * time.Millisecond},
				Addresses: [2][]netip.Prefix{address("0", "1"), address("0", "2")},
			},
			{
				Name: "lan", Endpoints: [2]string{"client", "server"}, MTU: 9000,
				Addresses: [2][]netip.Prefix{address("1", "1"), address("1", "2")},
			},
		},
	}
}

func uniqueName() string { return "tqlt" + strings.ToLower(rand.Text()[:6]) }

func mustUp(t *testing.T, h Host, c UpConfig) UpResult {
	t.Helper()
	r, err := h.Up(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantNothing fails when anything of the lab is there.
func wantNothing(t *testing.T, h Host, name string) {
	t.Helper()
	names, err := netns.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		foreign := n == NodeNamespace(name, "foreign") // a test's own file
		if !foreign && (strings.HasPrefix(n, NodeNamespace(name, "")) || strings.HasPrefix(n, namePrefix+name+".")) {
			t.Errorf("namespace %s is still there", n)
		}
	}
	mine, _ := h.ofLab(name)
	processes, err := markedProcesses(mine)
	if err != nil || len(processes) > 0 {
		t.Errorf("processes still there: %v, %v", processes, err)
	}
	if _, err := os.Stat(h.labDir(name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("state folder: %v, want it gone", err)
	}
}

// wantEcho sends a datagram over the link from client to server and back.
func wantEcho(t *testing.T, l *Lab, linkName string) {
	t.Helper()
	top := l.Topology()
	i := slices.IndexFunc(top.Links, func(l topologies.Link) bool { return l.Name == linkName })
	for _, family := range []int{0, 1} {
		var server, client net.PacketConn
		clientAddr, serverAddr := top.Links[i].Addresses[0][family].Addr(), top.Links[i].Addresses[1][family].Addr()
		if err := errors.Join(
			l.Do("server", func() (err error) {
				server, err = net.ListenPacket("udp", netip.AddrPortFrom(serverAddr, 7777).String())
				return
			}),
			l.Do("client", func() (err error) {
				client, err = net.ListenPacket("udp", netip.AddrPortFrom(clientAddr, 0).String())
				return
			}),
		); err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		defer client.Close()
		buf := make([]byte, 100)
		deadline := time.Now().Add(5 * time.Second)
		for _, c := range []net.PacketConn{server, client} {
			if err := c.SetDeadline(deadline); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := client.WriteTo([]byte("there"), server.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		n, from, err := server.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%s: server got nothing: %v", linkName, err)
		}
		if _, err := server.WriteTo(buf[:n], from); err != nil {
			t.Fatal(err)
		}
		if n, _, err = client.ReadFrom(buf); err != nil || string(buf[:n]) != "there" {
			t.Fatalf("%s: client got %q, %v, want its datagram back", linkName, buf[:n], err)
		}
	}
}

func TestUpCarriesTrafficAndDownLeavesNothing(t *testing.T) {
	h, name := newHost(t), uniqueName()
	r := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay})
	if r.AlreadyUp || r.Repaired || r.Lab.Backend() != BackendRelay {
		t.Errorf("first Up = %+v, backend %s", r, r.Lab.Backend())
	}
	wantEcho(t, r.Lab, "lte")
	wantEcho(t, r.Lab, "lan")

	out, err := exec.Command("ip", "netns", "exec", NodeNamespace(name, "client"), "ip", "-o", "addr").CombinedOutput()
	for _, want := range []string{" lte ", "10.77.0.1/24", " lan ", "10.77.1.1/24", "fd74:7171:0:1::1/64"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("ip addr lacks %q: %v\n%s", want, err, out)
		}
	}
	wires, err := r.Lab.Wires(t.Context())
	if err != nil || len(wires) != 1 || wires[0].Link != "lte" {
		t.Fatalf("Wires() = %+v, %v, want one wire, lte", wires, err)
	}
	// One datagram each way in each family; MLD reports of the interfaces may join them.
	if up, down := wires[0].Up, wires[0].Down; up.PassedPackets < 2 || down.PassedPackets < 2 || up.BackendLost+down.BackendLost > 0 {
		t.Errorf("wire counters: up %+v, down %+v, want at least 2 passed each way and none lost", up, down)
	}

	again := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay})
	if !again.AlreadyUp {
		t.Errorf("second Up = %+v, want AlreadyUp", again)
	}
	wantEcho(t, again.Lab, "lte")

	down, err := h.Down(t.Context(), name)
	if err != nil || !down.WasUp || len(down.Namespaces) != 3 || len(down.Ended) != 1 {
		t.Errorf("Down = %+v, %v, want 3 namespaces removed and the relay ended", down, err)
	}
	wantNothing(t, h, name)
	if _, err := os.Stat(h.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("state folder of the host: %v, want it gone with the last lab", err)
	}
}

func TestUpRefusesAnotherTopologyUnderTheName(t *testing.T) {
	h, name := newHost(t), uniqueName()
	mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name})
	other := twoLinks()
	other.Links[0].Down.Rate = 30e6
	_, err := h.Up(t.Context(), UpConfig{Topology: other, Name: name})
	if err == nil || !strings.Contains(err.Error(), "tquiclab down "+name) {
		t.Errorf("Up of another topology = %v, want an error that says how to take the first down", err)
	}
}

func TestTwoLabsAtOnce(t *testing.T) {
	h, a, b := newHost(t), uniqueName(), uniqueName()
	labA := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: a}).Lab
	labB := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: b}).Lab
	wantEcho(t, labA, "lte")
	wantEcho(t, labB, "lte")
	if _, err := h.Down(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, h, a)
	wantEcho(t, labB, "lte")
	wantEcho(t, labB, "lan")
}

func TestHostsKnowNothingOfEachOthersLabs(t *testing.T) {
	mine, other, name := newHost(t), newHost(t), uniqueName()
	lab := mustUp(t, mine, UpConfig{Topology: twoLinks(), Name: name, Backend: BackendRelay}).Lab
	if _, err := other.Down(t.Context(), name); err != nil {
		t.Error(err)
	}
	if all, err := other.DownAll(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("DownAll of the other host = %+v, %v, want it to find nothing", all, err)
	}
	if reaped, err := other.Reap(t.Context()); err != nil || len(reaped) != 0 {
		t.Errorf("Reap of the other host = %+v, %v, want it to find nothing", reaped, err)
	}
	wantEcho(t, lab, "lte")
	wantEcho(t, lab, "lan")
}

func TestDownOfNothing(t *testing.T) {
	h := newHost(t)
	r, err := h.Down(t.Context(), uniqueName())
	if err != nil || r.WasUp {
		t.Errorf("Down of nothing = %+v, %v, want no error and nothing found", r, err)
	}
	if all, err := h.DownAll(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("DownAll of nothing = %+v, %v", all, err)
	}
	if _, err := h.Down(t.Context(), "../etc"); err == nil {
		t.Error("Down took a path for a name")
	}
}

func TestDownInParallel(t *testing.T) {
	h, name := newHost(t), uniqueName()
	mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name})
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { _, err := h.Down(t.Context(), name); errs <- err }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	wantNothing(t, h, name)
}

func TestUpLeavesAForeignNamespaceAlone(t *testing.T) {
	h, name := newHost(t), uniqueName()
	foreign := NodeNamespace(name, "server")
	ns, err := netns.Create(foreign, "somebody else's")
	if err != nil {
		t.Fatal(err)
	}
	defer netns.Remove(foreign)
	defer ns.Close()
	_, err = h.Up(t.Context(), UpConfig{Topology: twoLinks(), Name: name})
	if err == nil || !strings.Contains(err.Error(), foreign) {
		t.Errorf("Up = %v, want an error that names %s", err, foreign)
	}
	if _, err := h.Down(t.Context(), name); err != nil {
		t.Error(err)
	}
	if got, err := readNamespace(foreign); err != nil || got.inode == 0 {
		t.Errorf("the foreign namespace: %+v, %v, want it untouched", got, err)
	}
	if _, err := readNamespace(NodeNamespace(name, "client")); err != nil {
		t.Error(err)
	}
	if names, _ := netns.Names(); slices.Contains(names, NodeNamespace(name, "client")) {
		t.Error("the failed Up left its first namespace")
	}
}

func TestDownNamesStrangersAndLeavesThemAlone(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name}).Lab
	stranger := exec.Command("sleep", "60")
	if err := lab.Do("client", stranger.Start); err != nil { // no mark
		t.Fatal(err)
	}
	defer func() { stranger.Process.Kill(); stranger.Wait() }()
	ours := exec.Command("sleep", "60")
	if err := lab.Start("server", ours); err != nil {
		t.Fatal(err)
	}
	r, err := h.Down(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := ours.Wait(); err == nil {
		t.Error("the lab's own process ended by itself, want it ended by Down")
	}
	if len(r.Left) != 1 || r.Left[0].PID != stranger.Process.Pid {
		t.Errorf("Left = %v, want the stranger %d", r.Left, stranger.Process.Pid)
	}
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger: %v, want it alive", err)
	}
	wantNothing(t, h, name)
}

func TestOpenAndDoAfterDown(t *testing.T) {
	h, name := newHost(t), uniqueName()
	if _, err := h.Open(name); !errors.Is(err, ErrNotUp) {
		t.Errorf("Open of nothing = %v, want ErrNotUp", err)
	}
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name}).Lab
	if err := lab.Do("nobody", func() error { return nil }); err == nil {
		t.Error("Do in a node that does not exist")
	}
	if _, err := h.Down(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if err := lab.Do("client", func() error { return nil }); err == nil || !strings.Contains(err.Error(), "taken down") {
		t.Errorf("Do after Down = %v, want it to say that the lab may have been taken down", err)
	}
}

func TestReserveKeepsASecondMeasurementOut(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name}).Lab
	release, err := lab.Reserve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Reserve(t.Context()); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "--name") {
		t.Errorf("second Reserve = %v, want ErrBusy and the way out", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	release, err = lab.Reserve(t.Context())
	if err != nil {
		t.Fatalf("Reserve after the release: %v", err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}

func TestUsePathsChoosesWhatMPTCPAnnounces(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name}).Lab
	for _, tt := range []struct{ links, want []string }{
		{nil, []string{"10.77.0.2", "10.77.1.2"}},
		{[]string{"lan"}, []string{"10.77.1.2"}},
		{nil, []string{"10.77.0.2", "10.77.1.2"}},
	} {
		paths := slices.DeleteFunc(twoLinks().Paths("client", "server"), func(p topologies.Path) bool { return !slices.Contains(tt.links, p.Name) })
		if err := lab.UsePaths(paths...); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ip", "-n", NodeNamespace(name, "server"), "mptcp", "endpoint").CombinedOutput()
		if err != nil {
			t.Fatalf("ip mptcp endpoint: %v: %s", err, out)
		}
		var got []string
		for line := range strings.Lines(string(out)) {
			got = append(got, strings.Fields(line)[0])
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("UsePaths(%v): the server announces %v, want %v", tt.links, got, tt.want)
		}
	}
}

func TestUpSaysThatASocketsPathIsTooLong(t *testing.T) {
	h := newHost(t)
	h.Dir = filepath.Join(h.Dir, strings.Repeat("x", 90))
	_, err := h.Up(t.Context(), UpConfig{Topology: twoLinks(), Name: uniqueName(), Backend: BackendRelay})
	if err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("Up = %v, want it to ask for a shorter name", err)
	}
}

func TestFactsReadBack(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: twoLinks(), Name: name}).Lab
	facts, err := lab.Facts()
	if err != nil {
		t.Fatal(err)
	}
	client := facts.Nodes["client"]
	if got := client.Interfaces["lte"]; got.MTU != 1400 || got.Offloads["tx-tcp-segmentation"] || got.MAC != "02:74:71:00:00:01" {
		t.Errorf("client lte = %+v, want mtu 1400 and segmentation off", got)
	}
	if got := client.Interfaces["lan"]; got.MTU != 9000 || !got.Offloads["tx-tcp-segmentation"] {
		t.Errorf("client lan = %+v, want mtu 9000 and segmentation on", got)
	}
	if client.Sysctls["net.ipv4.tcp_no_metrics_save"] != "1" {
		t.Errorf("sysctls = %v", client.Sysctls)
	}
}

// sendNumbered sends n datagrams from client to server over the link and returns
// how many arrived within a second after the last.
func sendNumbered(t *testing.T, l *Lab, linkName string, n int) int {
	t.Helper()
	top := l.Topology()
	i := slices.IndexFunc(top.Links, func(l topologies.Link) bool { return l.Name == linkName })
	var server, client net.PacketConn
	if err := errors.Join(
		l.Do("server", func() (err error) {
			server, err = net.ListenPacket("udp", netip.AddrPortFrom(top.Links[i].Addresses[1][0].Addr(), 7778).String())
			return
		}),
		l.Do("client", func() (err error) {
			client, err = net.ListenPacket("udp", netip.AddrPortFrom(top.Links[i].Addresses[0][0].Addr(), 0).String())
			return
		}),
	); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	defer client.Close()
	for k := range n {
		if _, err := client.WriteTo([]byte{byte(k >> 8), byte(k)}, server.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[[2]byte]bool{}
	buf := make([]byte, 2)
	for {
		if err := server.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.ReadFrom(buf); err != nil {
			return len(seen)
		}
		if key := [2]byte(buf); seen[key] {
			t.Errorf("datagram %v came twice", key)
		} else {
			seen[key] = true
		}
	}
}
