package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/tariff"
)

// importSeries is the command `wattveil tariff import-series`.
type importSeries struct {
	zone string
	unit string
	o    tariff.SeriesCSV
}

func newTariffImportSeries() *cobra.Command {
	var c importSeries
	cmd := &cobra.Command{
		Use:   "import-series FILE --name NAME --currency CODE",
		Short: "Make a price series of a CSV file",
		Long: `Make a price series of a CSV file, and print it in JSON on standard output.

The first column of the file is the local start of each quarter, half or full
hour, another one the price. Rows follow each other without gap. Files in which
every day has 24 hours are taken too: where clocks skip an hour its row is
passed over, where they repeat one a single row counts twice.`,
		Example: `  wattveil tariff import-series --name de-dayahead --currency EUR --unit MWh --tz Europe/Berlin dayahead.csv
  wattveil tariff import-series --name dtou --currency GBP --unit cent prices.csv > dtou.json`,
		Args: oneArgument("prices"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0])
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.o.Name, "name", "", "`name` of the series, by which tariffs know it")
	f.StringVar(&c.o.Currency, "currency", "", "`code` of the currency")
	f.StringVar(&c.o.Column, "column", "", "`name` of the column with the prices (default: the second)")
	f.StringVar(&c.unit, "unit", "kWh", "`unit` of the prices: kWh, MWh, or cent for a hundredth a kWh")
	f.StringVar(&c.zone, "tz", "UTC", "time `zone` of the file's clock")
	return cmd
}

func (c importSeries) run(stdin io.Reader, stdout, stderr io.Writer, file string) error {
	factors := map[string]tariff.Decimal{
		"kWh": tariff.NewDecimal(1, 0), "MWh": tariff.NewDecimal(1, 3), "cent": tariff.NewDecimal(1, 2),
	}
	factor, ok := factors[c.unit]
	if !ok {
		return misusef("--unit %q: want kWh, MWh or cent", c.unit)
	}
	zone, err := tariff.LoadZone(c.zone)
	if err != nil {
		return misusef("--tz: %v", err)
	}
	c.o.Location, c.o.Factor = zone, factor
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("read prices: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	s, evened, err := tariff.ReadSeriesCSV(in, file, c.o)
	if err != nil {
		return err
	}
	if evened > 0 {
		fmt.Fprintf(stderr, "note: %d rows were passed over or counted twice where the clocks change\n", evened)
	}
	return encodeJSON(stdout, s)
}

// readSeries reads the files of price series and joins the parts of each.
func readSeries(stdin io.Reader, files []string) ([]*tariff.Series, error) {
	parts := map[string][]*tariff.Series{}
	var names []string
	for _, file := range files {
		data, err := readLimited(stdin, file, maxTariffInput)
		if err != nil {
			return nil, fmt.Errorf("--series: %w", err)
		}
		s, err := tariff.ParseSeries(data)
		if err != nil {
			return nil, fmt.Errorf("--series %s: %w", file, err)
		}
		if parts[s.Name()] == nil {
			names = append(names, s.Name())
		}
		parts[s.Name()] = append(parts[s.Name()], s)
	}
	var all []*tariff.Series
	for _, name := range names {
		s, err := tariff.JoinSeries(parts[name]...)
		if err != nil {
			return nil, fmt.Errorf("--series %s: %w", strings.Join(files, ","), err)
		}
		all = append(all, s)
	}
	return all, nil
}
