package walls

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// citation is one MUST of a comment, with the sections that it is from.
type citation struct {
	Line     int
	Decl     string    // the function, variable or type that the comment is above or inside
	Sections []section // none: the comment does not say
	Text     string    // the sentence, without the sections in front of it
}

// section is a place in a specification.
type section struct {
	Doc    string // "RFC 9000"; a draft without its version
	Number string // "12.4", "A.8"
}

func (s section) String() string { return s.Doc + ", section " + s.Number }

// The words that a comment cites with, as STYLE has them: "RFC 9000, section 8.1: the
// requirement", "the requirement (section 8.1)". A document that is not named is the
// last one that the file named.
const (
	docWord   = `(?:RFC \d{4}|draft-[a-z-]+[a-z](?:-\d\d)?|[Mm]ain schema|[Mm]ultipath draft)`
	numWord   = `(?:\d+(?:\.\d+)*|[A-Z](?:\.\d+)+)`
	placeWord = `(?:` + docWord + `(?:,|'s) )?(?:[Ss]ections?|[Aa]ppendix) ` + numWord
	listWord  = placeWord + `(?:(?:, and |, | and |; )(?:` + placeWord + `|` + numWord + `\b))*`
)

var (
	citeWords = regexp.MustCompile(`(?P<list>` + listWord + `|\b\d+(?:\.\d+)+:)|(?P<doc>` + docWord + `)|(?P<must>\bMUST\b)`)
	placeForm = regexp.MustCompile(`(` + docWord + `)|(\b` + numWord + `)`)
	leadForm  = regexp.MustCompile(`^(?:` + listWord + `|\d+(?:\.\d+)+): `)
)

// citations returns every MUST in the comments of one file, in order.
func citations(fset *token.FileSet, f *ast.File) (out []citation) {
	doc := ""
	for _, group := range f.Comments {
		var lines []int // of each MUST
		var text strings.Builder
		for _, c := range group.List {
			for i, line := range strings.Split(c.Text, "\n") {
				for range strings.Count(line, "MUST") {
					lines = append(lines, fset.Position(c.Pos()).Line+i)
				}
				text.WriteString(strings.Trim(line, "/* \t") + " ")
			}
		}
		var found []citation
		found, doc = read(strings.Join(strings.Fields(text.String()), " "), doc)
		for i, c := range found {
			c.Line, c.Decl = lines[i], declOf(f, group)
			out = append(out, c)
		}
	}
	return out
}

// read returns the MUSTs of one comment, and the document that it named last.
func read(text, doc string) (out []citation, lastDoc string) {
	var before []section
	words := citeWords.FindAllStringSubmatchIndex(text, -1)
	for i, w := range words {
		switch list, named := w[2:4], w[4:6]; {
		case list[0] >= 0:
			before, doc = places(text[list[0]:list[1]], doc)
		case named[0] >= 0:
			doc = docName(text[named[0]:named[1]])
		default:
			start, end := sentence(text, w[0])
			c := citation{Sections: before, Text: leadForm.ReplaceAllString(text[start:end], "")}
			// "MUST be so (section 8.1)": what follows in brackets goes before what precedes.
			if i+1 < len(words) && words[i+1][2] >= 0 && words[i+1][0] < end &&
				strings.Count(text[w[0]:words[i+1][0]], "(") > strings.Count(text[w[0]:words[i+1][0]], ")") {
				c.Sections, _ = places(text[words[i+1][0]:words[i+1][1]], doc)
			}
			out = append(out, c)
		}
	}
	return out, doc
}

// places reads a list of sections.
func places(text, doc string) (out []section, lastDoc string) {
	for _, m := range placeForm.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			doc = docName(m[1])
		} else {
			out = append(out, section{doc, m[2]})
		}
	}
	return out, doc
}

var version = regexp.MustCompile(`-\d\d$`)

func docName(word string) string {
	switch strings.ToLower(word) {
	case "main schema":
		return "draft-ietf-quic-qlog-main-schema"
	case "multipath draft":
		return "draft-ietf-quic-multipath"
	}
	return version.ReplaceAllString(word, "")
}

// sentence returns where the one around text[at] begins and ends; a semicolon ends
// one, too.
func sentence(text string, at int) (start, end int) {
	stop := func(i int) bool { return (text[i] == '.' || text[i] == ';') && (i+1 == len(text) || text[i+1] == ' ') }
	end = len(text)
	for i := at; i < len(text); i++ {
		if stop(i) {
			end = i
			break
		}
	}
	for i := at - 1; i >= 0; i-- {
		if stop(i) {
			return i + 2, end
		}
	}
	return 0, end
}

