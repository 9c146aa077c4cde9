package results

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of a run folder.
const (
	ManifestFile = "manifest.json"
	TrialsFile   = "trials.jsonl"
	SummaryFile  = "summary.json"
	SeriesDir    = "series"
)

// Run is a run folder that is being written. It has one owner: its methods are
// not safe for concurrent use. A Series it gave out may be used meanwhile.
type Run struct {
	dir    string
	trials *lines
	series []*Series
	done   bool
}

// Create makes the folder, and any folder above it, and checks that it can
// really be written: at least NeedBytes are free and a probe file reaches the
// disk. The folder may exist if it is empty. On failure nothing new is left.
func Create(dir string) (*Run, error) {
	dir = filepath.Clean(dir)
	made, err := makeDir(dir)
	if err != nil {
		return nil, err
	}
	undo := func(err error) error {
		for _, d := range made {
			err = errors.Join(err, removeIfThere(d))
		}
		return err
	}
	empty, err := isEmpty(dir)
	if err != nil {
		return nil, undo(fmt.Errorf("read results folder %s: %w", dir, err))
	}
	if !empty {
		return nil, fmt.Errorf("results folder %s is not empty: choose another with --out, or remove what is in it", dir)
	}
	if err := checkWritable(dir); err != nil {
		return nil, undo(err)
	}
	trials, err := createLines(filepath.Join(dir, TrialsFile))
	if err != nil {
		return nil, undo(err)
	}
	return &Run{dir: dir, trials: trials}, nil
}

// Dir returns the folder, for qlog, captures and whatever else goes beside the
// records.
func (r *Run) Dir() string { return r.dir }

// WriteManifest writes manifest.json. It may be called again, with what the end
// of the run added: the last one stands.
func (r *Run) WriteManifest(m Manifest) error {
	if err := r.open(); err != nil {
		return err
	}
	m.Schema = Schema
	data, err := encodeIndented(m)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return writeAtomically(filepath.Join(r.dir, ManifestFile), data, nil)
}

// AppendTrial adds a trial to trials.jsonl. When it returns nil the trial is on
// the disk. After an error the file holds the trials before this one.
func (r *Run) AppendTrial(t Trial) error {
	if err := r.open(); err != nil {
		return err
	}
	line, err := encodeLine(t)
	if err != nil {
		return fmt.Errorf("trial of %s in round %d: %w", t.Arm.Engine, t.Round, err)
	}
	return r.trials.append(line)
}

// Series starts series/<name>.jsonl. The name is a file's name without its
// ending: letters, digits, dot, dash, underscore. The caller closes the series
// before Finish.
func (r *Run) Series(name string) (*Series, error) {
	if err := r.open(); err != nil {
		return nil, err
	}
	if !validSeriesName(name) {
		return nil, fmt.Errorf("series name %q: want letters, digits, '.', '-' and '_', a letter or digit first", name)
	}
	dir := filepath.Join(r.dir, SeriesDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, writeError("create", dir, err)
	}
	s, err := createSeries(filepath.Join(dir, name+".jsonl"))
	if err != nil {
		return nil, err
	}
	r.series = append(r.series, s)
	return s, nil
}

// Finish writes summary.json and closes the folder. Schema is filled in;
// everything else is the caller's, Complete above all: false says that the run
// was cut short. On error the run stays open and Finish may be tried again.
func (r *Run) Finish(s Summary) error {
	if err := r.open(); err != nil {
		return err
	}
	for _, series := range r.series {
		if !series.closed {
			return fmt.Errorf("series %s is still open: close it before the run is finished", series.path)
		}
	}
	s.Schema = Schema
	data, err := encodeIndented(s)
	if err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	if err := writeAtomically(filepath.Join(r.dir, SummaryFile), data, nil); err != nil {
		return err
	}
	return r.Close()
}

// Close ends the writing without a summary: the folder then reads as incomplete.
// It closes what is still open. Idempotent.
func (r *Run) Close() error {
	if r.done {
		return nil
	}
	r.done = true
	errs := []error{r.trials.close()}
	for _, s := range r.series {
		if !s.closed { // one that was closed has told its error already
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Discard ends the writing and removes the folder with all that Run wrote there:
// for a run that came to nothing.
func (r *Run) Discard() error {
	err := r.Close()
	for _, name := range []string{TrialsFile, ManifestFile, SummaryFile, SeriesDir} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(r.dir, name)))
	}
	return errors.Join(err, removeIfThere(r.dir))
}

func (r *Run) open() error {
	if r.done {
		return fmt.Errorf("results folder %s is closed", r.dir)
	}
	return nil
}

// makeDir makes dir and returns what it made, innermost first.
func makeDir(dir string) (made []string, err error) {
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err == nil && !info.IsDir() {
			return nil, fmt.Errorf("results folder %s: %s is a file: choose another folder with --out", dir, d)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, writeError("look for", d, err)
		}
		made = append(made, d)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		err = writeError("create results folder", dir, err)
		for _, d := range made {
			err = errors.Join(err, removeIfThere(d))
		}
		return nil, err
	}
	return made, nil
}
