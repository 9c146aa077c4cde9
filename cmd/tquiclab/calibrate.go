package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/emulation/calibrate"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/results"
)

func (a *app) calibrateCommand() *cobra.Command {
	var links []string
	var short, asJSON, verbose bool
	c := &cobra.Command{
		Use:   "calibrate LAB",
		Short: "Measure what the links of a lab really do, and compare it with the topology",
		Long: `Sends packets through each direction of each impaired link, measures what becomes
of them, and compares it with what the emulation's model makes of the very same
packets: delay and its spread, rate, depth of the queue, loss and its bursts,
reordering, duplicates and MTU. A figure passes within chance and a tolerance (1 % or
0.3 ms of delay, 1 % of the rate); docs/CALIBRATION.md tells how. Nothing else may use
the lab meanwhile.

It takes about 15 seconds, more where the links are too fast to be measured at the
same time; --short takes about one, with wider tolerances, as each run does before its
first trial. The exit code is 4 when a direction is not what was asked for.

    sudo tquiclab calibrate lte-wifi
    sudo tquiclab calibrate lte-wifi --link lte --json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeLabs,
		RunE: func(c *cobra.Command, args []string) error {
			l, err := a.host(a.log(c)).Open(args[0])
			if err != nil {
				return err
			}
			form := calibrate.Full()
			if short {
				form = calibrate.Short()
			}
			verdicts, err := a.calibrateLab(c.Context(), l, links, form)
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(a.stdout, verdicts)
			} else {
				err = writeCalibration(a.stdout, verdicts)
			}
			return errors.Join(err, calibrationMissed(verdicts))
		},
	}
	c.Flags().StringSliceVar(&links, "link", nil, "only these links")
	c.Flags().BoolVar(&short, "short", false, "a second, with wider tolerances")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addVerboseFlag(c, &verbose)
	return c
}

// calibrateLab keeps others out of the lab meanwhile.
func (a *app) calibrateLab(ctx context.Context, l *lab.Lab, links []string, form calibrate.Form) ([]results.Calibration, error) {
	release, err := l.Reserve(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return l.Calibrate(ctx, lab.CalibrateConfig{Form: form, Links: links})
}

// missedError is a threshold that was missed, which is not a failure of the verb.
type missedError struct{ what string }

func (e missedError) Error() string { return e.what }

func calibrationMissed(verdicts []results.Calibration) error {
	var missed []string
	for _, v := range verdicts {
		if !v.OK {
			missed = append(missed, fmt.Sprintf("%s %s (%s)", v.Link, v.Direction, strings.Join(v.Missed(), ", ")))
		}
	}
	if len(missed) == 0 {
		return nil
	}
	return missedError{"not as asked for: " + strings.Join(missed, "; ")}
}

// writeCalibration prints a line for each check.
func writeCalibration(out io.Writer, verdicts []results.Calibration) error {
	if len(verdicts) == 0 {
		_, err := fmt.Fprintln(out, "no link is impaired: there is nothing to measure")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "link\tway\tcheck\tasked\tmeasured\tpasses from\tto\t")
	for _, v := range verdicts {
		for i, c := range v.Checks {
			name, way := v.Link, v.Direction
			if i > 0 {
				name, way = "", ""
			}
			verdict := "ok"
			if !c.OK {
				verdict = "MISSED"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, way, c.Name,
				checkValue(c, c.Want), checkValue(c, c.Got), checkValue(c, c.Low), checkValue(c, c.High), verdict)
		}
	}
	return w.Flush()
}

// checkValue writes a figure with its unit, in four digits.
func checkValue(c results.CalibrationCheck, v float64) string {
	digits := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	if math.IsNaN(v) {
		return "nothing"
	}
	switch c.Unit {
	case "":
		return digits(100*v) + " %"
	case "bit/s":
		return digits(v/1e6) + " Mbit/s"
	case "bytes", "packets":
		return strconv.FormatFloat(v, 'f', -1, 64) + " " + c.Unit
	}
	return digits(v) + " " + c.Unit
}

// calibrateBefore is a run's own calibration. It says what it waits for.
func (a *app) calibrateBefore(ctx context.Context, l *lab.Lab) ([]results.Calibration, error) {
	return l.Calibrate(ctx, lab.CalibrateConfig{Form: calibrate.Short(), Progress: func(done, of int) {
		if done == of {
			fmt.Fprintf(os.Stderr, "calibrated %s\n", plural(of, "link"))
		}
	}})
}
