package topologies

// joining returns the links that an arm between two hosts may be pinned to: the first
// of each path, seen from the one that dials.
func (t Topology) joining(a, b string) []string {
	there, back := t.firsts(a, b), t.firsts(b, a)
	for _, l := range t.Links {
		for end, names := range map[string][]string{a: there, b: back} {
			if l.Endpoints[0] == end && len(names) > 0 {
				return names
			}
		}
	}
	if there == nil {
		return back
	}
	return there
}

// firsts returns the links of a host over which another can be reached.
func (t Topology) firsts(from, to string) []string {
	var names []string
	for _, l := range t.Links {
		if end := l.End(from); from != to && end >= 0 && t.leads(l.Endpoints[1-end], to, map[string]bool{from: true}) {
			names = append(names, l.Name)
		}
	}
	return names
}

// leads reports whether packets get from one node to another.
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
