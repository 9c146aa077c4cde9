package topologies

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

// routed has routers, a NAT, parallel links, one that spans columns, one that was
// written the other way round, and a node alone.
func routed() Topology {
	lte := emulation.Impairments{Rate: 12e6, Delay: 35e6, Jitter: 5e6, Loss: 0.0001, Queue: emulation.Queue{Time: 300e6}}
	return Topology{
		Name:  "routed",
		Nodes: []Node{{Name: "client"}, {Name: "home", Kind: NAT, Inside: []string{"lan"}}, {Name: "isp", Kind: Router}, {Name: "server"}, {Name: "alone"}},
		Links: []Link{
			{Name: "lan", Endpoints: [2]string{"client", "home"}, MTU: 1500},
			{Name: "dsl", Endpoints: [2]string{"home", "isp"}, MTU: 1492, Up: lte, Down: lte, Family: IPv4Only},
			{Name: "backup", Endpoints: [2]string{"isp", "home"}, MTU: 1400, Up: lte},
			{Name: "core", Endpoints: [2]string{"isp", "server"}, MTU: 9000},
			{Name: "lte", Endpoints: [2]string{"client", "server"}, MTU: 1400, Up: lte, Down: lte},
		},
	}
}

func formats() map[string]func(Topology) string {
	return map[string]func(Topology) string{
		"terminal":    func(t Topology) string { return Terminal(t, 0) },
		"terminal-60": func(t Topology) string { return Terminal(t, 60) },
		"mermaid":     Mermaid,
		"dot":         DOT,
		"svg":         SVG,
	}
}

func TestDrawings(t *testing.T) {
	for format, draw := range formats() {
		t.Run(format, func(t *testing.T) {
			var b strings.Builder
			for _, e := range Catalog() {
				topology, err := Loader{}.Find(e.Name)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s\n%s\n", e.Name, draw(topology))
			}
			fmt.Fprintf(&b, "routed\n%s\n", draw(routed()))
			golden(t, "testdata/graph-"+format+".golden", b.String())
		})
	}
}

func TestTerminalKeepsTheWidth(t *testing.T) {
	for _, width := range []int{60, 80, 100, 200} {
		for _, line := range strings.Split(Terminal(routed(), width), "\n") {
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("width %d: a line has %d characters: %s", width, n, line)
			}
		}
	}
}

// Names from elsewhere than a file may hold anything: they stay text.
func TestNamesAreText(t *testing.T) {
	nasty := []string{`a"b`, `a\`, `</text><script>`, "a\nb -- c", "a&b;", "#quot;", "`x`", "a|b", "a\x00\xff"}
	for _, name := range nasty {
		t.Run(name, func(t *testing.T) {
			topology := Topology{
				Name: name, Nodes: []Node{{Name: name}, {Name: "z"}},
				Links: []Link{{Name: name, Endpoints: [2]string{name, "z"}, MTU: 1500}},
			}
			plain := Topology{
				Name: "n", Nodes: []Node{{Name: "n"}, {Name: "z"}},
				Links: []Link{{Name: "n", Endpoints: [2]string{"n", "z"}, MTU: 1500}},
			}
			if got, want := elements(t, SVG(topology)), elements(t, SVG(plain)); got != want {
				t.Errorf("SVG has the elements %s, want %s", got, want)
			}
			for format, draw := range map[string]func(Topology) string{"mermaid": Mermaid, "dot": DOT} {
				got, want := draw(topology), draw(plain)
				if strings.Count(got, "\n") != strings.Count(want, "\n") || quotes(got) != quotes(want) {
					t.Errorf("%s is not what it is with a plain name but for the name:\n%s", format, got)
				}
			}
			if strings.ContainsAny(strings.ReplaceAll(Mermaid(topology), "<br/>", ""), "`\\") {
				t.Errorf("Mermaid gets what it would take for its own:\n%s", Mermaid(topology))
			}
		})
	}
}

// quotes counts the quotes that begin or end a string.
func quotes(text string) int {
	text = strings.ReplaceAll(text, `\\`, "")
	return strings.Count(text, `"`) - strings.Count(text, `\"`)
}

