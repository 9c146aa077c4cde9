package relay

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// vnetSize is the length of struct virtio_net_hdr (include/uapi/linux/virtio_net.h),
// which a socket with PACKET_VNET_HDR has before each frame, in both directions.
const vnetSize = 10

// The flags that the relay reads and writes.
const (
	vnetNeedsChecksum = 1    // VIRTIO_NET_HDR_F_NEEDS_CSUM
	vnetCWR           = 0x80 // VIRTIO_NET_HDR_GSO_ECN: a bit of the kind; the TCP header has CWR
)

// unitKind says what a frame is made of: the header's gso_type without its ECN bit.
type unitKind uint8

// The kinds that the relay takes apart.
const (
	wholePacket unitKind = 0 // VIRTIO_NET_HDR_GSO_NONE: a packet as it goes over a wire
	tcp4Unit    unitKind = 1 // VIRTIO_NET_HDR_GSO_TCPV4
	tcp6Unit    unitKind = 4 // VIRTIO_NET_HDR_GSO_TCPV6
	udpUnit     unitKind = 5 // VIRTIO_NET_HDR_GSO_UDP_L4, known to packet sockets since Linux 6.2
)

// vnetHeader is struct virtio_net_hdr. Offsets are from the frame's first byte.
type vnetHeader struct {
	flags          uint8
	gsoType        uint8
	headerLength   uint16 // what the kernel keeps in one piece
	segmentSize    uint16 // payload bytes of each wire packet but the last
	checksumStart  uint16 // what a checksum left to do covers begins here
	checksumOffset uint16 // from there to the checksum's place
}

// readVnet reads a header of vnetSize bytes. Packet sockets have it in the
// machine's byte order.
func readVnet(b []byte) vnetHeader {
	_ = b[vnetSize-1]
	return vnetHeader{
		flags:          b[0],
		gsoType:        b[1],
		headerLength:   binary.NativeEndian.Uint16(b[2:]),
		segmentSize:    binary.NativeEndian.Uint16(b[4:]),
		checksumStart:  binary.NativeEndian.Uint16(b[6:]),
		checksumOffset: binary.NativeEndian.Uint16(b[8:]),
	}
}

func (h vnetHeader) write(b []byte) {
	_ = b[vnetSize-1]
	b[0], b[1] = h.flags, h.gsoType
	binary.NativeEndian.PutUint16(b[2:], h.headerLength)
	binary.NativeEndian.PutUint16(b[4:], h.segmentSize)
	binary.NativeEndian.PutUint16(b[6:], h.checksumStart)
	binary.NativeEndian.PutUint16(b[8:], h.checksumOffset)
}

func (h vnetHeader) kind() unitKind { return unitKind(h.gsoType &^ vnetCWR) }

// CarriesUDPUnits reports whether this kernel's packet sockets take units of UDP:
// Linux 6.2 or later. An older one drops them, so that an endpoint of a wire with
// offloads must segment UDP itself (feature tx-udp-segmentation off).
func CarriesUDPUnits() (bool, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return false, fmt.Errorf("read the kernel's version: %w", err)
	}
	return releaseAtLeast(unix.ByteSliceToString(u.Release[:]), 6, 2)
}

func releaseAtLeast(release string, major, minor int) (bool, error) {
	first, rest, _ := strings.Cut(release, ".")
	second := rest
	if end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		second = rest[:end]
	}
	a, errA := strconv.Atoi(first)
	b, errB := strconv.Atoi(second)
	if errA != nil || errB != nil {
		return false, fmt.Errorf("kernel release %q does not begin with two numbers", release)
	}
	return a > major || a == major && b >= minor, nil
}
