package report

import "strings"

type align uint8

const (
	left align = iota
	right
)

// column is one column of the table. Its cells have parts: beside each other where
// there is room, each part then aligned on its own, below each other where not.
//
// A head of one part stands over the whole column, one of several over each part.
type column struct {
	head   []string
	align  align
	cells  [][]string // a row's parts; an empty part takes no line
	widths []int      // of the parts, beside each other
}

// gap is the space between columns; parts stand one space apart.
const gap = "  "

func (c *column) add(parts ...string) { c.cells = append(c.cells, parts) }

func (c *column) measure() {
	c.widths = nil
	rows := c.cells
	if len(c.head) > 1 {
		rows = append([][]string{c.head}, rows...)
	}
	for _, parts := range rows {
		for i, p := range parts {
			if i == len(c.widths) {
				c.widths = append(c.widths, 0)
			}
			c.widths[i] = max(c.widths[i], width(p))
		}
	}
}

func (c *column) beside() int {
	n := -1
	for _, w := range c.widths {
		n += w + 1
	}
	return max(n, width(c.title()))
}

func (c *column) title() string { return strings.Join(c.head, " ") }

func (c *column) stacked() int {
	n := 0
	for _, w := range c.widths {
		n = max(n, w)
	}
	for _, line := range c.headLines(n) {
		n = max(n, width(line))
	}
	return n
}

// headLines is the head over a stacked column: its parts, each wrapped to the
// widest part of the cells.
func (c *column) headLines(limit int) (out []string) {
	for _, p := range c.head {
		out = append(out, wrap(p, max(limit, 1))...)
	}
	return out
}

func (c *column) wideHead() string {
	if len(c.head) > 1 {
		return c.wideLine(c.head)
	}
	return c.title()
}

// wideLine is parts in one line, each under the part of the row above.
func (c *column) wideLine(parts []string) string {
	padded := make([]string, len(parts))
	for i, p := range parts {
		padded[i] = pad(p, c.widths[i], c.align)
	}
	return strings.Join(padded, " ")
}

// lines is a row's parts, a line each.
func (c *column) lines(row int) (out []string) {
	for _, p := range c.cells[row] {
		if p != "" {
			out = append(out, p)
		}
	}
	return out
}

// grid is a table that chooses its own layout. The first column names the row.
type grid []*column

// layout returns the table's lines, none wider than limit if that can be; 0 is no
// limit.
func (g grid) layout(limit int) []string {
	wide, folded := -len(gap), -len(gap)
	for _, c := range g {
		c.measure()
		wide += c.beside() + len(gap)
		folded += c.stacked() + len(gap)
	}
	switch {
	case limit == 0 || wide <= limit:
		return g.wide()
	case folded <= limit:
		return g.folded()
	}
	return g.blocks(limit)
}

func (g grid) rows() int { return len(g[0].cells) }

func (g grid) wide() []string {
	line := func(cell func(*column) string) string {
		cells := make([]string, len(g))
		for i, c := range g {
			cells[i] = pad(cell(c), c.beside(), c.align)
		}
		return strings.TrimRight(strings.Join(cells, gap), " ")
	}
	out := []string{line((*column).wideHead)}
	for row := range g.rows() {
		out = append(out, line(func(c *column) string { return c.wideLine(c.cells[row]) }))
	}
	return out
}

func (g grid) folded() []string {
	band := func(cell func(*column) []string) (out []string) {
		for more, i := true, 0; more; i++ {
			more = false
			cells := make([]string, len(g))
			for k, c := range g {
				text := ""
				if lines := cell(c); i < len(lines) {
					text = lines[i]
					more = more || i+1 < len(lines)
				}
				cells[k] = pad(text, c.stacked(), c.align)
			}
			out = append(out, strings.TrimRight(strings.Join(cells, gap), " "))
		}
		return out
	}
	out := band(func(c *column) []string { return c.headLines(c.stacked()) })
	for row := range g.rows() {
		if row > 0 {
			out = append(out, "") // or the eye takes a second line for a row
		}
		out = append(out, band(func(c *column) []string { return c.lines(row) })...)
	}
	return out
}

// blocks writes every row as a paragraph of "head: value" lines.
func (g grid) blocks(limit int) []string {
	var out []string
	for row := range g.rows() {
		if row > 0 {
			out = append(out, "")
		}
		out = append(out, wrap(strings.Join(g[0].lines(row), " "), limit)...)
		for _, c := range g[1:] {
			if lines := c.lines(row); len(lines) > 0 {
				out = append(out, hanging("  ", c.title()+": "+strings.Join(lines, " "), limit)...)
			}
		}
	}
	return out
}

func pad(s string, to int, a align) string {
	space := strings.Repeat(" ", max(to-width(s), 0))
	if a == right {
		return space + s
	}
	return s + space
}

// hanging wraps text after a mark; later lines are indented by the mark's width.
func hanging(mark, text string, limit int) []string {
	room := 0
	if limit > 0 {
		room = max(limit-width(mark), 1)
	}
	lines := wrap(text, room)
	for i := range lines {
		if i == 0 {
			lines[i] = mark + lines[i]
		} else {
			lines[i] = strings.Repeat(" ", width(mark)) + lines[i]
		}
	}
	return lines
}
