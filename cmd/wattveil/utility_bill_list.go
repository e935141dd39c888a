package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/utility/api"
)

// billQuery chooses kept bills on the command line.
type billQuery struct {
	period, tariff, meter string
	asJSON                bool
}

func (q *billQuery) values() (url.Values, error) {
	v := make(url.Values)
	if q.tariff != "" {
		v.Set("tariff", q.tariff)
	}
	if q.meter != "" {
		if _, err := wattveil.ParseMeterID(q.meter); err != nil {
			return nil, fmt.Errorf("--meter: %w", err)
		}
		v.Set("meter", q.meter)
	}
	if q.period != "" {
		from, to, err := parsePeriod(q.period, "UTC")
		if err != nil {
			return nil, err
		}
		v.Set("from", from.Add(-farthestZone).UTC().Format(rfc3339))
		v.Set("to", to.Add(farthestZone).UTC().Format(rfc3339))
	}
	return v, nil
}

// farthestZone is more than any zone is from UTC.
const farthestZone = 24 * time.Hour

// has tells whether a bill begins in the period, by the clock of its tariff. One
// that is not valid has no clock but UTC.
func (q *billQuery) has(b api.MeterBill) (bool, error) {
	if q.period == "" || b.From == nil {
		return true, nil
	}
	zone := "UTC"
	if b.Document != nil {
		zone = b.Document.Timezone
	}
	from, to, err := parsePeriod(q.period, zone)
	return !b.From.Before(from) && b.From.Before(to), err
}

// each calls do with the kept bills that the query chooses.
func (q *billQuery) each(ctx context.Context, c *operator.Client, do func(api.MeterBill) error) error {
	v, err := q.values()
	if err != nil {
		return err
	}
	for {
		var part api.BillList
		if err := c.Do(ctx, http.MethodGet, "/v1/bills?"+v.Encode(), nil, &part); err != nil {
			return err
		}
		for _, b := range part.Bills {
			has, err := q.has(b)
			if err == nil && has {
				err = do(b)
			}
			if err != nil {
				return err
			}
		}
		if part.Next == 0 {
			return nil
		}
		v.Set("mark", fmt.Sprint(part.Next))
	}
}

func (p *party) newBillList() *cobra.Command {
	var q billQuery
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the bills that are kept",
		Long: `List the bills that are kept, by the start of their period. --period chooses
those whose period begins in it, by the clock of the bill's tariff. A correction
comes after the bill that it replaces.`,
		Example: `  wattveil utility bill list --dir utility
  wattveil utility bill list --period 2018-11 --json --dir utility`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&q.period, "period", "", "bills that begin in this `period`")
	f.StringVar(&q.tariff, "tariff", "", "bills by the tariff with this `id`")
	f.StringVar(&q.meter, "meter", "", "bills of this `meter`")
	f.BoolVar(&q.asJSON, "json", false, "print JSON, one bill a line")
	cmd.RunE = p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
		rows := [][]string{{"METER", "TARIFF", "FROM", "TO", "TOTAL", ""}}
		err := q.each(ctx, c, func(b api.MeterBill) error {
			if q.asJSON {
				return printLine(w, b)
			}
			kind := ""
			if b.Correction {
				kind = "correction"
			}
			total := "not valid: " + b.Class
			if b.Document != nil {
				total = b.Document.Total + " " + b.Document.Currency
			}
			rows = append(rows, []string{b.Meter, b.Tariff, moment(b.From), moment(b.To), total, kind})
			return nil
		})
		if err != nil || q.asJSON {
			return err
		}
		return printTable(w, rows...)
	})
	return cmd
}

func (p *party) newBillShow() *cobra.Command {
	var q billQuery
	cmd := &cobra.Command{
		Use:   "show METER",
		Short: "Show the bills of a meter with their lines",
		Long: `Show the bills of a meter that are kept, with their lines. --json prints each as
the TTP signed it, with the salt that ties it to the meter's pseudonym, and as a
document with the proof that it is in the TTP's log (spec/billing.md).`,
		Example: "  wattveil utility bill show 0f3a5c7e91b2d4f6 --period 2018-11 --dir utility",
		Args:    oneName("METER"),
	}
	f := cmd.Flags()
	f.StringVar(&q.period, "period", "", "bills that begin in this `period`")
	f.StringVar(&q.tariff, "tariff", "", "bills by the tariff with this `id`")
	f.BoolVar(&q.asJSON, "json", false, "print JSON, one bill a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.meter = args[0]
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			shown := 0
			err := q.each(ctx, c, func(b api.MeterBill) error {
				shown++
				if q.asJSON {
					return printLine(w, b)
				}
				return printBill(w, b)
			})
			if err == nil && shown == 0 {
				err = fmt.Errorf("no bill of meter %s is kept for that", q.meter)
			}
			return err
		})(cmd, args)
	}
	return cmd
}
