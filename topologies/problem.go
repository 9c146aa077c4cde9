package topologies

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`               // from 1; 0 for what stands in no file
	Col      int    `json:"col"`                // from 1, in characters
	Path     string `json:"path,omitempty"`     // of the value, such as links[0].up.rate; empty at the top
	Text     string `json:"text"`               // what is wrong, with the offending text
	Expected string `json:"expected,omitempty"` // what would be right
	Nearest  string `json:"nearest,omitempty"`  // the nearest valid spelling; empty when nothing is near
}

// String returns the problem as one line:
//
//	lab.yaml:7:16: links[0].profile: unknown profile "lt": expected one of ethernet, lte, wifi; did you mean "lte"?
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Col)
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(sentence(p.Text, p.Expected, p.Nearest))
	return b.String()
}

// Problems is everything that is wrong with a file, in the order of the file. As
// an error it is never empty.
type Problems []Problem

// Error returns one line per problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// sort puts the problems in the order of the file. Problems of one position keep
// the order in which they were found.
func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

func sentence(text, expected, nearest string) string {
	if expected != "" {
		text += ": expected " + expected
	}
	if nearest != "" {
		text += "; did you mean " + strconv.Quote(nearest) + "?"
	}
	return text
}

// quote returns s in quotes, shortened when it would drown the message.
func quote(s string) string {
	const most = 48
	n := 0
	for i := range s {
		if n == most {
			return strconv.Quote(s[:i] + "…")
		}
		n++
	}
	return strconv.Quote(s)
}
