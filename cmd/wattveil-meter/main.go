// Command wattveil-meter runs smart meters: one on a device, or many in one
// process for load and soak tests. It carries no server and no store but the
// ring of its own readings.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(newRoot(), os.Args[1:], os.Stderr))
}

// run executes a command line and returns the exit code: 0, or 1 with one line
// on stderr.
func run(root *cobra.Command, args []string, stderr io.Writer) int {
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		fmt.Fprintln(stderr, "wattveil-meter: "+oneLine(err))
		return 1
	}
	return 0
}

// oneLine joins an error of several lines, such as a list of suggestions.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// newRoot is the whole command tree.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "wattveil-meter",
		Short: "A smart meter whose readings the utility never sees",
		Long: `wattveil-meter takes readings, seals them for the trusted third party and hands
them to the utility's collectors, which cannot open them. It keeps the readings
of 40 days in a data folder, so that none is lost while something is away.

The utility provisions a meter with a record (wattveil utility meter add). The
other commands look at a running meter from the same machine.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newRun(), newStatus(), newClaim(), newExport())
	return root
}
