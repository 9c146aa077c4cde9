package driver

import (
	"fmt"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// BenchmarkTransfer moves data over loopback on one stream, both ends in this
// process: an iteration is 16 MiB.
func BenchmarkTransfer(b *testing.B) {
	for _, payload := range []wire.ByteCount{1452, 8952, 65507} {
		b.Run(fmt.Sprintf("payload=%d", payload), func(b *testing.B) {
			r := newRig(b, "127.0.0.1:0", proto.Config{MaxUDPPayload: payload})
			client, server := r.connect()
			c, s := r.stream(client, server)
			const size = 16 << 20
			data, into := make([]byte, 64<<10), make([]byte, 64<<10)
			b.SetBytes(size)
			b.ReportAllocs()
			before := client.Stats()
			for b.Loop() {
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range size / len(data) {
						c.Write(data)
					}
				}()
				for got := 0; got < size; {
					n, err := s.Read(into)
					if err != nil {
						b.Fatal(err)
					}
					got += n
				}
				<-done
			}
			after := client.Stats()
			b.ReportMetric(float64(after.SentDatagrams-before.SentDatagrams)/float64(after.Trains-before.Trains), "datagrams/train")
		})
	}
}

// BenchmarkPing is the round trip of one byte.
func BenchmarkPing(b *testing.B) {
	r := newRig(b, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, s := r.stream(client, server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var one [1]byte
		for {
			if _, err := s.Read(one[:]); err != nil {
				return
			}
			s.Write(one[:])
		}
	}()
	var one [1]byte
	b.ReportAllocs()
	for b.Loop() {
		c.Write(one[:])
		if _, err := c.Read(one[:]); err != nil {
			b.Fatal(err)
		}
	}
	c.Close()
	<-done
}
