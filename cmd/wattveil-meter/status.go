package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newStatus() *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [METER]",
		Short: "Show how the running meters stand",
		Long: `status shows how a meter that runs on this machine stands towards its utility
and the TTP, and what it has sent since its start. Of many meters it shows the
sums, or the one that is named. It shows no reading.`,
		Example: `  wattveil-meter status --data /var/lib/wattveil-meter
  wattveil-meter status --data field 00112233445566a7
  wattveil-meter status --data field --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := askStatus(cmd.Context(), data)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if list = only(list, args[0]); len(list) == 0 {
					return fmt.Errorf("there is no meter %s in %s", args[0], data)
				}
			}
			return showStatus(cmd.OutOrStdout(), list, asJSON)
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().BoolVar(&asJSON, "json", false, "show all there is, as JSON")
	return cmd
}

func only(list []meterStatus, id string) []meterStatus {
	return slices.DeleteFunc(list, func(s meterStatus) bool { return s.Meter != id })
}

func showStatus(w io.Writer, list []meterStatus, asJSON bool) error {
	switch {
	case asJSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(list)
	case len(list) == 1:
		return showOne(w, list[0])
	default:
		return showSums(w, list)
	}
}

func showOne(w io.Writer, s meterStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", values...) }
	row("meter", "%s", s.Meter)
	row("state", "%s", s.State)
	if s.Ended {
		row("next reading", "none, the source has ended")
	} else {
		row("next reading", "%s", s.NextReading.Format(time.RFC3339))
	}
	row("readings", "%d taken, %d sent, %d waiting, %d missing, %d dropped", s.Taken, s.Sent, s.Pending, s.Missing, s.Dropped)
	row("messages", "%d of %d bytes in all", s.Messages, s.Bytes)
	row("receipt", "%s", receiptText(s))
	if s.ClockSuspect {
		row("warning", "the clock may be wrong")
	}
	if s.ReceiptOverdue {
		row("warning", "the TTP has confirmed nothing for 3 days")
	}
	if s.Takeover != nil {
		row("warning", "somebody else has claimed this meter in the TTP's portal: it moves to their account at %s unless its owner refuses there",
			s.Takeover.Format(time.RFC3339))
	}
	if s.TakenOver > 0 {
		row("warning", "another device has connected under this meter's name %d times: %s", s.TakenOver, cloneAdvice)
	}
	if s.Evidence {
		row("warning", "the utility's key center has signed two keys for one name: tell the TTP")
	}
	if len(s.RefusedByReason) > 0 {
		row("refused", "%s", reasons(s.RefusedByReason))
	}
	return t.Flush()
}

// cloneAdvice says what to do when two devices are one meter.
const cloneAdvice = "stop the copy, and have the utility replace the meter if nobody made one"

func receiptText(s meterStatus) string {
	if s.LastReceipt == nil {
		return "none yet"
	}
	return fmt.Sprintf("%s, readings durable through %s, %d asked for again",
		s.LastReceipt.Format(time.RFC3339), s.DurableThrough.Format(time.RFC3339), s.Asked)
}

func reasons(counts map[string]uint64) string {
	var parts []string
	for _, class := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[class], class))
	}
	return strings.Join(parts, ", ")
}

func showSums(w io.Writer, list []meterStatus) error {
	states, refused := make(map[string]uint64), make(map[string]uint64)
	var sum meterStatus
	var suspect, overdue, receipts, cloned, claimed int
	for _, s := range list {
		states[string(s.State)]++
		sum.Taken += s.Taken
		sum.Sent += s.Sent
		sum.Pending += s.Pending
		sum.Missing += s.Missing
		sum.Dropped += s.Dropped
		sum.Messages += s.Messages
		sum.Bytes += s.Bytes
		suspect += count(s.ClockSuspect)
		overdue += count(s.ReceiptOverdue)
		receipts += count(s.LastReceipt != nil)
		cloned += count(s.TakenOver > 0)
		claimed += count(s.Takeover != nil)
		for class, n := range s.RefusedByReason {
			refused[class] += n
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "meters\t%d: %s\n", len(list), reasons(states))
	fmt.Fprintf(t, "readings\t%d taken, %d sent, %d waiting, %d missing, %d dropped\n", sum.Taken, sum.Sent, sum.Pending, sum.Missing, sum.Dropped)
	fmt.Fprintf(t, "messages\t%d of %d bytes in all\n", sum.Messages, sum.Bytes)
	fmt.Fprintf(t, "receipts\t%d meters have one, %d have had none for 3 days\n", receipts, overdue)
	if claimed > 0 {
		fmt.Fprintf(t, "warning\t%d meters have been claimed by somebody else in the TTP's portal\n", claimed)
	}
	if suspect > 0 {
		fmt.Fprintf(t, "warning\tthe clocks of %d meters may be wrong\n", suspect)
	}
	if cloned > 0 {
		fmt.Fprintf(t, "warning\tother devices have connected under the names of %d meters: %s\n", cloned, cloneAdvice)
	}
	if len(refused) > 0 {
		fmt.Fprintf(t, "refused\t%s\n", reasons(refused))
	}
	return t.Flush()
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
