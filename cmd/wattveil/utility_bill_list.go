package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
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
			return nil, misusef("--meter: %v", err)
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
		Long: `List the bills that are kept, by the start of their period and then by meter. A
correction comes after the bill that it replaces. --period chooses the bills whose
period begins in it. Times are by the clock of the bill's tariff.

--json is in the order of the starts alone, which is known before all are read.`,
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
		var list []api.MeterBill
		err := q.each(ctx, c, func(b api.MeterBill) error {
			if q.asJSON {
				return printLine(w, b)
			}
			list = append(list, b)
			return nil
		})
		if err != nil || q.asJSON {
			return err
		}
		return printBills(w, list)
	})
	return cmd
}

// printBills prints a line for each bill. They come by their start.
func printBills(w io.Writer, list []api.MeterBill) error {
	slices.SortStableFunc(list, func(a, b api.MeterBill) int {
		return cmp.Or(a.From.Compare(*b.From), cmp.Compare(a.Meter, b.Meter))
	})
	rows := [][]string{{"METER", "TARIFF", "FROM", "TO", "TOTAL", ""}}
	for _, b := range list {
		kind := ""
		if b.Correction {
			kind = "correction"
		}
		from, to, total := b.From.UTC().Format(rfc3339), b.To.UTC().Format(rfc3339), "not valid: "+b.Class
		if d := b.Document; d != nil {
			from, to, total = d.From, d.To, d.Total+" "+d.Currency
		}
		rows = append(rows, []string{b.Meter, b.Tariff, from, to, total, kind})
	}
	return printTable(w, rows...)
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
		if _, err := wattveil.ParseMeterID(args[0]); err != nil {
			return misuse(err.Error())
		}
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
			if err != nil || shown > 0 {
				return err
			}
			if err := c.Do(ctx, http.MethodGet, "/v1/meters/"+url.PathEscape(q.meter), nil, nil); err != nil {
				return err
			}
			return fmt.Errorf("no bill of meter %s is kept for that", q.meter)
		})(cmd, args)
	}
	return cmd
}
