package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

// maxInput bounds what is read from a file or from standard input. It is above
// the limits of the formats, whose own refusals say more.
const maxInput = 1 << 20

func newBill() *cobra.Command {
	cmd := group("bill", "Work with bills")
	cmd.AddCommand(newBillVerify(), newBillPin(), newBillPage())
	return cmd
}

func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one FILE with a bill, or - for standard input; have %d", len(args))
	}
	return nil
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
