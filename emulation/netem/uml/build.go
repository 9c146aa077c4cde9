package uml

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// initPackage is the program that runs first inside.
const initPackage = "github.com/tquiclab/tquiclab/emulation/netem/uml/umlinit"

// buildInside compiles the tests of the package in dir, and the first process,
// into folder. Both are static, without the race detector: see the package
// comment.
func buildInside(ctx context.Context, dir, folder string) (tests, first string, err error) {
	tests, first = filepath.Join(folder, "inside.test"), filepath.Join(folder, "init")
	if _, err := goTool(ctx, dir, "test", "-c", "-buildvcs=false", "-o", tests, "."); err != nil {
		return "", "", err
	}
	if _, err := goTool(ctx, dir, "build", "-buildvcs=false", "-o", first, initPackage); err != nil {
		return "", "", err
	}
	return tests, first, nil
}

// moduleRoot returns the folder of the module that dir is in.
func moduleRoot(ctx context.Context, dir string) (string, error) {
	file, err := goTool(ctx, dir, "env", "GOMOD")
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(file) {
		return "", fmt.Errorf("%s is in no Go module", dir)
	}
	return filepath.Dir(file), nil
}

func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// No flags from the environment: -race among them would ask for cgo.
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
