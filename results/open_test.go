package results

import (
	"bytes"
	"testing"
)

// Whatever stands in a folder, reading it does not panic, and what was read can
// be written again.
func FuzzOpen(f *testing.F) {
	var whole bytes.Buffer
	if err := filledSummary().WriteJSON(&whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	for _, seed := range []string{"", "{}", "{}\n{\n", `{"schema":"tquiclab/v1"}`, `{"schema":"tquiclab/v1","trials":[{"arm":{"paths":null}}]}`, "{\"round\":1}\n{\"rou"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := decodeSummary(data); err == nil {
			if err := s.WriteJSON(&bytes.Buffer{}); err != nil {
				t.Errorf("a summary that was read cannot be written: %v", err)
			}
		}
		if m, err := decodeManifest(data); err == nil {
			if _, err := encodeIndented(m); err != nil {
				t.Errorf("a manifest that was read cannot be written: %v", err)
			}
		}
		trials, err := decodeTrials(data)
		if err != nil {
			return
		}
		if want := bytes.Count(data, []byte{'\n'}); len(trials) != want {
			t.Errorf("got %d trials of %d whole lines", len(trials), want)
		}
		FillBenefit(trials)
		Summarize(trials)
	})
}
