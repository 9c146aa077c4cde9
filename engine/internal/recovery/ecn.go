package recovery

// ecnTesting is how many packets carry marks before one of them is acknowledged (RFC
// 9000, section 13.4.2).
const ecnTesting = 10

// ECNState is how far ECN validation of a path is (RFC 9000, appendix A.4).
type ECNState uint8

// The states.
const (
	ECNTesting ECNState = iota
	ECNUnknown          // enough was marked, nothing came back yet
	ECNCapable
	ECNFailed
)

// String returns the state as qlog spells it.
func (s ECNState) String() string {
	return [...]string{"testing", "unknown", "capable", "failed"}[s]
}

// ecn validates a path's ECN.
type ecn struct {
	state      ECNState
	sent, lost int // marked packets, of this path
}

// ecnCounts is what a space's ACK frames said so far, and what was marked in it.
type ecnCounts struct {
	ect0, ect1, ce uint64
	sent           uint64 // packets marked ECT(0)
}

func (e *ecn) marked() {
	if e.sent++; e.state == ECNTesting && e.sent >= ecnTesting {
		e.state = ECNUnknown
	}
}

// markedLost reports whether validation failed with this loss of a marked packet: RFC
// 9000, section 13.4.2: all marked packets were lost.
func (e *ecn) markedLost() (failed bool) {
	e.lost++
	if e.state == ECNUnknown && e.lost >= e.sent {
		e.state = ECNFailed
		return true
	}
	return false
}

// validate takes in the counts of an ACK frame that raised the largest acknowledged
// number and newly acknowledged n marked packets, with one of this path among them if
// proof. It returns how many marks of CE are new, and whether validation failed.
func (e *ecn) validate(c *ecnCounts, a Ack, n uint64, proof bool) (ce uint64, failed bool) {
	before := *c
	if a.HasECN {
		c.ect0, c.ect1, c.ce = a.ECT0, a.ECT1, a.CE
	}
	if e.state == ECNFailed || c.sent == 0 || (!a.HasECN && n == 0) {
		return 0, false
	}
	// RFC 9000, section 13.4.2.1: validation fails when a marked packet is acknowledged
	// without counts;
	ok := a.HasECN && a.ECT0 >= before.ect0 && a.CE >= before.ce &&
		// when the counts rise by less than what is newly acknowledged, CE for ECT(0) allowed;
		(a.ECT0-before.ect0)+(a.CE-before.ce) >= n &&
		// when more is reported than was marked. ECT(1) never was.
		a.ECT0 <= c.sent && a.ECT1 == before.ect1
	if !ok {
		// Section 13.4.2.2: MUST disable ECN.
		e.state = ECNFailed
		return 0, true
	}
	if proof {
		e.state = ECNCapable
	}
	return a.CE - before.ce, false
}
