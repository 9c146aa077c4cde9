package results

import "slices"

// Equal reports whether a and b are the same arm.
func (a Arm) Equal(b Arm) bool {
	return settingsOf(a) == settingsOf(b) && a.MTU == b.MTU && slices.Equal(a.Paths, b.Paths)
}

// Summarize groups the trials by arm, in the order of first appearance. Trials
// that failed are counted and take no part in the estimates. Call FillBenefit
// first: the medians of its values are taken here.
func Summarize(trials []Trial) []ArmSummary {
	var arms []ArmSummary
	for _, t := range trials {
		if !slices.ContainsFunc(arms, func(a ArmSummary) bool { return a.Arm.Equal(t.Arm) }) {
			arms = append(arms, summarizeArm(t.Arm, trials))
		}
	}
	return arms
}

func summarizeArm(arm Arm, trials []Trial) ArmSummary {
	s := ArmSummary{Arm: arm}
	var goodputs, benefits []float64
	for _, t := range trials {
		switch {
		case !t.Arm.Equal(arm):
		case !t.OK():
			s.Failed++
		default:
			goodputs = append(goodputs, t.GoodputBPS)
			if t.AggregationBenefit != nil {
				benefits = append(benefits, *t.AggregationBenefit)
			}
		}
	}
	s.Goodput = NewEstimate(goodputs)
	s.AggregationBenefit = median(benefits)
	s.Figures = summarizeFigures(trials, arm)
	return s
}
