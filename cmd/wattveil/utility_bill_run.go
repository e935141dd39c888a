package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/utility/api"
	"github.com/wattveil/wattveil/wire"
)

// billRun is the command that asks for the bills of a period.
type billRun struct {
	period, tariff, ends, meters   string
	jsonFile, csvFile, refusedFile string

	client   *operator.Client
	out, err io.Writer
}

const (
	// billsAtOnce is how many meters one request names.
	billsAtOnce = 500
	// requestsAtOnce is how many requests are under way, so that one is
	// verified and kept here while the next are rated there.
	requestsAtOnce = 4
)

func (r *billRun) run(ctx context.Context, in io.Reader) (err error) {
	what, err := choosePeriod(ctx, r.client, r.tariff, r.period)
	if err != nil {
		return err
	}
	meters, err := chooseMeters(ctx, r.client, r.meters, in)
	if err != nil {
		return err
	}
	sinks, err := r.openSinks()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sinks.discard()) }()
	bar := billBar(r.err, "bills", len(meters))
	var sum billSum
	err = r.each(ctx, what, meters, func(meters int, list api.BillList) error {
		sum.kept += list.Kept
		for _, b := range list.Bills {
			if r.meters == "" && b.Class == string(wire.Retired) {
				continue // nothing of it in the period, or its successor has it
			}
			sum.add(b)
			if err := sinks.write(b); err != nil {
				return err
			}
		}
		return bar.Add(meters)
	})
	if err != nil {
		_ = bar.Exit()
		if ctx.Err() != nil {
			err = errInterrupted
		}
		return fmt.Errorf("%w; what is kept stays: run it again to go on", err)
	}
	_ = bar.Finish()
	if err := sinks.keep(); err != nil {
		return err
	}
	return sum.print(r.out)
}

// each asks for the bills of all meters, several requests at once, and gives
// the answers to do in the order of the meters.
func (r *billRun) each(ctx context.Context, what billed, meters []string, do func(meters int, list api.BillList) error) error {
	group, ctx := errgroup.WithContext(ctx)
	type request struct {
		meters []string
		answer chan api.BillList
	}
	requests := make(chan request, requestsAtOnce-1) // those under way, in order
	group.Go(func() error {
		defer close(requests)
		for part := range slices.Chunk(meters, billsAtOnce) {
			one := request{part, make(chan api.BillList, 1)}
			select {
			case requests <- one:
			case <-ctx.Done():
				return ctx.Err()
			}
			group.Go(func() error {
				var list api.BillList
				body := api.RunBills{Tariff: what.tariff, From: what.from, To: what.to, Meters: part, Ends: r.ends}
				if err := r.client.Do(ctx, http.MethodPost, "/v1/bills/run", body, &list); err != nil {
					return err
				}
				one.answer <- list
				return nil
			})
		}
		return nil
	})
	group.Go(func() error {
		for one := range requests {
			select {
			case list := <-one.answer:
				if err := do(len(one.meters), list); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

// billBar is a bar on a terminal, and nothing elsewhere.
func billBar(out io.Writer, what string, n int) *progressbar.ProgressBar {
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		out = io.Discard
	}
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
}

// billSum counts what a run came to.
type billSum struct {
	bills, kept, without int
	corrections          int
	reasons              []refusals
}

// refusals are the meters that have no bill for one reason.
type refusals struct {
	class, rule string
	count       int
	example     string
}

// name is the class, and the rule where a class has rules.
func (r *refusals) name() string { return strings.TrimSpace(r.class + " " + r.rule) }

func (s *billSum) add(b api.MeterBill) {
	if b.Correction && b.Class == "" {
		s.corrections++
		return
	}
	s.bills++
	if b.Class == "" {
		return
	}
	s.without++
	i := slices.IndexFunc(s.reasons, func(r refusals) bool { return r.class == b.Class && r.rule == b.Rule })
	if i < 0 {
		i = len(s.reasons)
		s.reasons = append(s.reasons, refusals{class: b.Class, rule: b.Rule, example: b.Meter + ": " + b.Reason})
	}
	s.reasons[i].count++
}

// print says how many bills there are and why others are not, and fails if
// some are missing.
func (s *billSum) print(out io.Writer) error {
	fmt.Fprintf(out, "%d of %d bills verified and kept, %d of them before this run\n", s.bills-s.without, s.bills, s.kept)
	if s.corrections > 0 {
		fmt.Fprintf(out, "%d corrections of earlier bills came with them\n", s.corrections)
	}
	if s.without == 0 {
		return nil
	}
	slices.SortFunc(s.reasons, func(a, b refusals) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.name(), b.name()))
	})
	rows := [][]string{{"BILLS", "WHY", "SUCH AS"}}
	for _, r := range s.reasons {
		rows = append(rows, []string{fmt.Sprint(r.count), r.name(), oneLine(errors.New(r.example))})
	}
	if err := printTable(out, rows...); err != nil {
		return err
	}
	return found{fmt.Errorf("%d of %d bills are missing", s.without, s.bills)}
}
