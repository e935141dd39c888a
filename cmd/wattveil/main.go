// Command wattveil runs and inspects the parts of the wattveil platform.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	_ "time/tzdata" // time zones on machines that have none

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(newRoot(), os.Args[1:], os.Stderr))
}

// exitStopped is what shells call a command that Ctrl-C has ended.
const exitStopped = 130

// run executes a command line and returns the exit code: 0, or 1 with one line
// on stderr, or 130 if it was stopped.
func run(root *cobra.Command, args []string, stderr io.Writer) int {
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "wattveil: "+oneLine(err))
	if errors.Is(err, errStopped) {
		return exitStopped
	}
	return 1
}

// oneLine joins an error of several lines, such as a list of suggestions.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// newRoot is the whole command tree.
func newRoot() *cobra.Command {
	root := group("wattveil", "Smart metering in which the utility never sees a reading")
	root.Long = `wattveil is a metering platform in which every reading travels encrypted past
the utility to a trusted third party (TTP). The utility knows the customer and
never a reading; the TTP sees the readings and never whose they are.`
	root.SilenceUsage = true
	root.SilenceErrors = true
	root.AddCommand(
		newDemo(),
		newUtility(),
		newTTP(),
		newCollector(),
		newBill(),
		newTariff(),
	)
	return root
}

// group is a command that only holds others: alone it prints its help, and a
// subcommand that does not exist is an error.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}
