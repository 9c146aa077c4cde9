package topologies

// joining returns the first links of the paths between two hosts, seen from the one
// that is the first endpoint of the first such link.
func (t Topology) joining(a, b string) []string {
	var names []string
	for _, l := range t.Links {
		end := l.End(a)
		if end < 0 {
			continue
		}
		if t.leads(l.Endpoints[1-end], b, map[string]bool{a: true}) {
			names = append(names, l.Name)
		}
	}
	return names
}

func (t Topology) leads(from, to string, seen map[string]bool) bool {
	if from == to {
		return true
	}
	seen[from] = true
	for _, n := range t.Nodes {
		if n.Name != from || !n.Forwards() {
			continue
		}
		for _, l := range t.Links {
			if end := l.End(from); end >= 0 && !seen[l.Endpoints[1-end]] && t.leads(l.Endpoints[1-end], to, seen) {
				return true
			}
		}
	}
	return false
}
