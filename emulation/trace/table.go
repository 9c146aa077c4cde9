package trace

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/tquiclab/tquiclab/emulation"
)

// ReadTable reads a distribution in the form of iproute2's *.dist files: whole
// numbers with white space between them, each an offset of which
// emulation.TableScale make one jitter; what follows a # is passed over. The errors
// are of type *Error, joined.
func ReadTable(file string, r io.Reader) (emulation.Table, error) {
	f := findings{file: file}
	var t emulation.Table
	f.lines(r, func(line string) bool {
		line, _, _ = strings.Cut(line, "#")
		for cell := range strings.FieldsSeq(line) {
			v, err := strconv.ParseInt(cell, 10, 16)
			switch {
			case err != nil:
				f.add(fmt.Sprintf("whole numbers from %d to %d", math.MinInt16, math.MaxInt16), "%.40q", cell)
				return true
			case len(t) == emulation.MaxTableSize:
				f.add(fmt.Sprintf("at most %d values", len(t)), "the table goes on")
				return false
			}
			t = append(t, int16(v))
		}
		return true
	})
	if len(f.errs) == 0 && len(t) == 0 {
		f.whole(fmt.Errorf("distribution table is empty"))
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return t, nil
}
