// Package udpio moves trains of UDP datagrams between memory and a socket with as
// few system calls as the kernel allows.
//
// A train is datagrams back to back, all of one size but the last, which may be
// shorter. Write sends one in one sendmsg with UDP_SEGMENT; Read fills a list of
// received trains, which UDP_GRO put together. Where the kernel lacks these, the
// same trains go by sendmmsg and recvmmsg, and without those one datagram at a time:
// the bytes are the same. The package knows nothing of QUIC.
//
//	Write ─> sender: address, control messages ─> sendmsg(UDP_SEGMENT) | sendmmsg | sendmsg
//	Read  <─ arena: counted buffer, used front to back <─ recvmsg(UDP_GRO) | recvmmsg | recvmsg
//
// Files: socket.go has the types; control_linux.go the control messages and
// address_linux.go the socket addresses, both as bytes, without sockets;
// options_linux.go what is asked of the kernel; read_linux.go and write_linux.go the
// system calls; arena.go where received bytes go; counters.go the counters;
// portable.go all of it for other systems, one datagram at a time.
//
// # Invariants
//
// One goroutine reads; any number write, at the same time. Neither Read nor Write
// allocates. Received bytes belong to whoever holds the count that came with them,
// until it is released; Write borrows its bytes.
//
// Datagrams are never fragmented, neither here nor on the way (IPv4's DF is set), and
// what the kernel believes to be the path's MTU is ignored: finding it is the
// protocol's business.
//
// # Buffers
//
// Receiving takes buffers of a pool and fills each from its front: the next system
// call writes behind the last one's bytes as long as the largest datagram, 64 KiB,
// fits. With buffers of 128 KiB many small datagrams share one, so that keeping a
// datagram of 100 bytes does not pin 64 KiB alone. A buffer that everybody else has
// released is filled from its front again, while it is still in the CPU's cache. The
// socket itself holds one count of the buffer that it fills; the first Read after
// Close releases it.
//
// # Limitations
//
// Without UDP_GRO, receive slots start at 2 KiB so that 32 fit: the first larger
// datagram is cut off by the kernel, dropped and counted, and the slots grow. On
// systems other than Linux there are no ECN marks, no choice of source address on a
// wildcard socket, and no promise about fragmentation.
package udpio
