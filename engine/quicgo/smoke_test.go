package quicgo

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/workload"
)

func TestSmoke(t *testing.T) {
	for _, e := range []engine.Engine{New(), NewBond()} {
		t.Run(e.Name(), func(t *testing.T) {
			st, ct, _ := enginetest.NewTLS()
			lp := []engine.Path{{Link: "a", Local: netip.MustParseAddrPort("127.0.0.1:0")}, {Link: "b", Local: netip.MustParseAddrPort("127.0.0.2:0")}}
			if !e.Capabilities().Multipath {
				lp = lp[:1]
			}
			l, err := e.Listen(t.Context(), engine.Config{Paths: lp, TLS: st})
			if err != nil {
				t.Fatal(err)
			}
			var dp []engine.Path
			for _, p := range l.Paths() {
				dp = append(dp, engine.Path{Link: p.Link, Local: netip.AddrPortFrom(p.Local.Addr(), 0), Remote: p.Local})
			}
			d, err := e.Dial(t.Context(), engine.Config{Paths: dp, TLS: ct})
			if err != nil {
				t.Fatal(err)
			}
			a, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go workload.Serve(t.Context(), []engine.Session{a}, nil)
			r, err := workload.Bulk{Seed: 1, Duration: 2 * time.Second, Streams: 1}.Request(t.Context(), []engine.Session{d}, workload.Receive, nil)
			t.Logf("%+v %v %.0f Mbit/s", r, err, float64(r.Bytes)*8e3/float64(r.LastNS-r.StartNS))
			t.Logf("%+v\n%+v", d.Stats(), a.Stats())
			d.Close()
			a.Close()
			l.Close()
		})
	}
}
