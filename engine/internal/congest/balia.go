package congest

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// baliaRates returns SUM(x_k) and alpha_r = MAX(x_k)/x_r of BALIA
// (draft-walid-mptcp-congestion-control-04; Peng, Walid, Hwang and Low, "Multipath
// TCP: Analysis, Design, and Implementation", 2016), with x_r = w_r/rtt_r.
func baliaRates(r *newReno, paths []*newReno) (sum, alpha float64) {
	var largest float64
	for _, p := range paths {
		if p.known() {
			sum += p.rate()
			largest = max(largest, p.rate())
		}
	}
	return sum, largest / r.rate()
}

// baliaShare: for each ACK the window grows, in MSS, by
//
//	x_r/rtt_r / (SUM(x_k))^2 * (1+alpha_r)/2 * (4+alpha_r)/5
//
// This is that over 1/w_r, NewReno's.
func baliaShare(r *newReno, paths []*newReno) float64 {
	sum, alpha := baliaRates(r, paths)
	part := r.rate() / sum
	return part * part * (1 + alpha) / 2 * (4 + alpha) / 5
}

// baliaReduced: a loss takes w_r/2 * min(alpha_r, 1.5).
func baliaReduced(r *newReno, paths []*newReno) wire.ByteCount {
	_, alpha := baliaRates(r, paths)
	return r.window - wire.ByteCount(float64(r.window)/2*min(alpha, 1.5))
}
