package sim_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/sim"
	"github.com/tquiclab/tquiclab/engine/workload"
)

func link() sim.Link {
	imp := emulation.Impairments{Rate: 50e6, Delay: 15 * time.Millisecond, Queue: emulation.Queue{Time: 50 * time.Millisecond}}
	return sim.Link{
		Name: "lte", Up: imp, Down: imp,
		Client: netip.MustParseAddr("10.0.0.1"), Server: netip.MustParseAddr("10.0.0.2"),
	}
}

// A download of two seconds, simulated in a fraction of one.
func ExampleRun() {
	report, err := sim.Run(context.Background(), sim.Config{
		Links: []sim.Link{link()}, Seed: 1, Sender: sim.Server,
		Bulk: workload.Bulk{Seed: 1, Duration: 2 * time.Second, Streams: 1},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("intact:", report.Err() == nil)
	fmt.Println("above 80 % of the link:", report.Goodput() > 0.8*50e6)
	// Output:
	// intact: true
	// above 80 % of the link: true
}

// greeter sends a greeting on each connection and prints what it hears.
type greeter struct{ name string }

func (g greeter) Connected(c *sim.Conn) {
	if g.name != "client" {
		return
	}
	s, err := c.OpenStream()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = s.Write([]byte("hello from the " + g.name))
	_ = s.CloseWrite()
}

func (g greeter) Readable(s *sim.Stream) {
	for {
		err := s.Take(func(b []byte) error {
			_, err := fmt.Printf("%s: %s\n", g.name, b)
			return err
		})
		if err != nil {
			return // nothing more for now, or the end
		}
	}
}

func (g greeter) Writable(*sim.Stream)    {}
func (g greeter) Closed(*sim.Conn, error) {}

// A lab of one's own, driven event by event. After a second the link becomes slow.
func ExampleLab() {
	lab, err := sim.NewLab(sim.LabConfig{Links: []sim.Link{link()}, Seed: 1}, greeter{"client"}, greeter{"server"})
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := lab.Client.Dial("lte")
	if err != nil {
		fmt.Println(err)
		return
	}
	lab.At(time.Second, func() {
		slow := emulation.Impairments{Rate: 1e6, Delay: 200 * time.Millisecond}
		if err := lab.Set("lte", slow, slow); err != nil {
			fmt.Println(err)
		}
	})
	if err := lab.Run(context.Background(), 2*time.Second, nil); err != nil {
		fmt.Println(err)
	}
	fmt.Println("round trip of 30 ms or more:", conn.Metrics().SRTT >= 30*time.Millisecond)
	fmt.Println("after", lab.Elapsed())
	// Output:
	// server: hello from the client
	// round trip of 30 ms or more: true
	// after 2s
}
