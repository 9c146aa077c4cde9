package link

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// batchSize is how many requests go to the kernel at a time: it answers each that
// fails, and all of the answers must find room in the socket's buffer.
const batchSize = 64

// request is one netlink request, and what it is for.
type request struct {
	what fmt.Stringer
	*nl.NetlinkRequest
}

// execute sends the requests, many at a time, and returns the first error that the
// kernel answered with. Those after it in the same batch may have been done.
func execute(ns *netns.NS, requests []request) error {
	s, err := nl.GetNetlinkSocketAt(vnetns.NsHandle(ns.Fd()), vnetns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer s.Close()
	for len(requests) > 0 {
		n := min(len(requests), batchSize)
		if err := executeBatch(s, requests[:n]); err != nil {
			return err
		}
		requests = requests[n:]
	}
	return nil
}

// executeBatch has only the last request acknowledged: errors come unasked.
func executeBatch(s *nl.NetlinkSocket, requests []request) error {
	bySeq := map[uint32]request{}
	var data []byte
	last := requests[len(requests)-1]
	last.Flags |= unix.NLM_F_ACK
	for _, r := range requests {
		bySeq[r.Seq] = r
		data = append(data, r.Serialize()...)
	}
	if err := unix.Sendto(s.GetFd(), data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	for {
		messages, from, err := s.Receive()
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if from.Pid != nl.PidKernel {
			continue
		}
		for _, m := range messages {
			r, ours := bySeq[m.Header.Seq]
			if !ours || m.Header.Type != unix.NLMSG_ERROR {
				continue
			}
			if len(m.Data) < 4 {
				return errors.New("the kernel's answer is cut short")
			}
			if code := int32(nl.NativeEndian().Uint32(m.Data)); code != 0 {
				return fmt.Errorf("%s: %w", r.what, unix.Errno(-code))
			}
			if m.Header.Seq == last.Seq {
				return nil
			}
		}
	}
}
