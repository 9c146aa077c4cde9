package topologies

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxFile is the largest file that is read. The largest lab that the format
// allows is a tenth of it.
const maxFile = 1 << 20

// position is a place in a file, both from 1. Columns count characters.
type position struct{ line, col int }

// parseYAML returns the root value of the one document in data. Where it
// returns nil it has reported why.
func (d *decoder) parseYAML(data []byte) *yaml.Node {
	start := position{1, 1}
	if len(data) > maxFile {
		d.report(start, Problem{Text: fmt.Sprintf("the file has more than %s", FormatSize(maxFile)), Expected: "a topology of at most 1MiB"})
		return nil
	}
	if at, ok := unreadable(data); !ok {
		d.report(at, Problem{Text: "not a character of YAML", Expected: "UTF-8 text without control characters"})
		return nil
	}
	documents := yaml.NewDecoder(bytes.NewReader(data))
	root, err := nextDocument(documents)
	switch {
	case err == io.EOF:
		d.report(start, Problem{Text: "the file is empty", Expected: "a topology; `tquiclab topologies show direct` prints a small one"})
		return nil
	case err != nil:
		d.report(syntaxProblem(data, err))
		return nil
	}
	if second, err := nextDocument(documents); err == nil {
		d.report(position{second.Line, second.Column}, Problem{Text: "a second document", Expected: "one topology in a file"})
		return nil
	} else if err != io.EOF {
		d.report(syntaxProblem(data, err))
		return nil
	}
	value := root.Content[0]
	if isNull(value) {
		d.report(position{value.Line, value.Column}, Problem{Text: "the file has no content", Expected: "a topology; `tquiclab topologies show direct` prints a small one"})
		return nil
	}
	d.refuse(value)
	return value
}

// nextDocument reads the next document, or returns io.EOF. The library panics
// where its parser meets what it did not expect, did so on malformed files before
// v3.0.1 (go-yaml/yaml issues 665, 744 and 855), and is no longer maintained:
// that is a syntax error like any other.
func nextDocument(from *yaml.Decoder) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, errors.New("the text cannot be parsed")
		}
	}()
	root = new(yaml.Node)
	if err := from.Decode(root); err != nil {
		return nil, err
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return nil, io.EOF
	}
	return root, nil
}

// refuse reports what YAML has and topologies do not. Values that it reports
// are read as if they were plain where they can be.
func (d *decoder) refuse(n *yaml.Node) {
	at := position{n.Line, n.Column}
	if n.Anchor != "" {
		d.report(at, Problem{Text: "anchor " + quote("&"+n.Anchor), Expected: "values written out: topologies have no anchors"})
	}
	if n.Kind == yaml.AliasNode {
		d.report(at, Problem{Text: "alias " + quote("*"+n.Value), Expected: "values written out: topologies have no aliases"})
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.report(at, Problem{Text: "tag " + quote(n.Tag), Expected: "plain values: topologies have no tags"})
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && isMerge(child) {
			d.report(position{child.Line, child.Column}, Problem{Text: "merge key \"<<\"", Expected: "keys written out: topologies have no merge keys"})
		}
		d.refuse(child)
	}
}

func isMerge(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!merge" }

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// unreadable returns the first place that is not UTF-8 or not a character that
// YAML 1.2 section 5.1 allows, with ok false, if there is one.
func unreadable(data []byte) (at position, ok bool) {
	at = position{1, 1}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 || !readable(r) && !(r == '\uFEFF' && i == 0) {
			return at, false
		}
		if at.col++; r == '\n' {
			at = position{at.line + 1, 1}
		}
		i += size
	}
	return at, true
}

func readable(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || r == 0x85:
		return true
	case r < 0x20 || r > 0x7E && r < 0xA0:
		return false
	}
	return r != 0xFEFF && r != 0xFFFE && r != 0xFFFF
}

// syntaxProblem turns the library's error text into a place and a problem.
func syntaxProblem(data []byte, err error) (position, Problem) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if name, found := strings.CutPrefix(text, "unknown anchor '"); found {
		name = "*" + strings.TrimSuffix(name, "' referenced")
		return find(data, name), Problem{Text: "alias " + quote(name), Expected: "values written out: topologies have no aliases"}
	}
	line := 1
	if m := regexp.MustCompile(`^line ([0-9]+): `).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	// The library counts lines from 1 where its scanner fails, and from 0 where
	// its parser does, which words its errors in its own way.
	for _, prefix := range []string{"did not find expected", "found undefined tag", "found duplicate %", "found incompatible YAML"} {
		if strings.HasPrefix(text, prefix) {
			line++
		}
	}
	lines := bytes.Split(data, []byte("\n"))
	line = max(1, min(line, len(lines)))
	content := string(lines[line-1])
	indent := len(content) - len(strings.TrimLeft(content, " "))
	p := Problem{Text: "not YAML: " + text}
	if strings.HasPrefix(content[indent:], "\t") {
		p.Expected = "spaces for indentation: YAML takes no tabs"
	}
	return position{line, indent + 1}, p
}

// find returns the place of text in data, or the start.
func find(data []byte, text string) position {
	before, _, found := bytes.Cut(data, []byte(text))
	if !found {
		return position{1, 1}
	}
	line := bytes.Count(before, []byte("\n"))
	return position{line + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1}
}
