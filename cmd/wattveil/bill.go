package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/bill"
)

// maxInput bounds what is read from a file or from standard input. It is above
// the limits of the formats, whose own refusals say more.
const maxInput = 1 << 20

func newBill() *cobra.Command {
	cmd := group("bill", "Work with bills")
	cmd.AddCommand(newBillVerify())
	return cmd
}

func newBillVerify() *cobra.Command {
	var v verifyBill
	cmd := &cobra.Command{
		Use:   "verify --key JWKS FILE",
		Short: "Check a bill that a TTP has signed",
		Long: `Check a bill that a TTP has signed, and print it.

FILE holds the bill as the TTP gave it: three parts of letters and digits
between two dots (a compact JWS). "-" reads it from standard input.

--key names the file with the TTP's public keys (a JWKS). Take it from the TTP,
not from whoever gave you the bill.

The signature is checked, and all sums are computed again. Whose bill it is and
whether the meter measured this energy cannot be told from the bill alone.

The exit code is 0 if everything that was checked holds, and 1 otherwise.`,
		Example: `  wattveil bill verify --key ttp-keys.json march.jws
  curl -s https://utility.example/bills/march | wattveil bill verify --key ttp-keys.json -
  wattveil bill verify --key ttp-keys.json --json march.jws`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.run(cmd.InOrStdin(), cmd.OutOrStdout(), args[0])
		},
	}
	cmd.Flags().StringVar(&v.keyFile, "key", "", "file with the TTP's public `JWKS`")
	cmd.Flags().BoolVar(&v.json, "json", false, "print the outcome as JSON")
	return cmd
}

func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one FILE with a bill, or - for standard input; have %d", len(args))
	}
	return nil
}

// verifyBill is the command `wattveil bill verify`.
type verifyBill struct {
	keyFile string
	json    bool
}

// outcome is what the command prints with --json.
type outcome struct {
	OK         bool       `json:"ok"`
	Class      string     `json:"class,omitempty"` // of the refusal, spec/bill.md section 7
	Error      string     `json:"error,omitempty"`
	KeyID      string     `json:"key_id,omitempty"`
	Checked    []string   `json:"checked,omitempty"`
	NotChecked []string   `json:"not_checked,omitempty"`
	Bill       *bill.Bill `json:"bill,omitempty"`
}

func (v verifyBill) run(stdin io.Reader, stdout io.Writer, file string) error {
	verified, err := v.verify(stdin, file)
	if v.json {
		return errors.Join(writeJSON(stdout, verified, err), err)
	}
	if err != nil {
		return err
	}
	return writeOutcome(stdout, newOutcome(verified))
}

func (v verifyBill) verify(stdin io.Reader, file string) (bill.Verified, error) {
	if v.keyFile == "" {
		return bill.Verified{}, misuse("--key is missing: give the file with the TTP's public keys (a JWKS), which the TTP publishes")
	}
	if v.keyFile == "-" && file == "-" {
		return bill.Verified{}, errors.New("both the keys and the bill are to come from standard input: give a file for one of them")
	}
	data, err := readInput(stdin, v.keyFile)
	if err != nil {
		return bill.Verified{}, fmt.Errorf("read keys: %w", err)
	}
	keys, err := bill.ParseKeySet(data)
	if err != nil {
		return bill.Verified{}, fmt.Errorf("%s: %w", v.keyFile, err)
	}
	if data, err = readInput(stdin, file); err != nil {
		return bill.Verified{}, fmt.Errorf("read bill: %w", err)
	}
	jws := strings.TrimRight(string(data), "\r\n")
	if jws == "" {
		return bill.Verified{}, fmt.Errorf("%s: %w", file, &bill.Error{Class: bill.ErrJWS, Detail: "it is empty"})
	}
	verified, err := bill.Verify(jws, keys)
	if err != nil {
		return bill.Verified{}, fmt.Errorf("%s: %w", file, err)
	}
	return verified, nil
}

// readInput reads a file, or standard input for "-".
func readInput(stdin io.Reader, file string) ([]byte, error) {
	return readLimited(stdin, file, maxInput)
}

// readLimited reads a file of at most limit bytes, or standard input for "-".
func readLimited(stdin io.Reader, file string, limit int64) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s", file)
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	return data, nil
}

// newOutcome says what the verification of a bare JWS covers.
func newOutcome(v bill.Verified) outcome {
	return outcome{
		OK:    true,
		KeyID: v.KeyID,
		Checked: []string{
			"signature: EdDSA, by key " + v.KeyID,
			"format: canonical, version 1",
			"sums: each amount, the tax, the total and the energies",
		},
		NotChecked: []string{
			"subject: whose bill it is needs the bill's salt and the meter's pseudonym",
			"log: a bare bill carries no proof that the TTP has published it",
			"energy: that the meter measured this needs the readings",
		},
		Bill: &v.Bill,
	}
}

func writeOutcome(w io.Writer, o outcome) error {
	var s strings.Builder
	for _, line := range o.Checked {
		fmt.Fprintf(&s, "ok           %s\n", line)
	}
	for _, line := range o.NotChecked {
		fmt.Fprintf(&s, "not checked  %s\n", line)
	}
	s.WriteByte('\n')
	if err := o.Bill.WriteText(&s); err != nil {
		return fmt.Errorf("print bill: %w", err)
	}
	if _, err := io.WriteString(w, s.String()); err != nil {
		return fmt.Errorf("print bill: %w", err)
	}
	return nil
}

// writeJSON prints the outcome, good or bad, as JSON.
func writeJSON(w io.Writer, v bill.Verified, failure error) error {
	var o outcome
	if failure == nil {
		o = newOutcome(v)
	} else {
		o.Error = oneLine(failure)
		var class bill.Class
		if errors.As(failure, &class) {
			o.Class = string(class)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(o); err != nil {
		return fmt.Errorf("print outcome: %w", err)
	}
	return nil
}
