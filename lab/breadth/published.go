package breadth

// published returns the best figure that mqvpn, with its bond, reports for a topology
// of the catalogue, bit/s; 0: there is none. Source: mqvpn v0.13.4, report of
// 2026-06-18, one HTTP/3 GET of 20 MiB inside the tunnel, median of 3.
func published(topology string) float64 {
	return map[string]float64{
		"bench/baseline":     73.9e6,
		"bench/rtt-40":       49.0e6,
		"bench/rtt-70":       40.2e6,
		"bench/rtt-120":      40.6e6,
		"bench/rtt-320":      40.1e6,
		"bench/jit-5":        61.4e6,
		"bench/jit-20":       37.6e6,
		"bench/loss-05":      70.7e6,
		"bench/loss-2":       29.0e6,
		"bench/bw-4to1":      39.9e6,
		"bench/bw-10to1":     70.1e6,
		"bench/dual-lte":     29.6e6,
		"bench/fiber-lte":    212.3e6,
		"bench/lte-starlink": 27.2e6,
		"bench/lte-geo":      31.5e6,
		"bench/congested":    6.4e6,
	}[topology]
}
