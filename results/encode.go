package results

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// WriteJSON writes the summary as summary.json has it: indented, one trailing
// newline. It fails, having written nothing, when a number is not finite.
func (s Summary) WriteJSON(w io.Writer) error {
	data, err := encodeIndented(s)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// MarshalJSON writes empty lists as [].
func (s Summary) MarshalJSON() ([]byte, error) {
	type plain Summary
	s.Trials = list(s.Trials)
	s.Arms = list(s.Arms)
	s.Calibration = list(s.Calibration)
	s.Warnings = list(s.Warnings)
	return json.Marshal(plain(s))
}

// MarshalJSON writes empty lists as [].
func (t Trial) MarshalJSON() ([]byte, error) {
	type plain Trial
	t.Paths = list(t.Paths)
	return json.Marshal(plain(t))
}

// MarshalJSON writes empty lists as [].
func (a Arm) MarshalJSON() ([]byte, error) {
	type plain Arm
	a.Paths = list(a.Paths)
	return json.Marshal(plain(a))
}

// MarshalJSON writes a figure that could not be measured, NaN, as null.
func (c CalibrationCheck) MarshalJSON() ([]byte, error) {
	type plain CalibrationCheck
	if !math.IsNaN(c.Got) {
		return json.Marshal(plain(c))
	}
	return json.Marshal(struct {
		plain
		Got *float64 `json:"got"`
	}{plain: plain(c)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *CalibrationCheck) UnmarshalJSON(data []byte) error {
	type plain CalibrationCheck
	p := struct {
		*plain
		Got *float64 `json:"got"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	c.Got = math.NaN()
	if p.Got != nil {
		c.Got = *p.Got
	}
	return nil
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func encodeIndented(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, encodeError(err)
	}
	return append(data, '\n'), nil
}

func encodeLine(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, encodeError(err)
	}
	return append(data, '\n'), nil
}

// encodeError explains the one failure that data can cause: encoding/json has no
// way to write NaN or an infinity, and neither has JSON.
func encodeError(err error) error {
	return fmt.Errorf("encode: %w (a value that was not measured is null, never NaN or infinite)", err)
}
