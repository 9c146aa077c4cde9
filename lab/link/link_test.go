package link

import (
	"crypto/rand"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/netns"
)

func newNS(t *testing.T) *netns.NS {
	t.Helper()
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
	return ns
}

func mac(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0x74, 0x71, 0, 0, last} }

func pair(a, b *netns.NS) (End, End) {
	return End{NS: a, Name: "lte", MTU: 1400, MAC: mac(1), Alias: "tquiclab:test", Addresses: []netip.Prefix{
			netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("fd74:7171::1/64"),
		}},
		End{NS: b, Name: "lte", MTU: 1400, MAC: mac(2), Alias: "tquiclab:test", Addresses: []netip.Prefix{
			netip.MustParsePrefix("10.77.0.2/24"), netip.MustParsePrefix("fd74:7171::2/64"),
		}}
}

// output runs ip-netns(8) inside the namespace: the reading by other eyes.
func output(t *testing.T, ns *netns.NS, command ...string) string {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", ns.Name()}, command...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", command, err, out)
	}
	return string(out)
}

func TestCreateVeth(t *testing.T) {
	a, b := newNS(t), newNS(t)
	for _, ns := range []*netns.NS{a, b} {
		if err := SetSysctls(ns, NodeSysctls()); err != nil {
			t.Fatal(err)
		}
	}
	endA, endB := pair(a, b)
	if err := CreateVeth(endA, endB); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		ns   *netns.NS
		want []string
	}{
		{a, []string{"lte@", "mtu 1400", "10.77.0.1/24", "fd74:7171::1/64", "02:74:71:00:00:01", "alias tquiclab:test"}},
		{b, []string{"lte@", "mtu 1400", "10.77.0.2/24", "fd74:7171::2/64", "02:74:71:00:00:02", "alias tquiclab:test"}},
	} {
		got := output(t, tt.ns, "ip", "-details", "addr", "show", "dev", "lte")
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q:\n%s", tt.ns.Name(), want, got)
			}
		}
		// The link-local address, which nobody uses, may take the kernel a moment.
		for line := range strings.Lines(got) {
			if strings.Contains(line, "fd74:") && strings.Contains(line, "tentative") {
				t.Errorf("an address still waits for duplicate detection:\n%s", got)
			}
		}
	}
	// The addresses work at once, both families.
	for network, address := range map[string]string{"udp4": "10.77.0.1:0", "udp6": "[fd74:7171::1]:0"} {
		if err := a.Do(func() error {
			c, err := net.ListenPacket(network, address)
			if err != nil {
				return err
			}
			return c.Close()
		}); err != nil {
			t.Errorf("listen on %s: %v", address, err)
		}
	}
}

// The ends of a pair have indexes that differ, else the kernel tells of a lost carrier up
// to a second late. A name that is taken is still an error.
func TestVethEndsDifferInIndex(t *testing.T) {
	a, b := newNS(t), newNS(t)
	endA, endB := pair(a, b)
	if err := CreateVeth(endA, endB); err != nil {
		t.Fatal(err)
	}
	index := func(ns *netns.NS) string {
		number, _, _ := strings.Cut(output(t, ns, "ip", "-oneline", "link", "show", "dev", "lte"), ":")
		return number
	}
	if index(a) == index(b) {
		t.Errorf("both ends have index %s", index(a))
	}
	if err := CreateVeth(endA, endB); !errors.Is(err, unix.EEXIST) {
		t.Errorf("the same pair again: %v, want EEXIST", err)
	}
}

func TestCreateVethLeavesNothingOnError(t *testing.T) {
	a, b := newNS(t), newNS(t)
	endA, endB := pair(a, b)
	endB.Addresses = append(endB.Addresses, endB.Addresses[0]) // the second add is refused
	err := CreateVeth(endA, endB)
	if err == nil || !strings.Contains(err.Error(), "10.77.0.2/24") {
		t.Fatalf("CreateVeth = %v, want an error that names the address", err)
	}
	for _, ns := range []*netns.NS{a, b} {
		if got := output(t, ns, "ip", "-o", "link"); strings.Contains(got, "lte") {
			t.Errorf("%s still has: %s", ns.Name(), got)
		}
	}
}

func TestNeighboursArePermanent(t *testing.T) {
	a, b := newNS(t), newNS(t)
	endA, endB := pair(a, b)
	if err := CreateVeth(endA, endB); err != nil {
		t.Fatal(err)
	}
	var peers []Neighbour
	for _, p := range endB.Addresses {
		peers = append(peers, Neighbour{Address: p.Addr(), MAC: endB.MAC})
	}
	if err := AddNeighbours(a, "lte", peers); err != nil {
		t.Fatal(err)
	}
	got := output(t, a, "ip", "neigh")
	for _, want := range []string{"10.77.0.2 dev lte lladdr 02:74:71:00:00:02 PERMANENT", "fd74:7171::2 dev lte lladdr 02:74:71:00:00:02 PERMANENT"} {
		if !strings.Contains(got, want) {
			t.Errorf("neighbours lack %q:\n%s", want, got)
		}
	}
}

