package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tquiclab/tquiclab/topologies"
)

func (a *app) graphCommand() *cobra.Command {
	var format string
	var asJSON bool
	c := &cobra.Command{
		Use:   "graph TOPOLOGY|LAB",
		Short: "Draw a topology, or a lab that is up",
		Long: `Draws a topology with what its links do: as boxes and lines for the terminal, in
the terminal's width, or in another format for documents:

    tquiclab graph lte-wifi
    tquiclab graph lte-wifi --format svg > lte-wifi.svg
    tquiclab graph lte-wifi --format dot | dot -Tpdf > lte-wifi.pdf

Where a lab is up under the name, it is the lab that is drawn; a path, or a name that
ends in .yaml, is always a file's or the catalogue's. --json prints what is drawn.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := a.topologyOrLab(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.stdout, t)
			}
			text, err := draw(t, format, widthOf(a.stdout))
			if err != nil {
				return err
			}
			_, err = io.WriteString(a.stdout, text)
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "terminal", "terminal, mermaid, dot or svg")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func draw(t topologies.Topology, format string, width int) (string, error) {
	switch format {
	case "terminal":
		return topologies.Terminal(t, width), nil
	case "mermaid":
		return topologies.Mermaid(t), nil
	case "dot":
		return topologies.DOT(t), nil
	case "svg":
		return topologies.SVG(t), nil
	}
	return "", usageError{fmt.Errorf("unknown format %q: expected terminal, mermaid, dot or svg", format)}
}

// topologyOrLab returns the topology of a lab that is up, or the one that the word
// names.
func (a *app) topologyOrLab(word string) (topologies.Topology, error) {
	if !strings.HasSuffix(word, ".yaml") && filepath.Base(word) == word {
		if l, err := a.host(nil).Open(word); err == nil {
			return l.Topology(), nil
		}
	}
	return a.loader().Find(word)
}

// widthOf returns the columns of the terminal that w is, or 0.
func widthOf(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 0
}
