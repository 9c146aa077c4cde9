package proto

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// BenchmarkTransfer moves stream data from a client to a server in one process with
// nothing in between: what the protocol costs both sides together, AES-128-GCM
// included, for each packet.
func BenchmarkTransfer(b *testing.B) {
	for _, size := range []wire.ByteCount{1200, 1472, 8972} {
		b.Run(fmt.Sprintf("payload=%d", size), func(b *testing.B) { benchmarkTransfer(b, size) })
	}
}

func benchmarkTransfer(b *testing.B, size wire.ByteCount) {
	cfg := Config{MaxUDPPayload: size, FixedMTU: true}
	p := newPair(b, pairConfig{client: cfg, server: cfg})
	p.mtu, p.delay = 1<<16, 1000
	p.handshake()
	s, err := p.client().OpenStream(wire.Bidi)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 256<<10)
	var in *Stream
	pool := buf.NewPool(64<<10, 64)
	tr := Transmit{Buf: make([]byte, 0, 64<<10), MaxSegments: 64}
	packets := func() uint64 { return p.client().path0.sentPackets + p.server().path0.sentPackets }
	before := packets()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for left := data; len(left) > 0; {
			n, err := s.Write(left)
			left = left[n:]
			if err != nil && !errors.Is(err, ErrBlocked) {
				b.Fatal(err)
			}
			p.now = p.now.Add(2000)
			for _, side := range []wire.Perspective{wire.Client, wire.Server} {
				from, to := p.ends[side], p.ends[side.Peer()]
				if from.conn.NextTimeout() <= p.now {
					from.conn.HandleTimeout(p.now)
				}
				for from.conn.AppendTransmit(p.now, &tr) {
					k := pool.Get()
					all := k.Data[:copy(k.Data, tr.Buf)]
					for len(all) > 0 {
						m := min(tr.Segment, len(all))
						d := Datagram{Local: to.addr, Remote: from.addr, Data: all[:m:m], Buffer: k}
						to.endpoint.Handle(p.now, &d).Conn.HandleDatagram(p.now, &d)
						all = all[m:]
					}
					k.Release()
				}
				for {
					e, ok := to.conn.NextEvent()
					if !ok {
						break
					}
					if e.Kind == StreamOpened {
						in, _ = to.conn.AcceptStream(wire.Bidi)
					}
				}
				for {
					if _, ok := from.conn.NextEvent(); !ok {
						break
					}
				}
			}
			for in != nil {
				v, err := in.ReadView()
				if err != nil {
					break
				}
				v.Release()
			}
		}
	}
	n := float64(packets() - before)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/packet")
	b.ReportMetric(n/float64(b.N), "packets/op")
}
