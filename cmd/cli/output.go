package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/printable"
)

// format is what -o says; empty is the table.
type format string

const (
	asTable format = ""
	asWide  format = "wide"
	asJSON  format = "json"
	asYAML  format = "yaml"
	asName  format = "name"
)

// formatFlag adds -o with the formats that a command knows.
func formatFlag(c *cobra.Command, known ...format) *format {
	f := new(format)
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	c.Flags().StringVarP((*string)(f), "output", "o", "", "output: "+strings.Join(names, ", ")+" (default: a table)")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	c.PreRunE = func(*cobra.Command, []string) error {
		if *f == asTable || slices.Contains(known, *f) {
			return nil
		}
		return usagef("--output %q: there are %s", *f, strings.Join(names, ", "))
	}
	return f
}

// printed is what a command has to show, in every format.
type printed struct {
	// value for json and yaml.
	value any
	// names for name: kind/name, a line each.
	names []string
	// head and rows of the table; wide is how many of the last columns only wide shows.
	head []string
	rows [][]string
	wide int
	// empty is said instead of a table without rows.
	empty string
}

func (p printed) print(c *cobra.Command, f format) error {
	out := c.OutOrStdout()
	switch f {
	case asJSON:
		raw, err := json.MarshalIndent(p.value, "", "  ")
		if err != nil {
			return fmt.Errorf("writing json: %w", err)
		}
		_, err = fmt.Fprintf(out, "%s\n", raw)
		return err
	case asYAML:
		raw, err := yaml.Marshal(p.value)
		if err != nil {
			return fmt.Errorf("writing yaml: %w", err)
		}
		_, err = out.Write(raw)
		return err
	case asName:
		for _, name := range p.names {
			if _, err := fmt.Fprintln(out, name); err != nil {
				return err
			}
		}
		return nil
	}
	if len(p.rows) == 0 {
		_, err := fmt.Fprintln(c.ErrOrStderr(), p.empty)
		return err
	}
	columns := len(p.head)
	if f != asWide {
		columns -= p.wide
	}
	return writeTable(out, columns, append([][]string{p.head}, p.rows...))
}

// writeTable aligns the first columns of the rows. An empty cell is "-", so that columns can be counted.
func writeTable(w io.Writer, columns int, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	for _, row := range rows {
		cells := make([]string, 0, columns)
		for _, cell := range row[:columns] {
			if cell == "" {
				cell = "-"
			}
			cells = append(cells, oneLine(cell))
		}
		if _, err := fmt.Fprintln(t, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// oneLine folds white space, so that nobody's text adds a row or a column.
func oneLine(text string) string {
	const most = 4 << 10
	if len(text) <= most && !strings.ContainsAny(text, "\n\t\v\f\r") {
		return printable.Text(text)
	}
	return printable.Line(text, most)
}

// rawOf is the stream behind the one that commands write to, for what must pass byte by byte.
func rawOf(w io.Writer) io.Writer {
	if safe, ok := w.(*printable.Writer); ok {
		return safe.Raw()
	}
	return w
}

// ago is an age for people.
func ago(t *metav1.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return duration.HumanDuration(now.Sub(t.Time))
}
