package netem

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// conn is a netlink socket for traffic control in a wire's namespace.
type conn struct {
	socket *nl.NetlinkSocket
}

// open returns a netlink socket in the port's namespace.
func open(port Port) (conn, error) {
	if port.NS <= 0 {
		// netns takes what is no file descriptor for the namespace of whoever calls.
		return conn{}, fmt.Errorf("%d is no file descriptor of a wire's namespace", port.NS)
	}
	if port.Index <= 0 {
		return conn{}, fmt.Errorf("%d is no index of an interface", port.Index)
	}
	socket, err := nl.GetNetlinkSocketAt(netns.NsHandle(port.NS), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return conn{}, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := socket.SetExtAck(true); err != nil {
		socket.Close()
		return conn{}, fmt.Errorf("ask netlink for its reasons: %w", err)
	}
	return conn{socket}, nil
}

// Close closes the socket.
func (c conn) Close() { c.socket.Close() }

// request returns a message about qdiscs on the socket.
func (c conn) request(kind, flags int, about nl.TcMsg) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(kind, flags)
	r.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: c.socket, Seq: r.Seq}}
	r.AddData(&about)
	return r
}

// replace puts a netem of ours at the root of an interface, or changes the one
// that is there in place.
func (c conn) replace(index int, o *options) error {
	r := c.request(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK,
		nl.TcMsg{Ifindex: int32(index), Handle: handle, Parent: netlink.HANDLE_ROOT})
	r.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("netem")))
	r.AddData(o.encode())
	_, err := r.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// remove takes a qdisc away, with all that it holds.
func (c conn) remove(q qdisc) error {
	r := c.request(unix.RTM_DELQDISC, unix.NLM_F_ACK,
		nl.TcMsg{Ifindex: int32(q.index), Handle: q.handle, Parent: q.parent})
	_, err := r.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// root returns the qdisc at the root of an interface, the zero qdisc if there is
// none. Its handle is 0 where it is the interface's default.
func (c conn) root(index int) (qdisc, error) {
	const attempts = 5 // while others change the list
	var messages [][]byte
	err := error(nl.ErrDumpInterrupted)
	for n := 0; n < attempts && errors.Is(err, nl.ErrDumpInterrupted); n++ {
		messages, err = c.request(unix.RTM_GETQDISC, unix.NLM_F_DUMP, nl.TcMsg{}).Execute(unix.NETLINK_ROUTE, unix.RTM_NEWQDISC)
	}
	if err != nil {
		return qdisc{}, fmt.Errorf("list qdiscs: %w", err)
	}
	for _, m := range messages {
		q, err := decodeQdisc(m)
		if err != nil {
			return qdisc{}, fmt.Errorf("list qdiscs: %w", err)
		}
		if q.index == index && q.parent == netlink.HANDLE_ROOT {
			return q, nil
		}
	}
	return qdisc{}, nil
}

// netem returns the netem at the root of an interface.
func (c conn) netem(index int) (qdisc, error) {
	q, err := c.root(index)
	switch {
	case err != nil:
		return qdisc{}, err
	case q.kind == "":
		return qdisc{}, errors.New("it has no qdisc")
	case q.kind != "netem":
		return qdisc{}, fmt.Errorf("its qdisc is %s, not netem", q.kind)
	}
	return q, nil
}
