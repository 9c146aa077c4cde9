package congest

// oliaShare is OLIA (draft-khalili-mptcp-congestion-control-05, section 3; Khalili et
// al., "MPTCP is not Pareto-optimal", 2013). For each ACK the window grows by
//
//	(w_r/rtt_r^2 / (SUM(w_p/rtt_p))^2 + alpha_r/w_r) * MSS_r * bytes_acked
//
// This is that over MSS_r * bytes_acked / w_r, NewReno's.
func oliaShare(r *newReno, paths []*newReno) float64 {
	var sum float64
	for _, p := range paths {
		if p.known() {
			sum += p.rate()
		}
	}
	part := r.rate() / sum
	return part*part + oliaAlpha(r, paths)
}

// oliaAlpha moves growth from the paths with the largest windows to those that are
// best and have smaller ones: 1/(paths*|collected|) for the latter, -1/(paths*|max|)
// for the former while there are any of the latter, 0 for the rest.
func oliaAlpha(r *newReno, paths []*newReno) float64 {
	var bestQuality, maxWindow float64
	known := 0
	for _, p := range paths {
		if p.known() {
			known++
			bestQuality = max(bestQuality, p.oliaQuality())
			maxWindow = max(maxWindow, float64(p.window))
		}
	}
	// collected_paths is best_paths without max_w_paths.
	largest, collected := 0, 0
	for _, p := range paths {
		switch {
		case !p.known():
		case float64(p.window) == maxWindow:
			largest++
		case p.oliaQuality() == bestQuality:
			collected++
		}
	}
	switch {
	case collected == 0:
		return 0
	case float64(r.window) == maxWindow:
		return -1 / float64(known*largest)
	case r.oliaQuality() == bestQuality:
		return 1 / float64(known*collected)
	}
	return 0
}

// oliaQuality is l_r/rtt_r^2, by which paths are best: l_r is the larger of what was
// acknowledged since the last loss and between the last two.
func (r *newReno) oliaQuality() float64 {
	rtt := r.srtt.Seconds()
	return float64(max(r.sinceLoss, r.betweenLosses)) / (rtt * rtt)
}
