package walls

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// evidence is a test in a table: its package and its name.
var evidence = regexp.MustCompile("`(\\./[a-z0-9/]+)` (Test[A-Za-z0-9]+)")

// TestComparison holds docs/COMPARISON.md to the code: each row has tquiclab's column
// at Y, or says that it is planned, and each test that shows one exists.
func TestComparison(t *testing.T) {
	root := strings.TrimSpace(goCommand(t, ".", "list", "-m", "-f", "{{.Dir}}"))
	text, err := os.ReadFile(filepath.Join(root, "docs", "COMPARISON.md"))
	if err != nil {
		t.Fatal(err)
	}
	claims, shown := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		feature := strings.TrimSpace(cells[0])
		switch {
		case !strings.HasPrefix(line, "| ") || feature == "feature" || strings.HasPrefix(feature, "---"):
		case len(cells) == 19:
			if own := strings.TrimSpace(cells[1]); own != "**Y**" && own != "planned" {
				t.Errorf("%s: tquiclab has %q", feature, own)
			}
			claims[feature] = true
		case len(cells) == 2:
			shown[feature] = true
			for _, m := range evidence.FindAllStringSubmatch(cells[1], -1) {
				if !hasTest(t, filepath.Join(root, m[1]), m[2]) {
					t.Errorf("%s: %s has no %s", feature, m[1], m[2])
				}
			}
		default:
			t.Errorf("a row of %d cells: %s", len(cells), line)
		}
	}
	if len(claims) < 30 {
		t.Errorf("only %d rows were found: has their form changed?", len(claims))
	}
	for feature := range claims {
		if !shown[feature] {
			t.Errorf("%s: nothing shows it", feature)
		}
	}
}

// hasTest reports whether a package's folder has a test of that name.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
