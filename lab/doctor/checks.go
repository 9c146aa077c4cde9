package doctor

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Config says what the checks look at.
type Config struct {
	Root fs.FS  // the kernel's files: os.DirFS("/") outside tests
	Runs string // folder in which runs keep their records
}

// Checks returns everything that labs, engines and tests use of a machine.
func Checks(c Config) []Check {
	var all []Check
	for _, group := range [][]Check{rights(c), kernel(c), wires(), sockets(), settings(c), programs(), machine(c)} {
		all = append(all, group...)
	}
	return all
}

func rights(c Config) []Check {
	return []Check{
		{"rights", "root", Required, "namespaces, links, packet sockets", "no lab comes up; run --backend sim works", "sudo, or a container with CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW", privileges},
		{"rights", "real-time threads", Useful, "a relay that wakes in time on a busy machine", "the relay is late by milliseconds under load, and says so", "CAP_SYS_NICE", realtime},
		{"rights", "real-time share", Useful, "the same", "the same", "sysctl -w kernel.sched_rt_runtime_us=950000", realtimeShare(c.Root)},
	}
}

func kernel(c Config) []Check {
	return []Check{
		{"kernel", "network namespaces", Required, "nodes and wires", "no lab comes up", "CONFIG_NET_NS", inScratch(namespace)},
		{"kernel", "veth", Required, "links", "no lab comes up", "CONFIG_VETH, modprobe veth", inScratch(veth)},
		{"kernel", "pidfd", Required, "ending a lab's processes, and no others", "down cannot end processes", "Linux 5.3", pidfd},
		{"kernel", "MPTCP", Useful, "the engines mptcp and mptcp-tls", "these engines are refused", "CONFIG_MPTCP in Linux 5.6", inScratch(mptcp)},
		{"kernel", "MPTCP path manager", Useful, "MPTCP over several links", "MPTCP uses one link", "CONFIG_MPTCP in Linux 5.10", inScratch(mptcpPathManager)},
		{"kernel", "nftables masquerade", Useful, "nodes of kind nat", "topologies with a nat node do not come up", "CONFIG_NF_TABLES_INET, CONFIG_NFT_MASQ, modprobe nft_masq", inScratch(masquerade)},
		{"kernel", "tracefs", Useful, "probes that check an engine's own counts", "counts are the engine's word alone", "CONFIG_FTRACE, mount -t tracefs tracefs /sys/kernel/tracing", tracing(c.Root)},
		{"kernel", "BTF", Useful, "the same", "the same", "CONFIG_DEBUG_INFO_BTF in Linux 5.4", btf(c.Root)},
	}
}

func wires() []Check {
	return []Check{
		{"wires", "netem", Useful, "backend netem", "wires are emulated by the relay, which costs CPU time", "CONFIG_NET_SCH_NETEM, modprobe sch_netem", netemBackend},
		{"wires", "bridge", Useful, "backend netem", "the same", "CONFIG_BRIDGE, modprobe bridge", inScratch(bridge)},
		{"wires", "tbf", Useful, "shaping by hand in a node", "tc cannot shape so", "CONFIG_NET_SCH_TBF, modprobe sch_tbf", inScratch(qdisc(tbf))},
		{"wires", "fq", Useful, "pacing of TCP by the qdisc", "TCP paces by its own timers", "CONFIG_NET_SCH_FQ, modprobe sch_fq", inScratch(qdisc(fq))},
		{"wires", "fq_codel", Useful, "queues by hand in a node", "tc cannot queue so", "CONFIG_NET_SCH_FQ_CODEL, modprobe sch_fq_codel", inScratch(qdisc(fqCodel))},
		{"wires", "ifb", Useful, "shaping what comes in, by hand in a node", "tc cannot shape so", "CONFIG_IFB, modprobe ifb", inScratch(ifb)},
	}
}

