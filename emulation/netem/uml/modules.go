package uml

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// dependencies is a modules.dep file: for each module the modules that it needs.
type dependencies struct {
	files map[string]string   // file below the modules' folder, by module name
	needs map[string][]string // names of modules, by module name
}

// parseDependencies reads a modules.dep file (depmod(8)): one line a module,
// `file: file file ...`, all below the folder that the file itself is in.
func parseDependencies(text string) (dependencies, error) {
	deps := dependencies{files: map[string]string{}, needs: map[string][]string{}}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		file, rest, found := strings.Cut(line, ":")
		file = strings.TrimSpace(file)
		name := moduleName(file)
		if !found || name == "" {
			return dependencies{}, fmt.Errorf("modules.dep:%d: %q is not `module: modules`", n, line)
		}
		deps.files[name] = file
		for need := range strings.FieldsSeq(rest) {
			deps.needs[name] = append(deps.needs[name], moduleName(need))
		}
	}
	if err := lines.Err(); err != nil {
		return dependencies{}, fmt.Errorf("read modules.dep: %w", err)
	}
	return deps, nil
}

// moduleName returns the name of the module in a file: no folder, no .ko or
// .ko.xz, and underscores for hyphens, which the kernel takes for the same.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	if name == "." || name == "/" {
		return ""
	}
	return strings.ReplaceAll(name, "-", "_")
}

// order returns the files to load for the named modules: each once, behind all
// that it needs.
func (d dependencies) order(names []string) ([]string, error) {
	var files []string
	seen := map[string]bool{}
	var visit func(name, neededBy string) error
	visit = func(name, neededBy string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		file, ok := d.files[name]
		if !ok {
			return fmt.Errorf("no module %s%s", name, neededBy)
		}
		for _, need := range d.needs[name] {
			if err := visit(need, ", needed by "+name); err != nil {
				return err
			}
		}
		files = append(files, file)
		return nil
	}
	for _, name := range names {
		if err := visit(moduleName(name), ""); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// modulePaths returns the files to load for the named modules from a folder
// such as /usr/lib/uml/modules/6.1.176. A module that is built into the kernel
// needs no loading.
func modulePaths(folder string, names []string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(folder, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("read what modules the kernel has: %w", err)
	}
	deps, err := parseDependencies(string(text))
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(folder, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("read what is built into the kernel: %w", err)
	}
	inside := map[string]bool{}
	for file := range strings.FieldsSeq(string(builtin)) {
		inside[moduleName(file)] = true
	}
	var load []string
	for _, name := range names {
		if !inside[moduleName(name)] {
			load = append(load, name)
		}
	}
	files, err := deps.order(load)
	if err != nil {
		return nil, fmt.Errorf("modules in %s: %w", folder, err)
	}
	for i, file := range files {
		files[i] = filepath.Join(folder, file)
	}
	return files, nil
}
