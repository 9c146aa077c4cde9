package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Open reads a run folder. When summary.json is missing, because the run was
// killed or still goes on, the summary is made from the manifest and the trials
// recorded so far, with Complete false and a warning that says so. A torn last
// line of trials.jsonl is left out.
//
// Unknown fields are ignored; a schema other than Schema is an error.
func Open(dir string) (Manifest, Summary, error) {
	m, err := readManifest(dir)
	if err != nil {
		return Manifest{}, Summary{}, err
	}
	s, err := readSummary(dir)
	if errors.Is(err, fs.ErrNotExist) {
		s, err = rebuildSummary(dir, m)
	}
	if err != nil {
		return Manifest{}, Summary{}, err
	}
	return m, s, nil
}

func readManifest(dir string) (Manifest, error) {
	path := filepath.Join(dir, ManifestFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%s is not a run folder, or its run was killed before the first trial: %w", dir, err)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	m, err := decodeManifest(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func readSummary(dir string) (Summary, error) {
	path := filepath.Join(dir, SummaryFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return Summary{}, fmt.Errorf("read summary: %w", err)
	}
	s, err := decodeSummary(data)
	if err != nil {
		return Summary{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func rebuildSummary(dir string, m Manifest) (Summary, error) {
	path := filepath.Join(dir, TrialsFile)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Summary{}, fmt.Errorf("read trials: %w", err)
	}
	trials, err := decodeTrials(data)
	if err != nil {
		return Summary{}, fmt.Errorf("%s:%w", path, err)
	}
	FillBenefit(trials)
	recorded := fmt.Sprint(len(trials))
	if n := len(m.Order); n > 0 {
		recorded += fmt.Sprintf(" of %d", n)
	}
	return Summary{
		Schema:         Schema,
		Lab:            m.Lab,
		TopologySHA256: m.TopologySHA256,
		Backend:        m.Backend,
		Seed:           m.Seed,
		Trials:         trials,
		Arms:           Summarize(trials),
		Warnings:       []string{"the run did not end in order: " + recorded + " trials were recorded"},
	}, nil
}

func decodeManifest(data []byte) (Manifest, error) {
	if err := checkSchema(data); err != nil {
		return Manifest{}, err
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Manifest{}, fmt.Errorf("decode manifest: %w", err)
	}
	return m, nil
}

func decodeSummary(data []byte) (Summary, error) {
	if err := checkSchema(data); err != nil {
		return Summary{}, err
	}
	var s Summary
	if err := json.Unmarshal(data, &s); err != nil {
		return Summary{}, fmt.Errorf("decode summary: %w", err)
	}
	return s, nil
}

// checkSchema comes before the rest: another schema's fields may bear our names
// and mean something else.
func checkSchema(data []byte) error {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	if head.Schema != Schema {
		return fmt.Errorf("schema %q is unknown here, want %q: read it with the version of tquiclab that wrote it", head.Schema, Schema)
	}
	return nil
}

// decodeTrials reads whole lines: what follows the last newline was torn off by
// the end of its writer. An error starts with the number of its line.
func decodeTrials(data []byte) ([]Trial, error) {
	var trials []Trial
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		if !whole {
			return trials, nil
		}
		var t Trial
		if err := json.Unmarshal(line, &t); err != nil {
			return nil, fmt.Errorf("%d: decode trial: %w", number, err)
		}
		trials = append(trials, t)
		data = rest
	}
}
