package relay

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	intakeBatch = 16 // units of a call: 1 MB of buffers, which the cache holds
	// receiveBuffer covers 130 ms of not being scheduled at 4 Gbit/s.
	receiveBuffer = 64 << 20

	// The control messages of a frame: its time stamp and its tpacket_auxdata.
	timespecSize  = 16
	auxdataSize   = 20
	controlHeader = 16 // struct cmsghdr
	controlSize   = 2*controlHeader + timespecSize + (auxdataSize+7)/8*8
)

// intake receives units by recvmmsg(2), each with its vnet header, into buffers of
// maxUnit bytes. A ring of slots of that length would hold 500 frames in 32 MB,
// acknowledgements included; the socket's queue holds what they really take.
type intake struct {
	fd       int
	messages [intakeBatch]message
	parts    [intakeBatch][2]unix.Iovec
	headers  [intakeBatch][vnetSize]byte
	control  [intakeBatch][controlSize]byte
	buffers  [intakeBatch][]byte
}

// newIntake takes its buffers from the units.
func newIntake(fd int, from *units) *intake {
	in := &intake{fd: fd}
	for i := range intakeBatch {
		h := &in.messages[i].header
		h.Iov = &in.parts[i][0]
		h.SetIovlen(2)
		h.Control = &in.control[i][0]
		in.parts[i][0].Base = &in.headers[i][0]
		in.parts[i][0].SetLen(vnetSize)
		in.put(i, from.buffer(maxUnit))
	}
	return in
}

// put makes buf the buffer of message i.
func (in *intake) put(i int, buf []byte) {
	in.buffers[i] = buf
	in.parts[i][1].Base = unsafe.SliceData(buf)
	in.parts[i][1].SetLen(len(buf))
}

// read receives what is there, up to a batch, and returns how many frames.
func (in *intake) read() (int, error) {
	for i := range in.messages {
		in.messages[i].header.SetControllen(controlSize)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(in.fd), uintptr(unsafe.Pointer(&in.messages)),
		intakeBatch, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// frame returns a received frame, in its buffer, and its vnet header.
func (in *intake) frame(i int) (frame, vnetHeader) {
	m := &in.messages[i]
	n := max(int(m.sent)-vnetSize, 0)
	f := frame{data: in.buffers[i][:n], length: n}
	if m.header.Flags&unix.MSG_TRUNC != 0 {
		f.length = maxUnit + 1
	}
	for rest := in.control[i][:min(int(m.header.Controllen), controlSize)]; len(rest) >= controlHeader; {
		length := int(binary.NativeEndian.Uint64(rest))
		if length < controlHeader || length > len(rest) {
			break
		}
		f.note(binary.NativeEndian.Uint32(rest[8:]), binary.NativeEndian.Uint32(rest[12:]), rest[controlHeader:length])
		rest = rest[min((length+7)/8*8, len(rest)):]
	}
	return f, readVnet(in.headers[i][:])
}

// note takes a control message's data.
func (f *frame) note(level, kind uint32, data []byte) {
	switch {
	case level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPNS && len(data) >= timespecSize:
		f.realTime = int64(binary.NativeEndian.Uint64(data))*1e9 + int64(binary.NativeEndian.Uint64(data[8:]))
	case level == unix.SOL_PACKET && kind == unix.PACKET_AUXDATA && len(data) >= auxdataSize:
		f.status = binary.NativeEndian.Uint32(data)
	}
}
