// Command wattveil-meter runs smart meters: one on a device, or many in one
// process for load and soak tests. It carries no server and no store but the
// ring of its own readings.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(newRoot(), os.Args[1:], os.Stderr))
}

// The exit codes other than 0.
const (
	exitFailed = 1 // what was asked for failed or was refused
	exitMisuse = 2 // the command line is wrong, and nothing was done
)

// misuse is an error of the command line itself: a flag or an argument that is
// missing or cannot be meant.
type misuse string

// Error implements error.
func (m misuse) Error() string { return string(m) }

// run executes a command line and returns the exit code, with one line on
// stderr unless that is 0.
func run(root *cobra.Command, args []string, stderr io.Writer) int {
	root.SetArgs(args)
	began := false
	watchRuns(root, &began)
	err := root.Execute()
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "wattveil-meter: "+oneLine(err))
	var wrong misuse
	if !began || errors.As(err, &wrong) {
		return exitMisuse
	}
	return exitFailed
}

// watchRuns notes that a command has begun: an error before is of the command
// line, whose flags and arguments cobra checks first.
func watchRuns(cmd *cobra.Command, began *bool) {
	if do := cmd.RunE; do != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*began = true
			return do(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		watchRuns(sub, began)
	}
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
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			like := ""
			if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
				like = "; did you mean " + strings.Join(names, " or ") + "?"
			}
			return fmt.Errorf("unknown command %q for %q%s; see %s --help", args[0], cmd.CommandPath(), like, cmd.CommandPath())
		},
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		SilenceErrors:              true,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newRun(), newStatus(), newClaim(), newExport())
	return root
}
