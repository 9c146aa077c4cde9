package sampler

import "time"

// Interface names one end of a link: the interface inside the node bears the
// link's name.
type Interface struct {
	Node string `json:"node"`
	Link string `json:"link"`
}

// Counters is what an interface has counted, since it was made or since the
// sampling began.
type Counters struct {
	RxBytes   uint64 `json:"rx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	RxDropped uint64 `json:"rx_dropped"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxDropped uint64 `json:"tx_dropped"`
}

// Sub returns c less the counters at an earlier time. A counter that went back,
// which only a new interface of the same name could cause, gives zero.
func (c Counters) Sub(earlier Counters) Counters {
	sub := func(a, b uint64) uint64 { return a - min(a, b) }
	return Counters{
		RxBytes:   sub(c.RxBytes, earlier.RxBytes),
		RxPackets: sub(c.RxPackets, earlier.RxPackets),
		RxDropped: sub(c.RxDropped, earlier.RxDropped),
		TxBytes:   sub(c.TxBytes, earlier.TxBytes),
		TxPackets: sub(c.TxPackets, earlier.TxPackets),
		TxDropped: sub(c.TxDropped, earlier.TxDropped),
	}
}

// Totals has the counters of every interface that is read.
type Totals map[Interface]Counters

// Sub returns t less the totals at an earlier time.
func (t Totals) Sub(earlier Totals) Totals {
	d := make(Totals, len(t))
	for i, c := range t {
		d[i] = c.Sub(earlier[i])
	}
	return d
}

// Record is one line of a time series: an interface's counters since the
// sampling began.
type Record struct {
	T float64 `json:"t_ms"` // since the sampling began
	Interface
	Counters
}

// Sample is one reading of all interfaces, in the order that Open was given.
type Sample struct {
	At      time.Duration // since the sampling began
	Records []Record
	Rates   map[Interface]Rates // since the sample before
}

// Rates is how fast an interface carries frames, in bit/s.
type Rates struct {
	Rx, Tx float64
}

// rates returns what moved between two records of one interface.
func rates(prev, cur Record) Rates {
	s := (cur.T - prev.T) / 1e3
	if s <= 0 {
		return Rates{}
	}
	moved := cur.Counters.Sub(prev.Counters)
	return Rates{Rx: float64(moved.RxBytes) * 8 / s, Tx: float64(moved.TxBytes) * 8 / s}
}