func sockets() []Check {
	return []Check{
		{"sockets", "packet ring v2", Required, "backend relay", "the relay cannot serve wires", "CONFIG_PACKET in Linux 2.6.27", inScratch(packetRing(unix.TPACKET_V2))},
		{"sockets", "packet ring v3", Useful, "capture", "nothing can be captured", "CONFIG_PACKET in Linux 3.2", inScratch(packetRing(unix.TPACKET_V3))},
		{"sockets", "PACKET_IGNORE_OUTGOING", Required, "backend relay", "the relay cannot serve wires", "Linux 4.20", inScratch(packetOption(unix.PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING"))},
		{"sockets", "PACKET_QDISC_BYPASS", Required, "backend relay", "the relay cannot serve wires", "Linux 3.14", inScratch(packetOption(unix.PACKET_QDISC_BYPASS, "PACKET_QDISC_BYPASS"))},
		{"sockets", "PACKET_VNET_HDR", Useful, "a relay above 1 Gbit/s, in units of 64 KB", "the relay takes each packet by itself", "Linux 2.6.34", inScratch(packetOption(unix.PACKET_VNET_HDR, "PACKET_VNET_HDR"))},
		{"sockets", "UDP_SEGMENT", Useful, "QUIC engines: many packets in one call", "QUIC is several times slower", "Linux 4.18", inScratch(udpSegment)},
		{"sockets", "UDP_GRO", Useful, "QUIC engines: many packets from one call", "QUIC is several times slower", "Linux 5.0", inScratch(udpGRO)},
	}
}

// quicBuffer is what QUIC stacks ask for as a socket's buffer, bytes
// (github.com/quic-go/quic-go/wiki/UDP-Buffer-Sizes).
const quicBuffer = 7_500_000

func settings(c Config) []Check {
	return []Check{
		{"settings", "net.core.rmem_max", Useful, "large receive buffers of engines that are not root", "QUIC may lose packets in its own socket", "sysctl -w net.core.rmem_max=7500000", sysctlAtLeast(c.Root, "net.core.rmem_max", quicBuffer)},
		{"settings", "net.core.wmem_max", Useful, "large send buffers of engines that are not root", "QUIC may wait for its own socket", "sysctl -w net.core.wmem_max=7500000", sysctlAtLeast(c.Root, "net.core.wmem_max", quicBuffer)},
		{"settings", "net.mptcp.enabled", Useful, "MPTCP outside labs; each node has its own switch", "MPTCP outside labs is refused", "sysctl -w net.mptcp.enabled=1", sysctlAtLeast(c.Root, "net.mptcp.enabled", 1)},
		{"settings", "TCP BBR", Useful, "TCP arms with BBR", "TCP cannot be told to use BBR", "CONFIG_TCP_CONG_BBR, modprobe tcp_bbr", congestionControls(c.Root)},
	}
}

func programs() []Check {
	return []Check{
		{"tools", "ip", Useful, "looking into nodes by hand: ip netns exec", "tquiclab exec looks into them, too", "apt install iproute2", tool("ip")},
		{"tools", "ethtool", Useful, "looking at offloads by hand", "a run's manifest has them", "apt install ethtool", tool("ethtool")},
		{"tools", "nft", Useful, "looking at a NAT by hand", "none to tquiclab", "apt install nftables", tool("nft")},
		{"tools", "iperf3", Useful, "the engine iperf3", "that engine is refused", "apt install iperf3", tool("iperf3")},
		{"tools", "tshark", Tests, "opening captures on a terminal, and the tests that do", "capture's tests fail; captures are written all the same", "apt install tshark", tool("tshark")},
		{"tools", "User-Mode Linux", Tests, "tests of backend netem", "these tests fail", "apt install user-mode-linux", tool("linux.uml")},
		{"tools", "chromium", Tests, "looking at drawings and reports without a screen", "none to tquiclab", "apt install chromium", tool("chromium", "chromium-browser", "google-chrome")},
	}
}

// roomForRuns is what a day of runs with series and some captures takes, bytes.
const roomForRuns = 2_000_000_000

func machine(c Config) []Check {
	return []Check{
		{"machine", "room for runs", Useful, "records, qlog files and captures", "a run stops when the disk is full", "free some, or give run another folder with --out", disk(c.Runs, roomForRuns)},
		{"machine", "CPUs", Useful, "sender, receiver and relay at the same time", "results say more about the machine than about transports", "another machine, or a larger CPU quota", cpus(c.Root)},
		{"machine", "clock source", Useful, "time stamps and timers of the relay", "the relay and QUIC spend their time reading the clock", "a machine whose TSC is stable", clockSource(c.Root)},
		{"machine", "fine timers", Useful, "delays under a millisecond", "delays are coarse", "CONFIG_HIGH_RES_TIMERS", timers},
	}
}
