package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
	"github.com/tquiclab/tquiclab/topologies"
)

// lossyLink is a path that loses one packet in 20 each way.
func lossyLink() topologies.Topology {
	top := twoLinks()
	top.Name, top.Links = "lossy-link", top.Links[:1]
	way := emulation.Impairments{Rate: 50e6, Delay: 5 * time.Millisecond, Loss: 0.05}
	top.Links[0].Up, top.Links[0].Down = way, way
	return top
}

// socketAt returns a UDP socket at the link's end in a node.
func socketAt(t *testing.T, l *Lab, node string, family int) *net.UDPConn {
	t.Helper()
	link := l.Topology().Links[0]
	at := netip.AddrPortFrom(link.Addresses[link.End(node)][family].Addr(), 0)
	var c *net.UDPConn
	if err := l.Do(node, func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// echoSize is what goes there and back, bytes.
const echoSize = 500_000

// TestTquicAndQuicgoAcrossNamespaces: each as the client of the other, over a link of
// the lab that loses packets, in both families.
func TestTquicAndQuicgoAcrossNamespaces(t *testing.T) {
	h, name := newHost(t), uniqueName()
	l := mustUp(t, h, UpConfig{Topology: lossyLink(), Name: name, Backend: BackendRelay}).Lab
	server, client, err := enginetest.NewTLS()
	if err != nil {
		t.Fatal(err)
	}
	server.NextProtos, client.NextProtos = []string{"interop"}, []string{"interop"}
	for family, version := range []string{"IPv4", "IPv6"} {
		t.Run("tquic to quic-go over "+version, func(t *testing.T) {
			tquicToQuicgo(t, socketAt(t, l, "client", family), socketAt(t, l, "server", family), client, server)
		})
		t.Run("quic-go to tquic over "+version, func(t *testing.T) {
			quicgoToTquic(t, socketAt(t, l, "client", family), socketAt(t, l, "server", family), client, server)
		})
	}
	wires, err := l.Wires(t.Context())
	if err != nil || len(wires) != 1 {
		t.Fatalf("Wires() = %+v, %v, want one", wires, err)
	}
	if up, down := wires[0].Up, wires[0].Down; up.DroppedPackets() == 0 || down.DroppedPackets() == 0 {
		t.Errorf("wire counters: up %+v, down %+v, want losses each way", up, down)
	}
}

func tquicToQuicgo(t *testing.T, from, at *net.UDPConn, client, server *tls.Config) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	theirs := &quic.Transport{Conn: at}
	defer at.Close()
	defer theirs.Close()
	listener, err := theirs.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept(ctx)
		if err != nil {
			served <- err
			return
		}
		stream, err := conn.AcceptStream(ctx)
		if err == nil {
			err = echo(stream, stream.Close)
		}
		<-conn.Context().Done() // the client has all
		served <- err
	}()
	ours, err := tquic.NewEndpoint(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	conn, err := ours.Dial(ctx, at.LocalAddr().(*net.UDPAddr).AddrPort(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := conn.OpenStream(ctx)
	if err == nil {
		err = thereAndBack(stream, stream.CloseWrite)
	}
	if err := errors.Join(err, conn.Close(), <-served); err != nil {
		t.Error(err)
	}
}

func quicgoToTquic(t *testing.T, from, at *net.UDPConn, client, server *tls.Config) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ours, err := tquic.NewEndpoint(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	listener, err := ours.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept(ctx)
		if err != nil {
			served <- err
			return
		}
		stream, err := conn.AcceptStream(ctx)
		if err == nil {
			err = echo(stream, stream.CloseWrite)
		}
		<-conn.Done() // the client has all
		served <- err
	}()
	theirs := &quic.Transport{Conn: from}
	defer from.Close()
	defer theirs.Close()
	conn, err := theirs.Dial(ctx, net.UDPAddrFromAddrPort(ours.LocalAddr()), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err == nil {
		err = thereAndBack(stream, stream.Close)
	}
	if err := errors.Join(err, conn.CloseWithError(0, ""), <-served); err != nil {
		t.Error(err)
	}
}

// echo sends back what comes until its end; end ends this side's bytes.
func echo(s io.ReadWriter, end func() error) error {
	data, err := io.ReadAll(s)
	if err != nil {
		return err
	}
	if _, err := s.Write(data); err != nil {
		return err
	}
	return end()
}

// thereAndBack sends echoSize bytes to an echo and compares what comes back.
func thereAndBack(s io.ReadWriter, end func() error) error {
	data := make([]byte, echoSize)
	for i := range data {
		data[i] = byte(i ^ i>>8 ^ i>>16)
	}
	if _, err := s.Write(data); err != nil {
		return err
	}
	if err := end(); err != nil {
		return err
	}
	got, err := io.ReadAll(s)
	if err == nil && !bytes.Equal(got, data) {
		err = errors.New("what came back is not what was sent")
	}
	return err
}
