package tquic_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

// settings returns TLS settings of a server and of a client that trusts it. Programs
// load a certificate instead.
func settings() (server, client *tls.Config) {
	server, client, err := enginetest.NewTLS()
	if err != nil {
		panic(err)
	}
	server.NextProtos, client.NextProtos = []string{"echo"}, []string{"echo"}
	client.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	return server, client
}

// echo answers each stream of each connection with what comes, until the listener is
// closed.
func echo(l *tquic.Listener) {
	for {
		conn, err := l.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			for {
				stream, err := conn.AcceptStream(context.Background())
				if err != nil {
					return
				}
				go func() {
					io.Copy(stream, stream)
					stream.Close()
				}()
			}
		}()
	}
}

// A server that echoes, and a client that asks.
func Example() {
	server, client := settings()
	l, err := tquic.Listen("127.0.0.1:0", server, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go echo(l)

	ctx := context.Background()
	conn, err := tquic.Dial(ctx, l.Addr().String(), client, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	stream, err := conn.OpenStream(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(stream, "hello, ")
	fmt.Fprint(stream, "world")
	stream.CloseWrite()
	answer, err := io.ReadAll(stream)
	fmt.Printf("%s %v\n", answer, err)
	// Output: hello, world <nil>
}

// A resumed connection sends data before the handshake is complete.
func ExampleDialEarly() {
	server, client := settings()
	l, err := tquic.Listen("127.0.0.1:0", server, &tquic.Config{EarlyData: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go echo(l)

	ctx := context.Background()
	for range 2 {
		conn, err := tquic.DialEarly(ctx, l.Addr().String(), client, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		stream, err := conn.OpenStream(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Fprint(stream, "ping") // must be harmless if it comes twice
		stream.CloseWrite()
		answer, err := io.ReadAll(stream)
		fmt.Printf("%s %v, early: %t\n", answer, err, conn.Stats().EarlyData)
		conn.Close()
	}
	// Output:
	// ping <nil>, early: false
	// ping <nil>, early: true
}

// Datagrams are for what is of no use when it comes late.
func ExampleConn_SendDatagram() {
	server, client := settings()
	config := &tquic.Config{MaxDatagram: 1200}
	l, err := tquic.Listen("127.0.0.1:0", server, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()

	ctx := context.Background()
	conn, err := tquic.Dial(ctx, l.Addr().String(), client, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	if err := conn.SendDatagram([]byte("now or never")); err != nil {
		fmt.Println(err)
		return
	}
	accepted, err := l.Accept(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := accepted.ReceiveDatagram(ctx)
	fmt.Printf("%s %v\n", data, err)
	// Output: now or never <nil>
}

// Several connections share one socket, in both roles, and choose its address.
func ExampleEndpoint() {
	server, client := settings()
	var ends [2]*tquic.Endpoint
	for i := range ends {
		e, err := tquic.ListenEndpoint(netip.MustParseAddrPort("127.0.0.1:0"), nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer e.Close()
		l, err := e.Listen(server, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		go echo(l)
		ends[i] = e
	}
	client.ServerName = server.Certificates[0].Leaf.DNSNames[0]
	for i, e := range ends {
		conn, err := e.Dial(context.Background(), ends[1-i].LocalAddr(), client, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(conn.LocalAddr().String() == e.LocalAddr().String())
	}
	// Output:
	// true
	// true
}

// An application ends a connection with a code of its own, which the peer sees.
func ExampleConn_CloseWithError() {
	server, client := settings()
	l, err := tquic.Listen("127.0.0.1:0", server, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(context.Background()); err == nil {
			conn.CloseWithError(7, "not today")
		}
	}()
	conn, err := tquic.Dial(context.Background(), l.Addr().String(), client, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	<-conn.Done()
	if e, ok := errors.AsType[*tquic.ApplicationError](conn.Err()); ok {
		fmt.Println(e.Code, e.Reason, errors.Is(e, net.ErrClosed))
	}
	// Output: 7 not today false
}

// A deadline bounds how long a call waits, as on every net.Conn.
func ExampleStream_SetReadDeadline() {
	server, client := settings()
	l, err := tquic.Listen("127.0.0.1:0", server, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	conn, err := tquic.Dial(context.Background(), l.Addr().String(), client, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	stream, err := conn.OpenStream(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	stream.SetReadDeadline(aMomentFromNow())
	_, err = stream.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	// Output: true
}
