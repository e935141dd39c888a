package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/wire"
)

func (p *party) newUtilityBill() *cobra.Command {
	cmd := group("bill", "Ask TTPs for bills, print invoices, and compare bills with feeders")
	cmd.AddCommand(p.newBillRun(), p.newBillList(), p.newBillShow(), p.newBillLog(), p.newBillKeys(), p.newBillInvoice(), p.newBillReconcile())
	return cmd
}

func (p *party) newBillRun() *cobra.Command {
	var r billRun
	cmd := &cobra.Command{
		Use:   "run --period PERIOD",
		Short: "Ask the TTPs for the bills of a period, verify and keep them",
		Long: `Ask the TTPs for the bills of a period by a tariff, for all meters or for those
in --meters. Each bill is verified and kept. A meter without a bill does not stop
the others: the summary says why there is none, and --refused lists such meters
in a file that --meters reads.

A meter that has moved in the period gets a bill for each of its pseudonyms, each
for the part of the period in which it held. The bills of a replaced meter are
those of the device in its place.

The run can be stopped and started again at any time, by a power cut too: what is
kept is not asked for again, and the same run gives the same bills and files.

PERIOD is a month (2018-11), or FROM/TO, both dates or both times with an offset;
TO is exclusive. Months and dates are by the clock of the tariff. Without --tariff
it is the one that is in force in all of the period, if there is one only.

The TTP bills at least a number of days at once (7, if its operator has set no
other), except where --ends says that the tariff or the tenancy ends with the
period. That binds: it makes no later bill of it. For a meter that has moved the
command knows that by itself. With a bill may come a correction, which replaces
the bill of an earlier period, because readings came late.

--json writes a line of JSON for each meter, --csv a line for each line of each
bill (spec/billing.md). A file appears when it is complete.

The exit code is 0 if every meter has a bill, 3 if the run is complete and some
have none, 1 if it could not be completed, and 130 if it was stopped.`,
		Example: `  wattveil utility bill run --period 2018-11 --dir utility
  wattveil utility bill run --period 2018-11 --json bills.jsonl --csv lines.csv --refused refused.txt --dir utility
  wattveil utility bill run --period 2018-11 --meters refused.txt --refused refused.txt --dir utility
  wattveil utility bill run --period 2018-11-05/2018-12-01 --tariff tou-2018 --meters moved-in.txt --dir utility
  wattveil utility bill run --period 2018-11-01/2018-11-05 --tariff tou-2017 --ends tariff --dir utility`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&r.period, "period", "", "what to bill")
	f.StringVar(&r.tariff, "tariff", "", "`id` of the tariff (default: the one in force)")
	suggestFlag(cmd, "tariff", suggest(p.utilityClient, tariffNames))
	f.StringVar(&r.ends, "ends", "", "`what` ends with the period: tariff or tenancy")
	f.StringVar(&r.meters, "meters", "", "`file` with one meter a line, - for standard input (default: all)")
	f.StringVar(&r.jsonFile, "json", "", "`file` for the bills as JSON Lines")
	f.StringVar(&r.csvFile, "csv", "", "`file` for the bills' lines as CSV")
	f.StringVar(&r.refusedFile, "refused", "", "`file` for the meters that have no bill")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.period == "" {
			return misuse("--period is missing: name a month such as 2018-11, or FROM/TO")
		}
		if r.ends != "" && r.ends != wire.EndsTariff && r.ends != wire.EndsTenancy {
			return misusef("--ends %q: want %s or %s", r.ends, wire.EndsTariff, wire.EndsTenancy)
		}
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			r.client, r.out, r.err = c, w, cmd.ErrOrStderr()
			return r.run(ctx, cmd.InOrStdin())
		})(cmd, args)
	}
	return cmd
}
