package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/meter/ring"
)

// export is the command's flags.
type export struct {
	data     string
	from, to string
}

func newExport() *cobra.Command {
	var e export
	cmd := &cobra.Command{
		Use:   "export [METER]",
		Short: "Write the meter's own readings as CSV",
		Long: `export writes what the meter keeps of its readings: at the end of each interval
the registers as its display shows them, and the energy since the reading before,
in Wh. With it a bill can be checked against the meter's own data. The meter may
run meanwhile. The rows are somebody's private data.

Columns: time (UTC, end of the interval), import and export registers, seconds
since the reading before, import and export since then, and flags (clock, restart,
tamper). The first row has no reading before it.`,
		Example: `  wattveil-meter export --data /var/lib/wattveil-meter > readings.csv
  wattveil-meter export --data field --from 2026-03-01T00:00:00Z --to 2026-04-01T00:00:00Z 00112233445566a7`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.run(cmd.OutOrStdout(), cmd.ErrOrStderr(), args)
		},
	}
	dataFlag(cmd, &e.data)
	cmd.Flags().StringVar(&e.from, "from", "", "first time to write, such as 2026-03-01T00:00:00Z (default: the oldest kept)")
	cmd.Flags().StringVar(&e.to, "to", "", "last time to write (default: the newest)")
	return cmd
}

func (e *export) run(out, warnings io.Writer, args []string) error {
	if err := needData(e.data); err != nil {
		return err
	}
	from, err := parseTime("--from", e.from, 0)
	if err != nil {
		return err
	}
	to, err := parseTime("--to", e.to, 1<<62)
	if err != nil {
		return err
	}
	id, err := e.meter(args)
	if err != nil {
		return err
	}
	rows := newRows(out)
	damaged, err := ring.Each(filepath.Join(meterFolder(e.data, id), ringFolder), func(r wattveil.Reading) error {
		return rows.add(r, r.Time >= from && r.Time <= to)
	})
	if err := errors.Join(err, rows.end()); err != nil {
		return fmt.Errorf("export meter %s: %w", id, err)
	}
	if damaged > 0 {
		fmt.Fprintf(warnings, "wattveil-meter: %d readings are damaged and left out\n", damaged)
	}
	return nil
}

// meter is the one that is named, or the only one in the data folder.
func (e *export) meter(args []string) (string, error) {
	if len(args) == 1 {
		if _, err := wattveil.ParseMeterID(args[0]); err != nil {
			return "", err
		}
		return args[0], nil
	}
	entries, err := os.ReadDir(filepath.Join(e.data, metersFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("--data: %w", err)
	}
	switch len(entries) {
	case 0:
		return "", fmt.Errorf("--data: no meter has run in %s", e.data)
	case 1:
		return entries[0].Name(), nil
	default:
		const few = 3
		var names []string
		for _, entry := range entries[:min(few, len(entries))] {
			names = append(names, entry.Name())
		}
		more := ""
		if len(entries) > few {
			more = fmt.Sprintf(" and others, which are the folders in %s", filepath.Join(e.data, metersFolder))
		}
		return "", fmt.Errorf("%s holds %d meters: name one of %s%s", e.data, len(entries), strings.Join(names, ", "), more)
	}
}

func parseTime(flag, text string, none int64) (int64, error) {
	if text == "" {
		return none, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, fmt.Errorf("%s %q: want a time such as 2026-03-01T00:00:00Z", flag, text)
	}
	return t.Unix(), nil
}

// rows writes readings as CSV.
type rows struct {
	csv    *csv.Writer
	before wattveil.Reading
	any    bool // there is one before
	err    error
}

func newRows(w io.Writer) *rows {
	r := &rows{csv: csv.NewWriter(w)}
	r.err = r.csv.Write([]string{"time", "import_register_wh", "export_register_wh", "seconds", "import_wh", "export_wh", "flags"})
	return r
}

// add writes a reading if it is wanted.
func (r *rows) add(reading wattveil.Reading, wanted bool) error {
	if wanted && r.err == nil {
		row := []string{
			time.Unix(reading.Time, 0).UTC().Format(time.RFC3339),
			strconv.FormatUint(uint64(reading.Import), 10), strconv.FormatUint(uint64(reading.Export), 10), "", "", "",
			reading.Status.Text(),
		}
		if r.any {
			row[3] = strconv.FormatInt(reading.Time-r.before.Time, 10)
			row[4] = strconv.FormatInt(int64(reading.Import.Since(r.before.Import)), 10)
			row[5] = strconv.FormatInt(int64(reading.Export.Since(r.before.Export)), 10)
		}
		r.err = r.csv.Write(row)
	}
	r.before, r.any = reading, true
	return r.err
}

func (r *rows) end() error {
	r.csv.Flush()
	if r.err != nil {
		return r.err
	}
	return r.csv.Error()
}