// elements returns the names of an XML document's elements.
func elements(t *testing.T, document string) string {
	t.Helper()
	var names []string
	for d := xml.NewDecoder(strings.NewReader(document)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return strings.Join(names, " ")
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, document)
		}
		if start, ok := token.(xml.StartElement); ok {
			names = append(names, start.Name.Local)
		}
	}
}

// Whatever the topology: nothing in a drawing lies over anything else, text is within
// its box, boxes are within the drawing, and lines run between neighbouring columns.
func TestNothingOverlaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topology := Topology{Name: rapid.StringMatching(`[a-z0-9-]{1,40}`).Draw(t, "name")}
		nodes := rapid.IntRange(1, 12).Draw(t, "nodes")
		for i := range nodes {
			kind := rapid.SampledFrom([]NodeKind{Host, Router, NAT}).Draw(t, "kind")
			topology.Nodes = append(topology.Nodes, Node{Name: fmt.Sprintf("n%d", i) + strings.Repeat("x", rapid.IntRange(0, 12).Draw(t, "length")), Kind: kind})
		}
		for i := range rapid.IntRange(0, 20).Draw(t, "links") {
			if nodes == 1 {
				break
			}
			a := rapid.IntRange(0, nodes-1).Draw(t, "a")
			b := (a + rapid.IntRange(1, nodes-1).Draw(t, "b")) % nodes
			link := Link{Name: fmt.Sprintf("l%d", i), Endpoints: [2]string{topology.Nodes[a].Name, topology.Nodes[b].Name}, MTU: 1500}
			if rapid.Bool().Draw(t, "impaired") {
				link.Up = emulation.Impairments{Rate: 12e6, Delay: 35e6, Jitter: 5e6, Loss: 0.0001, Queue: emulation.Queue{Time: 300e6}}
			}
			topology.Links = append(topology.Links, link)
		}
		checkDrawing(t, newDrawing(topology))
		_ = Terminal(topology, 80)
	})
}

func checkDrawing(t *rapid.T, d drawing) {
	columnOf := map[int]int{}
	for i, column := range d.columns {
		for _, c := range column.cells {
			columnOf[c] = i
		}
	}
	for i, a := range d.boxes {
		if a.x < svgMargin || a.y < svgMargin || a.right() > d.width-svgMargin+0.01 || a.y+a.height > d.height-svgMargin+0.01 {
			t.Fatalf("box %+v is not within %v x %v", a, d.width, d.height)
		}
		if float64(widest(d.texts[i]))*svgCharacter+2*svgPad > a.width+0.01 || float64(len(d.texts[i]))*svgLine > a.height+0.01 {
			t.Fatalf("text %q is not within %+v", d.texts[i], a)
		}
		for k, b := range d.boxes[:i] {
			if a.x < b.right() && b.x < a.right() && a.y < b.y+b.height && b.y < a.y+a.height {
				t.Fatalf("boxes %d and %d overlap: %+v %+v", k, i, b, a)
			}
		}
	}
	for i, route := range d.routes {
		ends := map[string]bool{}
		for k, c := range route {
			if k > 0 && columnOf[c] != columnOf[route[k-1]]+1 {
				t.Fatalf("link %d runs from column %d to %d", i, columnOf[route[k-1]], columnOf[c])
			}
			if n := d.cells[c].node; n >= 0 {
				ends[d.topology.Nodes[n].Name] = true
			}
		}
		if want := d.topology.Links[i].Endpoints; len(ends) != 2 || !ends[want[0]] || !ends[want[1]] {
			t.Fatalf("link %d runs between %v, want %v", i, ends, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{
		{"one two three", 0, "one two three"},
		{"one two three", 7, "one two|  three"},
		{"one two three", 3, "one|  two|  three"},
		{"±± ±±", 5, "±± ±±"},
		{"", 5, ""},
	} {
		if got := strings.Join(wrap(tt.text, tt.width), "|"); got != tt.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", tt.text, tt.width, got, tt.want)
		}
	}
}