func TestSetOffloads(t *testing.T) {
	a, b := newNS(t), newNS(t)
	endA, endB := pair(a, b)
	if err := CreateVeth(endA, endB); err != nil {
		t.Fatal(err)
	}
	before, err := Offloads(a, "lte")
	if err != nil || !before["tx-tcp-segmentation"] || !before["tx-udp-segmentation"] {
		t.Fatalf("offloads of a new veth = %v, %v, want segmentation on", before, err)
	}
	tcp := []string{"tx-checksum-ip-generic", "tx-generic-segmentation", "tx-scatter-gather", "tx-tcp-ecn-segmentation", "tx-tcp-segmentation", "tx-tcp6-segmentation"}
	for _, step := range []struct {
		set  OffloadSet
		want []string // on
	}{
		{OffloadsOff, nil},
		{OffloadsOn, append(slices.Clone(tcp), "tx-udp-segmentation")},
		{OffloadsOnButUDP, tcp},
		{OffloadsOff, nil},
	} {
		if err := SetOffloads(a, "lte", step.set); err != nil {
			t.Fatal(err)
		}
		after, err := Offloads(a, "lte")
		if err != nil {
			t.Fatal(err)
		}
		var on []string
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if after[name] {
				on = append(on, name)
			}
		}
		if !slices.Equal(on, step.want) {
			t.Errorf("offloads %v: %v are on, want %v", step.set, on, step.want)
		}
	}
}

func TestSysctls(t *testing.T) {
	ns := newNS(t)
	if err := SetSysctls(ns, NodeSysctls()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSysctls(ns, []string{"net.ipv4.tcp_no_metrics_save", "net.ipv4.tcp_wmem", "net.ipv4.no_such_setting"})
	if err != nil {
		t.Fatal(err)
	}
	if got["net.ipv4.tcp_no_metrics_save"] != "1" || got["net.ipv4.tcp_wmem"] != "4096 65536 33554432" || len(got) != 2 {
		t.Errorf("ReadSysctls = %v", got)
	}
	if err := SetSysctls(ns, []Sysctl{{Name: "net.ipv4.no_such_setting", Value: "1"}}); err == nil {
		t.Error("a setting that does not exist was set")
	}
	for _, refused := range []Sysctl{
		{Name: "net.ipv4.tcp_no_metrics_save", Value: "300"},        // out of range: EINVAL
		{Name: "net.ipv4.conf.default.rp_filter", Value: "1 and 2"}, // cut short by the kernel
	} {
		if err := SetSysctls(ns, []Sysctl{refused}); err == nil {
			t.Errorf("%s=%s was accepted", refused.Name, refused.Value)
		}
	}
}

func TestSetMPTCP(t *testing.T) {
	a, b := newNS(t), newNS(t)
	endA, endB := pair(a, b)
	if err := CreateVeth(endA, endB); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second call replaces the first one's endpoints
		err := SetMPTCP(b, []Endpoint{{Address: endB.Addresses[0].Addr(), Announce: true}, {Address: endB.Addresses[1].Addr(), Subflow: true}})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := output(t, b, "ip", "mptcp", "endpoint")
	for line := range strings.Lines(got) {
		if want := map[bool]string{true: "signal", false: "subflow"}[strings.Contains(line, "10.77.0.2")]; !strings.Contains(line, want) {
			t.Errorf("endpoint %q, want it to be %s", line, want)
		}
	}
	if strings.Count(got, "10.77.0.2") != 1 || strings.Count(got, "fd74:7171::2") != 1 {
		t.Errorf("endpoints: %s", got)
	}
	if got := output(t, b, "ip", "mptcp", "limits"); !strings.Contains(got, "add_addr_accepted 8 subflows 8") {
		t.Errorf("limits: %s", got)
	}
	if err := SetSysctls(a, []Sysctl{{Name: "net.mptcp.enabled", Value: "0"}}); err != nil {
		t.Fatal(err)
	}
	err := SetMPTCP(a, nil)
	if !errors.Is(err, ErrNoMPTCP) || !strings.Contains(err.Error(), "sysctl -w net.mptcp.enabled=1") {
		t.Errorf("SetMPTCP with MPTCP off = %v, want ErrNoMPTCP and the sysctl", err)
	}
}
