package results

// RPC is what requests at a rate came to. Their latency counts from when each was due;
// one without an answer is in it with the time that it had waited.
type RPC struct {
	Requests   int64 `json:"requests"` // that were due
	Answered   int64 `json:"answered"`
	Unanswered int64 `json:"unanswered"`
	// AnsweredPerS is Answered over the trial's duration.
	AnsweredPerS float64 `json:"answered_per_s"`
	GapMaxMS     float64 `json:"gap_max_ms"` // longest time without a whole answer
}

// CBR is what frames with a deadline came to. Their latency counts from when each was
// due, and has those alone that came.
type CBR struct {
	Frames     int64   `json:"frames"` // that were due
	Delivered  int64   `json:"delivered"`
	Late       int64   `json:"late"` // of Delivered: older than the deadline
	Lost       int64   `json:"lost"` // never came
	DeadlineMS float64 `json:"deadline_ms"`
	GapMaxMS   float64 `json:"gap_max_ms"` // longest time without a whole frame
}

// Handshake is what set-ups of sessions came to. The trial's latency is from dialling to
// the first byte of an answer.
type Handshake struct {
	Done     int64    `json:"done"`
	Failed   int64    `json:"failed"`
	PerS     float64  `json:"per_s"`
	Parallel int      `json:"parallel"`
	Dial     *Latency `json:"dial_ms"` // until the session was open
	DialHDR  string   `json:"dial_hdr,omitempty"`
	GapMaxMS float64  `json:"gap_max_ms"` // longest time without an answer
	Reason   string   `json:"reason,omitempty"`
}

// Timed reports whether the trial went by the clock: its goodput says what was asked
// for and not what the transport can do.
func (t Trial) Timed() bool { return t.RPC != nil || t.CBR != nil || t.Handshake != nil }

// The figures of a trial that goes by the clock, as ArmSummary names them.
const (
	FigureP50        = "latency_p50_ms"
	FigureP90        = "latency_p90_ms"
	FigureP99        = "latency_p99_ms"
	FigureP999       = "latency_p999_ms"
	FigureMax        = "latency_max_ms"
	FigureGapMax     = "gap_max_ms"
	FigureUnanswered = "unanswered_share" // of the requests
	FigureLate       = "late_share"       // of the frames, delivered or not
	FigureLost       = "lost_share"
	FigurePerS       = "per_s"        // sessions
	FigureFailed     = "failed_share" // of the sessions
	FigureDialP50    = "dial_p50_ms"
)

// figures returns what a trial is measured by beside its goodput.
func (t Trial) figures() map[string]float64 {
	f := map[string]float64{}
	share := func(n, of int64) float64 { return float64(n) / float64(max(of, 1)) }
	switch {
	case t.RPC != nil:
		f[FigureUnanswered] = share(t.RPC.Unanswered, t.RPC.Requests)
		f[FigureGapMax] = t.RPC.GapMaxMS
	case t.CBR != nil:
		f[FigureLate] = share(t.CBR.Late, t.CBR.Frames)
		f[FigureLost] = share(t.CBR.Lost, t.CBR.Frames)
		f[FigureGapMax] = t.CBR.GapMaxMS
	case t.Handshake != nil:
		h := t.Handshake
		f[FigurePerS] = h.PerS
		f[FigureFailed] = share(h.Failed, h.Done+h.Failed)
		f[FigureGapMax] = h.GapMaxMS
		if h.Dial != nil {
			f[FigureDialP50] = h.Dial.P50
		}
	default:
		return nil
	}
	if l := t.Latency; l != nil {
		f[FigureP50], f[FigureP90], f[FigureP99], f[FigureP999], f[FigureMax] = l.P50, l.P90, l.P99, l.P999, l.Max
	}
	return f
}

// summarizeFigures returns the medians of the good trials' figures; nil: they have none.
func summarizeFigures(trials []Trial, arm Arm) map[string]Estimate {
	samples := map[string][]float64{}
	for _, t := range trials {
		if t.OK() && t.Arm.Equal(arm) {
			for name, v := range t.figures() {
				samples[name] = append(samples[name], v)
			}
		}
	}
	if len(samples) == 0 {
		return nil
	}
	out := map[string]Estimate{}
	for name, s := range samples {
		out[name] = NewEstimate(s)
	}
	return out
}
