// Package tquic is QUIC version 1 (RFC 9000, 9001, 9002, 9221) for applications: a
// connection over UDP with encrypted, reliable streams and unreliable datagrams.
//
//	conn, err := tquic.Dial(ctx, "server.example:4433", &tls.Config{NextProtos: []string{"echo"}}, nil)
//	stream, err := conn.OpenStream(ctx)
//	_, err = stream.Write(data)
//
// A Stream is a net.Conn. A Listener accepts connections; an Endpoint is one or more
// sockets that listen and dial at the same time, for those who care about addresses.
// TLS is crypto/tls's: each side's tls.Config must name its protocols in NextProtos.
//
// NewEngine returns the same as an engine of the lab.
//
// # Ends
//
// A connection ends by Close or CloseWithError on either side (*ApplicationError), by
// a breach of the protocol (*TransportError), by silence (*IdleTimeoutError,
// *HandshakeTimeoutError), or because the peer has forgotten it
// (*StatelessResetError). From then on its calls and those of its streams return that
// error. An end in order, which is a Close by this side or by the peer with code 0,
// is net.ErrClosed to errors.Is. Time-outs are net.Errors; a stream's deadline gives
// os.ErrDeadlineExceeded.
//
// Close does not wait for data: what the peer must have got is acknowledged by the
// application's own protocol, or by CloseWrite and reading to the peer's io.EOF.
//
// # Paths
//
// With Config.Paths on both sides, a connection uses several paths at once
// (draft-ietf-quic-multipath-21): those of Config.KeepPaths, those that
// Config.DiscoverPaths finds, or those opened by Conn.OpenPath. A server that is to be
// reached at several addresses has an Endpoint with AddAddress. Config.Scheduler chooses
// the path of data. Paths die and come back without the application's help.
//
// # Files
//
// config.go, errors.go, endpoint.go, listener.go, conn.go, paths.go, stream.go, stats.go,
// qlog.go are the package, device_linux.go and device_other.go its sockets on one
// interface; engine.go, race.go, session.go and linger.go make it an engine of the lab.
// The protocol is in engine/internal: see docs/TQUIC.md.
//
// # Limitations
//
// Servers open no paths and tell no addresses: the draft has no frame for that.
package tquic
