// Package quicgo has two engines over stock quic-go: "quic-go", one connection on
// one path, and "quic-go-bond", one connection per path with every stream striped
// over all of them.
//
// quic-go is used as it comes, through its public API: New Reno, GSO on, DPLPMTUD
// on, with the windows that a careful user would set for WAN bonding (config.go).
// It has no multipath of its own; the bond is what a Go developer can build on it
// today, built as well as we can, and stays as a peer to beat.
//
// # quic-go-bond
//
// The dialler opens one connection per path, each on its own socket bound to the
// path's local address. The first stream of a connection says which session it
// joins, by a random token. A bonded stream rides on one QUIC stream per connection,
// its lanes.
//
//	Write ─> sender: chunks ─┬─ lane 0 (connection 0) ─┬─> reassembler ─> Read
//	                         └─ lane 1 (connection 1) ─┘
//	           <─ acks: in-order offset, window, frames delivered per lane ─
//
// Lanes pull. A lane takes the next chunk when its connection has packed the last
// one, so each path's own congestion and flow control set the split and the
// back-pressure; there is no scheduler that guesses rates. The receiver's window
// bounds the reorder buffer and the sender never goes past it, so lanes are always
// read and no path can block another.
//
// The sender keeps a chunk until some lane has delivered it. Chunks of a lane that
// died, or was silent while others delivered, go to the others. When a lane has
// nothing else to send, it overtakes: it repeats the oldest chunk that another lane
// holds if it is likely to bring it sooner. The receiver drops duplicates by offset.
//
// Files: engine.go, listener.go, session.go, stream.go are quic-go; bond.go, bond_session.go,
// bond_listener.go, bond_stream.go, lane.go are quic-go-bond; frame.go, chunk.go,
// sender.go, reassembler.go are its pure parts, without sockets, clocks or locks;
// socket.go, config.go and qlog.go serve both.
//
// # Limits
//
// A bonded session lives as long as one of its connections. A path whose connection
// timed out (bondIdleTimeout without a packet) is not dialled again; a shorter
// outage heals by itself. The listener answers on the path that it was asked on.
//
// The qlog files are quic-go's own: its events, its draft. A connection whose file
// cannot be created goes on without one.
package quicgo
