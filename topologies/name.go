package topologies

import (
	"fmt"
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

// isName reports whether text matches namePattern(most). It is written out because
// hostile files have many names.
func isName(text string, most int) bool {
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c == '-' && i > 0 && i < len(text)-1:
		default:
			return false
		}
	}
	return text != "" && len(text) <= most
}

// reservedLinks are the interface names that mean something else to the kernel:
// the loopback, and the two pseudo-interfaces under /proc/sys/net/ipv4/conf.
func reservedLinks() []string { return []string{"all", "default", "lo"} }

// nameOf reads the name of a what, at most most bytes, for the given use.
func nameOf(what string, most int, use string, reserved []string) func(d *decoder, n node) (string, bool) {
	return checked(func(text string) (Problem, bool) { return checkName(text, what, most, use, reserved) })
}

func checkName(text, what string, most int, use string, reserved []string) (Problem, bool) {
	switch {
	case len(text) > most:
		return Problem{
			Text:     fmt.Sprintf("%s %s has %d bytes", what, quote(text), len(text)),
			Expected: fmt.Sprintf("at most %d: %s", most, use),
		}, false
	case !isName(text, most):
		return Problem{Text: fmt.Sprintf("%s %s is unfit: %s", what, quote(text), use), Expected: nameRule, Nearest: fitName(text, most)}, false
	case slices.Contains(reserved, text):
		return Problem{Text: fmt.Sprintf("%s %s is reserved by the kernel", what, quote(text)), Expected: "a name other than " + strings.Join(reserved, ", ")}, false
	}
	return Problem{}, true
}

// fitName returns the name that text becomes in lower case and with dashes for
// what separates words, or nothing if that is no name either.
func fitName(text string, most int) string {
	fit := strings.Trim(strings.Map(func(r rune) rune {
		if strings.ContainsRune("_ ./", r) {
			return '-'
		}
		return r
	}, strings.ToLower(text)), "-")
	if !isName(fit, most) {
		return ""
	}
	return fit
}
