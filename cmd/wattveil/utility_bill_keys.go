package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/utility/api"
)

func (p *party) newBillKeys() *cobra.Command {
	var ttp string
	var log bool
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Print the keys that a TTP's bills are verified with",
		Long: `Print the public keys of a TTP's bills as this utility has them (a JWKS), or with --log the
keys of its bill log, this utility's witness among them: the files that "wattveil bill pin"
takes with --key and --log. The TTP is asked for them; if it does not answer, they are those of
before, and standard error says so. Publish them for customers and regulators, who can compare the
former with what the TTP publishes itself.`,
		Example: `  wattveil utility bill keys --dir utility > ttp-keys.json
  wattveil utility bill keys --log --ttp ttp.example --dir utility > ttp-log.json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&ttp, "ttp", "", "the TTP's `organisation`; may be left out where there is one only")
	cmd.Flags().BoolVar(&log, "log", false, "print the keys of the bill log")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.ask(p.utilityClient, func(ctx context.Context, c *operator.Client, w io.Writer) error {
			var keys api.Keys
			if err := c.Do(ctx, http.MethodGet, "/v1/bill-keys?"+url.Values{"ttp": {ttp}}.Encode(), nil, &keys); err != nil {
				return err
			}
			if keys.Stale != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: the TTP does not tell its keys now, and these are those of before: %s\n", oneLine(errors.New(keys.Stale)))
			}
			switch {
			case !log:
				return encodeJSON(w, keys.JWKS)
			case keys.Log == nil:
				return errors.New("the TTP has not told its bill log yet: run \"utility enrol\" or the first bills")
			default:
				return encodeJSON(w, keys.Log)
			}
		})(cmd, args)
	}
	return cmd
}
