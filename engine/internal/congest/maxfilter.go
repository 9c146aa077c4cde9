package congest

// maxFilter is the largest of the values seen in a window of time, by Kathleen
// Nichols' algorithm: it keeps the best, and the best since that one and since the
// next, in constant space. The answer may be from up to a window ago.
type maxFilter [3]struct {
	value int64
	at    uint64
}

func (f *maxFilter) max() int64 { return f[0].value }

// update takes in a value at a time, which does not go back.
func (f *maxFilter) update(value int64, at, window uint64) {
	now := struct {
		value int64
		at    uint64
	}{value, at}
	switch {
	case value >= f[0].value, at-f[2].at > window:
		f[0], f[1], f[2] = now, now, now
		return
	case value >= f[1].value:
		f[1], f[2] = now, now
	case value >= f[2].value:
		f[2] = now
	}
	switch age := at - f[0].at; {
	case age > window:
		// The best is too old: the next ones move up.
		f[0], f[1], f[2] = f[1], f[2], now
		if at-f[0].at > window {
			f[0], f[1], f[2] = f[1], f[2], now
		}
	case f[1].at == f[0].at && age > window/4:
		// A quarter passed without a second best: take one from the second quarter.
		f[1], f[2] = now, now
	case f[2].at == f[1].at && age > window/2:
		f[2] = now
	}
}
