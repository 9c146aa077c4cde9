package results

// Schema names the format of summary.json. Readers check it first.
const Schema = "tquiclab/v1"

// Summary is summary.json, and what --json prints: a whole run. The names are
// read by other tools and do not change within a schema version. A null is a
// value that was not measured; it never stands for zero.
type Summary struct {
	Schema         string        `json:"schema"`
	Lab            string        `json:"lab"`
	TopologySHA256 string        `json:"topology_sha256"`
	Backend        string        `json:"backend"` // relay, netem, sim or direct
	Seed           uint64        `json:"seed"`
	Complete       bool          `json:"complete"`
	Trials         []Trial       `json:"trials"`
	Arms           []ArmSummary  `json:"arms"`
	Calibration    []Calibration `json:"calibration"`
	Warnings       []string      `json:"warnings"`
}

// Arm is one combination of settings.
type Arm struct {
	Engine      string   `json:"engine"`
	Paths       []string `json:"paths"` // links in use, in the topology's order
	Scheduler   string   `json:"scheduler"`
	Congestion  string   `json:"congestion"`
	Transmit    string   `json:"transmit"`
	Streams     int      `json:"streams"` // per connection
	Connections int      `json:"connections"`
	MTU         int      `json:"mtu"` // smallest among the paths, bytes
}

// Trial is one arm in one round. A failed trial keeps its place, with Error set
// and Intact false.
type Trial struct {
	Round              int         `json:"round"` // from 1
	Order              int         `json:"order"` // position within the round, from 1
	Arm                Arm         `json:"arm"`
	GoodputBPS         float64     `json:"goodput_bps"`
	Bytes              int64       `json:"bytes"`               // delivered in order
	DurationS          float64     `json:"duration_s"`          // start of sending to last byte read
	Intact             bool        `json:"intact"`              // every byte sent arrived, in order, as sent
	Unchecked          bool        `json:"unchecked,omitempty"` // nobody looked at the bytes: the engine makes its own
	Error              string      `json:"error,omitempty"`
	AggregationBenefit *float64    `json:"aggregation_benefit"`
	Paths              []TrialPath `json:"paths"`
	Latency            *Latency    `json:"latency_ms"` // of rpc, cbr and handshake
	// LatencyHDR is all of it: an HdrHistogram of microseconds with three digits, V2
	// compressed, in base64.
	LatencyHDR string     `json:"latency_hdr,omitempty"`
	RPC        *RPC       `json:"rpc,omitempty"`
	CBR        *CBR       `json:"cbr,omitempty"`
	Handshake  *Handshake `json:"handshake,omitempty"`
	StallMaxMS float64    `json:"stall_max_ms"` // longest time without a byte at the receiver
	// Stalls are the longest such times in order of time: at most 128, none below 20 ms.
	Stalls   []Stall `json:"stalls,omitempty"`
	Sender   Usage   `json:"sender"`
	Receiver Usage   `json:"receiver"`
	StolenS  float64 `json:"stolen_s"` // CPU time that the host took away during the trial
	// ClockTMS is when the topology's clock started, from which its events and steps
	// count, on the series' clock: an event at 5s took place at ClockTMS + 5000. Nil: it is
	// not known, or there is none. Negative where the handshake's first packet starts it.
	ClockTMS *float64 `json:"clock_t_ms,omitempty"`
	// Changes are what the network did meanwhile, in order: at most the first 1000, all of
	// them are in the series.
	Changes []Change `json:"changes,omitempty"`
}

// Stall is a time without a byte at the receiver, over all streams.
type Stall struct {
	// AtMS is when it began, on the series' clock (t_ms): since the transfer began, as the
	// changes' t_ms.
	AtMS float64 `json:"at_ms"`
	MS   float64 `json:"ms"`
}

// Change is something that changed in the network.
type Change struct {
	TMS    float64 `json:"t_ms"`              // since the transfer began; negative: while it was set up
	What   string  `json:"what"`              // for people: "lte down"
	By     string  `json:"by"`                // timeline or hand
	LateMS float64 `json:"late_ms,omitempty"` // behind the timeline
	Error  string  `json:"error,omitempty"`   // it did not take effect
}

