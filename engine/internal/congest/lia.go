package congest

// liaAlpha is RFC 6356, section 3 (Linked Increases):
//
//	alpha = cwnd_total * MAX(cwnd_i/rtt_i^2) / (SUM(cwnd_i/rtt_i))^2
//
// over the paths whose RTT is known; 1 without one. total is cwnd_total.
func liaAlpha(paths []*newReno) (alpha, total float64) {
	var best, sum float64
	for _, p := range paths {
		if !p.known() {
			continue
		}
		total += float64(p.window)
		best = max(best, p.rate()/p.srtt.Seconds())
		sum += p.rate()
	}
	if sum == 0 {
		return 1, total
	}
	return total * best / (sum * sum), total
}

// liaShare: the window grows by min(alpha * bytes_acked * MSS_i / cwnd_total,
// bytes_acked * MSS_i / cwnd_i). This is that over the second.
func liaShare(r *newReno, paths []*newReno) float64 {
	alpha, total := liaAlpha(paths)
	return min(alpha*float64(r.window)/total, 1)
}