// declOf names the top-level declaration that a comment is above or inside.
func declOf(f *ast.File, group *ast.CommentGroup) string {
	for _, d := range f.Decls {
		start, name := d.Pos(), ""
		var doc *ast.CommentGroup
		switch d := d.(type) {
		case *ast.FuncDecl:
			doc, name = d.Doc, d.Name.Name
		case *ast.GenDecl:
			doc = d.Doc
			for i, s := range d.Specs {
				specDoc, specName := about(s)
				if i == 0 || specDoc == group || s.Pos() <= group.Pos() {
					name = specName
				}
			}
		}
		if doc != nil {
			start = doc.Pos()
		}
		if start <= group.Pos() && group.Pos() < d.End() {
			return name
		}
	}
	return ""
}

// about returns the comment above a constant, variable or type, and its name.
func about(s ast.Spec) (doc *ast.CommentGroup, name string) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		return s.Doc, s.Name.Name
	case *ast.ValueSpec:
		return s.Doc, s.Names[0].Name
	}
	return nil, ""
}

func TestCitations(t *testing.T) {
	rfc := func(doc, number string) section { return section{"RFC " + doc, number} }
	tests := []struct {
		name, comments string
		want           []citation
	}{
		{"the section in front", "// RFC 9000, section 12.4: it MUST be short. More.", []citation{
			{3, "f", []section{rfc("9000", "12.4")}, "it MUST be short"},
		}},
		{"over two lines", "// A sentence. RFC\n// 9000, section 12.4: it\n// MUST NOT be so.", []citation{
			{5, "f", []section{rfc("9000", "12.4")}, "it MUST NOT be so"},
		}},
		{"the section behind", "// RFC 9000, section 1: f is so, as it MUST be (section 14.1); or not.", []citation{
			{3, "f", []section{rfc("9000", "14.1")}, "f is so, as it MUST be (section 14.1)"},
		}},
		{"in brackets", "// f goes back (RFC 9000, section 9.3.2: MUST).", []citation{
			{3, "f", []section{rfc("9000", "9.3.2")}, "f goes back (RFC 9000, section 9.3.2: MUST)"},
		}},
		{"two sections, two documents", "// RFC 9001, section 4.9.1, and RFC 9000, section 8.1: MUST go.", []citation{
			{3, "f", []section{rfc("9001", "4.9.1"), rfc("9000", "8.1")}, "MUST go"},
		}},
		{"a list", "// RFC 9000, sections 19.4, 19.8 and 19.13: MUST be.", []citation{
			{3, "f", []section{rfc("9000", "19.4"), rfc("9000", "19.8"), rfc("9000", "19.13")}, "MUST be"},
		}},
		{"after an empty line", "// f is so.\n//\n// RFC 9000, section 12.4: f MUST be so.", []citation{
			{5, "f", []section{rfc("9000", "12.4")}, "f MUST be so"},
		}},
		{"two in one comment", "// RFC 9001, section 6: a MUST; section 6.1: b MUST, 17.2.5.1: c MUST.", []citation{
			{3, "f", []section{rfc("9001", "6")}, "a MUST"},
			{3, "f", []section{rfc("9001", "6.1")}, "b MUST, 17.2.5.1: c MUST"},
			{3, "f", []section{rfc("9001", "17.2.5.1")}, "b MUST, 17.2.5.1: c MUST"},
		}},
		{"the document from above", "// f is of RFC 9002.\n\n// Appendix A.8: MUST be.", []citation{
			{5, "f", []section{rfc("9002", "A.8")}, "MUST be"},
		}},
		{"a draft's version", "// draft-ietf-quic-multipath-21, section 2.1: MUST be. Main schema, section 7.1: MUST.", []citation{
			{3, "f", []section{{"draft-ietf-quic-multipath", "2.1"}}, "MUST be"},
			{3, "f", []section{{"draft-ietf-quic-qlog-main-schema", "7.1"}}, "MUST"},
		}},
		{"no section", "// f MUST be.", []citation{{3, "f", nil, "f MUST be"}}},
		{"a section of another comment", "// RFC 9000, section 1: so.\n\n// f MUST be.", []citation{{5, "f", nil, "f MUST be"}}},
		{"a SHOULD", "// RFC 9000, section 12.4: SHOULD be short.", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, "x.go", "package x\n\n"+tt.comments+"\nfunc f() {}\n", parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, citations(fset, f)); diff != "" {
				t.Errorf("citations (-want +got):\n%s", diff)
			}
		})
	}
}

// A comment is of the declaration that it is above or inside, wherever that is.
func TestCitationsDecl(t *testing.T) {
	const text = `package x

// A MUST above a type.
type t int

// A MUST that is above nothing.

const (
	a = 1
	// A MUST in a group.
	b = 2
	c = 3 // a MUST behind
)

func f() {
	g(1) // a MUST inside
}
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range citations(fset, f) {
		got = append(got, fmt.Sprint(c.Line, " ", c.Decl))
	}
	if want := []string{"3 t", "6 ", "10 b", "12 c", "16 f"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
