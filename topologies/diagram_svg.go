package topologies

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The measures of an SVG drawing, in its units (pixels at first).
const (
	svgCharacter = 7.3  // advance of the widest of the usual fonts of fixed width, at svgFont
	svgFont      = 12   // font-size
	svgLine      = 16.0 // from one line of text to the next
	svgPad       = 8.0  // around text
	svgRun       = 46.0 // of the lines between two columns
	svgBetween   = 14.0 // two cells of a column
	svgPass      = 10.0 // height of a cell that a link only passes
	svgMargin    = 16.0 // around all
	svgTitle     = 30.0 // height of the title
	svgWrap      = 34   // characters in a line of a link's text
)

// box is a place in a drawing.
type box struct {
	x, y, width, height float64
}

func (b box) right() float64  { return b.x + b.width }
func (b box) middle() float64 { return b.y + b.height/2 }

// drawing is a layout with its measures.
type drawing struct {
	layout
	topology      Topology
	texts         [][]string // of each cell
	boxes         []box      // of each cell
	width, height float64
}

// SVG draws the topology as a picture that stands for itself: no style sheet, no
// script, no font but the viewer's own one of fixed width.
func SVG(t Topology) string { return newDrawing(t).svg() }

func newDrawing(t Topology) drawing {
	d := drawing{layout: newLayout(t), topology: t}
	d.texts = make([][]string, len(d.cells))
	d.boxes = make([]box, len(d.cells))
	for i, c := range d.cells {
		switch {
		case c.node >= 0:
			d.texts[i] = []string{t.Nodes[c.node].caption()}
		case c.text:
			link := t.Links[c.link]
			d.texts[i] = append([]string{link.Name}, linkText(link, arrows(c.reversed), svgWrap)...)
		}
	}
	d.measure()
	return d
}

// measure gives each cell its box: columns side by side, each around the same middle.
func (d *drawing) measure() {
	x, tallest := svgMargin, 0.0
	for i, column := range d.columns {
		width, height := 0.0, -svgBetween
		for _, c := range column.cells {
			width = max(width, float64(widest(d.texts[c]))*svgCharacter+2*svgPad)
			d.boxes[c].height = svgPass
			if n := len(d.texts[c]); n > 0 {
				d.boxes[c].height = float64(n)*svgLine + 2*svgPad
			}
			height += d.boxes[c].height + svgBetween
		}
		if i > 0 {
			x += svgRun
		}
		for _, c := range column.cells {
			d.boxes[c].x, d.boxes[c].width = x, width
		}
		x += width
		tallest = max(tallest, height)
	}
	for _, column := range d.columns {
		height := -svgBetween
		for _, c := range column.cells {
			height += d.boxes[c].height + svgBetween
		}
		y := svgMargin + svgTitle + (tallest-height)/2
		for _, c := range column.cells {
			d.boxes[c].y = y
			y += d.boxes[c].height + svgBetween
		}
	}
	title := float64(utf8.RuneCountInString(d.topology.Name))*svgCharacter + svgMargin
	d.width, d.height = max(x, title)+svgMargin, svgMargin+svgTitle+max(tallest, 0)+svgMargin
}

func (d drawing) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="monospace" font-size="%d">`+"\n", d.width, d.height, d.width, d.height, svgFont)
	fmt.Fprintf(&b, "<title>%s</title>\n", xmlText(d.topology.Name))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" font-weight="bold" fill="#222222">%s</text>`+"\n", svgMargin, svgMargin+svgFont, xmlText(d.topology.Name))
	for _, route := range d.routes {
		d.drawRoute(&b, route)
	}
	for i := range d.cells {
		d.drawCell(&b, i)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// drawRoute draws a link's line, under what stands on its way. It leaves and enters
// nodes at a place of its own, so that the links of two nodes stay apart.
func (d drawing) drawRoute(b *strings.Builder, route []int) {
	var path strings.Builder
	for k := range len(route) - 1 {
		from, to := route[k], route[k+1]
		x1, y1, x2, y2 := d.boxes[from].right(), d.port(from, to), d.boxes[to].x, d.port(to, from)
		bend := (x1 + x2) / 2
		fmt.Fprintf(&path, "M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f", x1, y1, bend, y1, bend, y2, x2, y2)
		if d.cells[to].node < 0 && !d.cells[to].text {
			fmt.Fprintf(&path, "H%.1f", d.boxes[to].right()) // straight through
		}
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="#5b7aa6" stroke-width="1.5"/>`+"\n", path.String())
}

// port returns the height at which a line from a cell meets another one: the middle,
// or a share of a node's side, from the top in the order of the other side.
func (d drawing) port(at, other int) float64 {
	if d.cells[at].node < 0 {
		return d.boxes[at].middle()
	}
	before, all := 0, 0
	for _, route := range d.routes {
		for k := range len(route) - 1 {
			peer := -1
			if route[k] == at && d.boxes[route[k+1]].x == d.boxes[other].x {
				peer = route[k+1]
			}
			if route[k+1] == at && d.boxes[route[k]].x == d.boxes[other].x {
				peer = route[k]
			}
			if peer < 0 {
				continue
			}
			all++
			if d.boxes[peer].y < d.boxes[other].y {
				before++
			}
		}
	}
	return d.boxes[at].y + d.boxes[at].height*(float64(before)+0.5)/float64(max(all, 1))
}

func (d drawing) drawCell(b *strings.Builder, i int) {
	c, at := d.cells[i], d.boxes[i]
	if len(d.texts[i]) == 0 {
		return
	}
	fill, stroke, round := "#f6f8fb", "#b9c6d9", 3
	if c.node >= 0 {
		fill, stroke, round = "#e3ecf8", "#34507a", 8
	}
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%d" fill="%s" stroke="%s"/>`+"\n", at.x, at.y, at.width, at.height, round, fill, stroke)
	for k, text := range d.texts[i] {
		weight := ""
		if k == 0 {
			weight = ` font-weight="bold"`
		}
		x, anchor := at.x+svgPad, ""
		if c.node >= 0 {
			x, anchor = at.x+at.width/2, ` text-anchor="middle"`
		}
		y := at.y + svgPad + float64(k)*svgLine + svgFont
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f"%s%s fill="#222222" xml:space="preserve">%s</text>`+"\n", x, y, anchor, weight, xmlText(text))
	}
}

// xmlText writes text so that XML takes it for text and nothing else.
func xmlText(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(printable(text))) // a Builder takes everything
	return b.String()
}
