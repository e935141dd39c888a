package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"rsc.io/qr"
)

func newClaim() *cobra.Command {
	var data string
	var show claimForm
	cmd := &cobra.Command{
		Use:   "claim [METER]",
		Short: "Show the claim code of a running meter",
		Long: `claim shows the code with which its owner claims a meter in the TTP's portal. It
proves that the meter and the TTP share keys that nobody between them has, so
type it into the portal and nowhere else. It changes with the meter's keys.

On a terminal the code is also drawn as a QR code, to be scanned.`,
		Example: `  wattveil-meter claim --data /var/lib/wattveil-meter
  wattveil-meter claim --data field 00112233445566a7 --json`,
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
			out := cmd.OutOrStdout()
			if !cmd.Flags().Changed("qr") {
				show.qr = isTerminal(out)
			}
			return show.print(out, id, code)
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().BoolVar(&show.json, "json", false, "print JSON, without a drawing")
	cmd.Flags().BoolVar(&show.qr, "qr", false, "draw a QR code, or not with --qr=false (default: on a terminal)")
	return cmd
}

// claimForm is how a claim code is shown.
type claimForm struct{ json, qr bool }

func (f claimForm) print(w io.Writer, id, code string) error {
	if f.json {
		return json.NewEncoder(w).Encode(map[string]string{"meter": id, "code": code})
	}
	if _, err := fmt.Fprintln(w, code); err != nil || !f.qr {
		return err
	}
	drawn, err := drawQR(code)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, drawn)
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

const (
	quietZone = 4 // modules around a QR code that stay white

	// A terminal's own colours may be the other way round.
	whiteOnBlack = "\x1b[97;40m"
	ownColours   = "\x1b[0m"
)

// drawQR draws a QR code, two modules in a character.
func drawQR(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("draw the claim code: %w", err)
	}
	var b strings.Builder
	for y := -quietZone; y < code.Size+quietZone; y += 2 {
		b.WriteString(whiteOnBlack)
		for x := -quietZone; x < code.Size+quietZone; x++ {
			switch upper, lower := code.Black(x, y), code.Black(x, y+1); {
			case upper && lower:
				b.WriteByte(' ')
			case upper:
				b.WriteRune('▄')
			case lower:
				b.WriteRune('▀')
			default:
				b.WriteRune('█')
			}
		}
		b.WriteString(ownColours + "\n")
	}
	return b.String(), nil
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
