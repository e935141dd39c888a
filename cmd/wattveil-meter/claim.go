package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newClaim() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "claim [METER]",
		Short: "Show the claim code of a running meter",
		Long: `claim shows the code with which its owner claims a meter in the TTP's portal. It
proves that the meter and the TTP share keys that nobody between them has, so
type it into the portal and nowhere else. It changes with the meter's keys.`,
		Example: `  wattveil-meter claim --data /var/lib/wattveil-meter
  wattveil-meter claim --data field 00112233445566a7`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := oneMeter(cmd, data, args)
			if err != nil {
				return err
			}
			code, err := askClaim(cmd.Context(), data, id)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), code)
			return err
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

// oneMeter is the meter that is named, or the only one that runs.
func oneMeter(cmd *cobra.Command, data string, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	list, err := askStatus(cmd.Context(), data)
	if err != nil {
		return "", err
	}
	if len(list) != 1 {
		return "", fmt.Errorf("%d meters run in %s: name one", len(list), data)
	}
	return list[0].Meter, nil
}
