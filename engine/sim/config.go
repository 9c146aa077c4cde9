package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/internal/simnet"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// Engines returns the names of the engines that can be simulated.
func Engines() []string { return []string{"tquic"} }

// Side is one of the two hosts.
type Side uint8

// The hosts: the one that dials and the one that listens.
const (
	Client Side = iota
	Server
)

// String returns the side in lower case.
func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "server"
}

// Link joins the two hosts, or the client and a router that leads on to the server.
type Link struct {
	// Name is unique. With the seed it gives the link's randomness, the same as in
	// another backend.
	Name string
	// MTU of the interfaces, bytes of IP packet. 0: 1500.
	MTU int
	// Up is from the client to the server, Down back.
	Up, Down emulation.Impairments
	// UpTimeline and DownTimeline change them, Outages take the carrier away. They count
	// from the first packet on any link.
	UpTimeline, DownTimeline emulation.Timeline
	Outages                  []Outage
	// Client and Server are the addresses of the two hosts' interfaces, of one family. The
	// client's is the link's alone, the server's that of all links that lead to the server
	// over the same trunk.
	Client, Server netip.Addr
	// Router, unless it is empty, is the node at the other end in the place of the server,
	// and Through names the trunks from there to the server, in order.
	Router  string
	Through []string

	// faults, by simnet.Way, are for this package's tests: no topology has them.
	faults [2]simnet.Faults
}

// Config is one simulated transfer.
type Config struct {
	// Links that each connection uses: it is made over the first, or the first of those
	// after it that answers when that is slow to (Host.Dial), and opens a path over each of
	// the others as soon as it can.
	Links []Link
	// Trunks are what Links lead through, behind routers.
	Trunks []Trunk
	// Seed is of everything random in the network and the hosts.
	Seed uint64
	// Bulk is the workload. Its Seed is of the data alone.
	Bulk workload.Bulk
	// Paced or Handshake, unless both are nil, is the workload in the place of Bulk. Of
	// Handshake the client is the dialler, and Connections are its control sessions.
	Paced       *workload.Paced
	Handshake   *workload.Handshake
	Sender      Side
	Connections int // 0: 1
	// Congestion and Scheduler name the congestion control and, over several links, what
	// chooses the path of data. Empty: the engine's default.
	Congestion, Scheduler string
	// NoReinject keeps data that one path owes off the others until it is lost.
	NoReinject bool
	// AskAcks has both hosts ask each other for fewer ACKs where that pays.
	AskAcks bool
	// KeepAlive makes a host that has sent nothing for so long send a PING, without which
	// a receiver behind a NAT that rebinds is lost to its peer. 0: never.
	KeepAlive time.Duration
	// QLOG is a folder, which must exist, for a qlog file of each connection and side.
	// Empty: none.
	QLOG string
	// Dropped, which may be nil, is told each packet that a link drops.
	Dropped func(Drop)
	// SetUp bounds the handshakes, Bound what follows, both in virtual time. 0: 30 s, and
	// no bound.
	SetUp, Bound time.Duration
	// Sample, which may be nil, is called every 100 ms of the transfer's virtual time.
	Sample func(Sample)
}

// Drop is one packet that a link dropped.
type Drop struct {
	emulation.Drop
	At   time.Duration // virtual, since the beginning
	Link string        // or trunk
	Up   bool          // from the client to the server; of a trunk, from its first end to the second
}

const defaultSetUp = 30 * time.Second

// Paths that a connection over several links may have at a time: what the engine tquic
// allows in a lab, and the most that it can.
const (
	usualPaths = 8
	maxPaths   = 16
)

// paths returns how many paths a connection over the links may have.
func (c Config) paths() int {
	if len(c.Links) < 2 {
		return 0
	}
	return max(usualPaths, len(c.Links))
}

// Validate returns every reason why c cannot run, joined, or nil.
func (c Config) Validate() error {
	errs := []error{c.workload()}
	if len(c.Links) > maxPaths {
		errs = append(errs, fmt.Errorf("simulate over %d links: tquic has at most %d paths: %w", len(c.Links), maxPaths, engine.ErrUnsupported))
	}
	if len(c.Links) == 0 {
		errs = append(errs, errors.New("simulate: there is no link"))
	}
	for _, l := range c.Links {
		w, err := newWay(l, c.Trunks)
		if err != nil {
			errs = append(errs, fmt.Errorf("simulate: %w", err))
		} else if w.timeless(l) {
			errs = append(errs, fmt.Errorf("simulate %s: without rate and delay it is as fast as its hosts compute, which takes no time here: give it a rate: %w", l.Name, engine.ErrUnsupported))
		}
	}
	if c.Sender != Client && c.Sender != Server {
		errs = append(errs, fmt.Errorf("simulate: no side %d", c.Sender))
	}
	if c.Connections < 0 {
		errs = append(errs, fmt.Errorf("simulate: %d connections", c.Connections))
	}
	return errors.Join(errs...)
}

// workload returns what is wrong with the workload.
func (c Config) workload() error {
	switch {
	case c.Paced != nil && c.Handshake != nil:
		return errors.New("simulate: two workloads: paced and handshake")
	case c.Paced != nil:
		return c.Paced.Validate()
	case c.Handshake != nil:
		return c.Handshake.Validate()
	}
	return c.Bulk.Validate()
}