// TrialPath is one link's part of a trial, for the direction that carries the
// data. Packets and shares are the interfaces' own counters.
type TrialPath struct {
	Link            string            `json:"link"`
	GoodputBPS      float64           `json:"goodput_bps"` // the trial's goodput times Share
	Share           float64           `json:"share"`       // of the bytes that the receiver's interfaces counted
	SRTTMS          *float64          `json:"srtt_ms"`
	LostPackets     *uint64           `json:"lost_packets"` // dropped by the link, all reasons
	Drops           map[string]uint64 `json:"drops,omitempty"`
	SentPackets     uint64            `json:"sent_packets"`
	ReinjectedBytes uint64            `json:"reinjected_bytes"`
	// What the sender's engine says, over all connections; null where it does not.
	DeclaredLost   *uint64 `json:"declared_lost_packets"` // lost, as the engine took it
	SchedulerPicks *uint64 `json:"scheduler_picks"`       // trains that the scheduler put on it
	Dead           bool    `json:"dead,omitempty"`        // some connection gave the path up
}

// Latency is a distribution in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Usage is what one side's process used between the start of the workload and
// its end.
type Usage struct {
	CPUS                float64  `json:"cpu_s"`
	CPUSPerGbit         float64  `json:"cpu_s_per_gbit"`
	AllocsPerPacket     *float64 `json:"allocs_per_packet"`
	AllocBytesPerPacket *float64 `json:"alloc_bytes_per_packet"`
	CopiesPerByte       *float64 `json:"copies_per_byte"` // null: the engine does not count its copies
	PeakRSSBytes        int64    `json:"peak_rss_bytes"`
	GCCycles            int64    `json:"gc_cycles"`
}

// ArmSummary is an arm over all its rounds.
type ArmSummary struct {
	Arm     Arm      `json:"arm"`
	Goodput Estimate `json:"goodput_bps"`
	Failed  int      `json:"failed"` // trials that ended with an error or were not intact
	// AggregationBenefit is the median over the rounds, where it could be computed.
	AggregationBenefit *float64 `json:"aggregation_benefit"`
	// Figures are those of rpc, cbr and handshake by their names, such as latency_p99_ms:
	// medians over the rounds.
	Figures map[string]Estimate `json:"figures,omitempty"`
}

// Estimate is a median with the bounds of its 95 % confidence interval, which
// are null when n is too small to have one (below 6).
type Estimate struct {
	Median float64  `json:"median"`
	Lo     *float64 `json:"lo"`
	Hi     *float64 `json:"hi"`
	Min    float64  `json:"min"`
	Max    float64  `json:"max"`
	N      int      `json:"n"`
}

// Calibration is the verdict on one direction of one link.
type Calibration struct {
	Link      string             `json:"link"`
	Direction string             `json:"direction"` // up or down
	OK        bool               `json:"ok"`        // every check passed
	Checks    []CalibrationCheck `json:"checks,omitempty"`
}

// CalibrationCheck is one figure of a direction against what was asked for.
type CalibrationCheck struct {
	Name string  `json:"name"`           // delay, spread, rate, queue, loss, burst, reordered, duplicated, mtu, receiver, backend, lateness
	Unit string  `json:"unit,omitempty"` // ms, bit/s, packets, bytes; empty: a share
	Want float64 `json:"want"`           // what a perfect wire would have given to the same packets, on average
	Got  float64 `json:"got"`            // NaN, and null in JSON: nothing came that it could be measured by
	Low  float64 `json:"low"`            // it passes from here
	High float64 `json:"high"`           // to here: chance, and the tolerance
	OK   bool    `json:"ok"`
}

// Missed returns the names of the checks that failed.
func (c Calibration) Missed() []string {
	var names []string
	for _, check := range c.Checks {
		if !check.OK {
			names = append(names, check.Name)
		}
	}
	return names
}
