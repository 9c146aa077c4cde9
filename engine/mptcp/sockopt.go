package mptcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket options of include/uapi/linux/mptcp.h, which x/sys/unix lacks.
const (
	solMPTCP         = 284
	optTCPInfo       = 2 // MPTCP_TCPINFO
	optSubflowAddrs  = 3 // MPTCP_SUBFLOW_ADDRS
	maxSubflows      = 32
	subflowDataSize  = 16  // struct mptcp_subflow_data
	subflowAddrsSize = 256 // struct mptcp_subflow_addrs: two of sockaddr_storage
	tcpInfoSize      = int(unsafe.Sizeof(unix.TCPInfo{}))
)

// subflow is one subflow of a connection.
type subflow struct {
	local, remote netip.Addr
	info          unix.TCPInfo
}

// subflows asks the kernel for the subflows of the MPTCP socket fd. Addresses and
// figures come from two calls, between which a subflow may come or go: then it asks
// again.
func subflows(fd int) ([]subflow, error) {
	for range 3 {
		addrs, err := subflowOption(fd, optSubflowAddrs, subflowAddrsSize)
		if err != nil {
			return nil, err
		}
		infos, err := subflowOption(fd, optTCPInfo, tcpInfoSize)
		if err != nil {
			return nil, err
		}
		if len(addrs) != len(infos) {
			continue
		}
		flows := make([]subflow, len(addrs))
		for i := range flows {
			if flows[i].local, flows[i].remote, err = parseAddrs(addrs[i]); err != nil {
				return nil, err
			}
			flows[i].info = *(*unix.TCPInfo)(unsafe.Pointer(&infos[i][0]))
		}
		return flows, nil
	}
	return nil, errors.New("the subflows change too fast")
}

// subflowOption gets one of the options that return a record per subflow.
func subflowOption(fd, option, size int) ([][]byte, error) {
	buf := make([]byte, subflowDataSize+maxSubflows*size)
	binary.NativeEndian.PutUint32(buf[0:], subflowDataSize) // size_subflow_data
	binary.NativeEndian.PutUint32(buf[12:], uint32(size))   // size_user
	length := uint32(len(buf))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), solMPTCP, uintptr(option),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&length)), 0)
	runtime.KeepAlive(buf)
	if errno != 0 {
		return nil, fmt.Errorf("get MPTCP socket option %d: %w", option, errno)
	}
	return splitRecords(buf[:min(int(length), len(buf))], size)
}

// splitRecords takes the answer of such an option apart: struct mptcp_subflow_data
// {size_subflow_data, num_subflows, size_kernel, size_user}, then records of
// size_user bytes, each filled up to size_kernel.
func splitRecords(b []byte, size int) ([][]byte, error) {
	if len(b) < subflowDataSize {
		return nil, fmt.Errorf("the kernel's answer has %d bytes", len(b))
	}
	if got := binary.NativeEndian.Uint32(b[12:]); got != uint32(size) {
		return nil, fmt.Errorf("the kernel's records have %d bytes, not %d", got, size)
	}
	n := int(binary.NativeEndian.Uint32(b[4:]))
	b = b[subflowDataSize:]
	if n > maxSubflows || n*size > len(b) {
		return nil, fmt.Errorf("the kernel speaks of %d subflows in %d bytes", n, len(b))
	}
	records := make([][]byte, n)
	for i := range records {
		records[i] = b[i*size : (i+1)*size]
	}
	return records, nil
}

// parseAddrs reads a struct mptcp_subflow_addrs: the local and the remote sockaddr,
// each in 128 bytes.
func parseAddrs(b []byte) (local, remote netip.Addr, err error) {
	if len(b) != subflowAddrsSize {
		return local, remote, fmt.Errorf("subflow addresses have %d bytes, not %d", len(b), subflowAddrsSize)
	}
	if local, err = parseSockaddr(b[:subflowAddrsSize/2]); err != nil {
		return local, remote, err
	}
	remote, err = parseSockaddr(b[subflowAddrsSize/2:])
	return local, remote, err
}

func parseSockaddr(b []byte) (netip.Addr, error) {
	switch family := binary.NativeEndian.Uint16(b); family {
	case unix.AF_INET:
		return netip.AddrFrom4([4]byte(b[4:8])), nil
	case unix.AF_INET6:
		return netip.AddrFrom16([16]byte(b[8:24])).Unmap(), nil
	default:
		return netip.Addr{}, fmt.Errorf("subflow address has family %d", family)
	}
}
