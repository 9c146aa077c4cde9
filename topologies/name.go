package topologies

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxLabName keeps tql-<lab>-<node> within a file name (NAME_MAX is 255).
	maxLabName = 63
	// maxNodeName and link names: the kernel's IFNAMSIZ is 16 with the final zero
	// (include/uapi/linux/if.h).
	maxNodeName = 15
	nameRule    = "lower-case letters, digits and dashes, first and last no dash"
)

// namePattern is a name of up to most bytes, as ECMA 262 and RE2 write it.
func namePattern(most int) string {
	return fmt.Sprintf(`^[a-z0-9]([a-z0-9-]{0,%d}[a-z0-9])?$`, most-2)
}

// reservedLinks are the interface names that mean something else to the kernel:
// the loopback, and the two pseudo-interfaces under /proc/sys/net/ipv4/conf.
func reservedLinks() []string { return []string{"all", "default", "lo"} }

// nameOf reads the name of a what, at most most bytes, for the given use.
func nameOf(what string, most int, use string, reserved []string) func(d *decoder, n node) (string, bool) {
	return checked(func(text string) (Problem, bool) { return checkName(text, what, most, use, reserved) })
}

func checkName(text, what string, most int, use string, reserved []string) (Problem, bool) {
	pattern := regexp.MustCompile(namePattern(most))
	fit := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == ' ' || r == '.' || r == '/':
			return '-'
		}
		return r
	}, strings.ToLower(text)), "-")
	nearest := ""
	if fit != text && pattern.MatchString(fit) {
		nearest = fit
	}
	switch {
	case len(text) > most:
		return Problem{
			Text:     fmt.Sprintf("%s %s has %d bytes", what, quote(text), len(text)),
			Expected: fmt.Sprintf("at most %d: %s", most, use),
		}, false
	case !pattern.MatchString(text):
		return Problem{Text: fmt.Sprintf("%s %s is unfit: %s", what, quote(text), use), Expected: nameRule, Nearest: nearest}, false
	case slices.Contains(reserved, text):
		return Problem{Text: fmt.Sprintf("%s %s is reserved by the kernel", what, quote(text)), Expected: "a name other than " + strings.Join(reserved, ", ")}, false
	}
	return Problem{}, true
}
