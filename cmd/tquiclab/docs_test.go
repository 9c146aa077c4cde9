package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const repository = "../.."

// TestCommandPagesAreCurrent holds docs/commands to the command tree.
func TestCommandPagesAreCurrent(t *testing.T) {
	fresh := t.TempDir()
	if out, err := exec.Command("tquiclab", "docs", fresh).CombinedOutput(); err != nil {
		t.Fatalf("tquiclab docs: %v\n%s", err, out)
	}
	got, want := pages(t, filepath.Join(repository, "docs", "commands")), pages(t, fresh)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/commands is not what the command tree says; run `make docs` (-want +got):\n%s", diff)
	}
}

func pages(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = string(data)
	}
	return all
}

// TestDocumentedCommandsWork runs every command of this program that README.md
// and docs/ show in an indented block, in their order, with runs cut short.
func TestDocumentedCommandsWork(t *testing.T) {
	documents, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, document := range append([]string{filepath.Join(repository, "README.md")}, documents...) {
		commands := documentedCommands(t, document)
		total += len(commands)
		if len(commands) == 0 {
			continue
		}
		t.Run(filepath.Base(document), func(t *testing.T) {
			p := newProgram(t)
			dir := t.TempDir()
			mine, err := os.ReadFile(filepath.Join(repository, "topologies", "catalog", "lte-wifi.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "mine.yaml"), mine, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, line := range commands {
				p.runDocumented(dir, line)
			}
		})
	}
	if total < 10 {
		t.Errorf("only %d documented commands were found: has their form changed?", total)
	}
}

// documentedCommands returns the shell lines that use this program or enter one
// of its namespaces.
func documentedCommands(t *testing.T, document string) []string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for line := range strings.Lines(string(text)) {
		code, indented := strings.CutPrefix(line, "    ")
		code, _, _ = strings.Cut(strings.TrimSpace(code), "  #")
		code = strings.TrimPrefix(code, "sudo ")
		if indented && (strings.HasPrefix(code, "./bin/tquiclab ") || strings.HasPrefix(code, "ip netns exec tql-")) {
			commands = append(commands, strings.TrimPrefix(code, "./bin/"))
		}
	}
	return commands
}

func (p *program) runDocumented(dir, line string) {
	p.t.Helper()
	if strings.HasPrefix(line, "tquiclab run ") {
		// The last of two equal flags counts.
		line += " --rounds 1 --duration 300ms --out " + filepath.Join(p.t.TempDir(), "out")
	}
	if strings.HasPrefix(line, "tquiclab calibrate ") {
		line += " || test $? = 4" // a busy machine is no fault of the document
	}
	var out bytes.Buffer
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), stateVariable+"="+p.state)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		p.t.Errorf("%s: %v\n%s", line, err, &out)
	}
}
