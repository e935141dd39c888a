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

// The exit codes other than 0.
const (
	exitFailed  = 1   // what was asked for failed or was refused
	exitMisuse  = 2   // the command line is wrong, and nothing was done
	exitFound   = 3   // it was done, and the user must see to what was found
	exitStopped = 130 // what shells call a command that Ctrl-C has ended
)

// errInterrupted is how commands end that a signal stopped, but for the demo.
var errInterrupted = errors.New("stopped before the end")

// found is what a command has found that its user must see to.
type found struct{ error }

// misuse is an error of the command line itself: a flag or an argument that is
// missing or cannot be meant.
type misuse string

func misusef(format string, args ...any) error { return misuse(fmt.Sprintf(format, args...)) }

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
	fmt.Fprintln(stderr, "wattveil: "+oneLine(err))
	var wrong misuse
	switch {
	case errors.Is(err, errStopped), errors.Is(err, errInterrupted):
		return exitStopped
	case errors.As(err, new(found)):
		return exitFound
	case !began, errors.As(err, &wrong):
		return exitMisuse
	default:
		return exitFailed
	}
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
	root := group("wattveil", "Smart metering in which the utility never sees a reading")
	root.Long = `wattveil is a metering platform in which every reading travels encrypted past
the utility to a trusted third party (TTP). The utility knows the customer and
never a reading; the TTP sees the readings and never whose they are.`
	root.SilenceUsage = true
	root.SilenceErrors = true
	root.SetFlagErrorFunc(flagError)
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
		Args:  noSuch,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// Commands that differ in so many letters are suggested.
		SuggestionsMinimumDistance: 2,
	}
}

// noSuch refuses what a group has no command for, and names those like it.
func noSuch(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	like := ""
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		like = "; did you mean " + strings.Join(names, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q for %q%s; see %s --help", args[0], cmd.CommandPath(), like, cmd.CommandPath())
}
