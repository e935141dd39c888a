package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/peer"
	ttpapi "github.com/wattveil/wattveil/ttp/api"
	"github.com/wattveil/wattveil/utility/api"
)

// suggestFor is how long a shell is kept waiting for names.
const suggestFor = 2 * time.Second

// connector gives a client of a party's API, and what closes it.
type connector func(context.Context) (*operator.Client, func() error, error)

// names lists the names of a kind that a party knows.
type names func(ctx context.Context, c *operator.Client) ([]string, error)

// suggest completes the names that a party knows. What cannot be asked now is
// not completed, without a word: a shell has no place for one.
func suggest(connect connector, list names) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp // each takes one name
		}
		ctx, cancel := context.WithTimeout(context.Background(), suggestFor)
		defer cancel()
		c, end, err := connect(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = end() }()
		known, _ := list(ctx, c)
		return known, cobra.ShellCompDirectiveNoFileComp
	}
}

// suggestFlag completes the value of a flag.
func suggestFlag(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return complete(cmd, nil, prefix)
	}); err != nil {
		panic(err) // the flag has just been added
	}
}

func utilityStatus(ctx context.Context, c *operator.Client) (s api.Status, err error) {
	return s, c.Do(ctx, http.MethodGet, "/v1/status", nil, &s)
}

func collectorNames(ctx context.Context, c *operator.Client) (list []string, err error) {
	s, err := utilityStatus(ctx, c)
	for _, known := range s.Collectors {
		list = append(list, known.Name)
	}
	return list, err
}

func trusteeNames(ctx context.Context, c *operator.Client) (list []string, err error) {
	s, err := utilityStatus(ctx, c)
	for _, known := range s.TTPs {
		if name, err := peer.ParseName(known.Name); err == nil {
			list = append(list, name.Org)
		}
	}
	return list, err
}

func meterNames(ctx context.Context, c *operator.Client) (list []string, err error) {
	var part api.MeterList // the first ones: a shell shows no more
	err = c.Do(ctx, http.MethodGet, "/v1/meters", nil, &part)
	for _, known := range part.Meters {
		list = append(list, known.ID)
	}
	return list, err
}

func tariffNames(ctx context.Context, c *operator.Client) (list []string, err error) {
	var known []api.Tariff
	err = c.Do(ctx, http.MethodGet, "/v1/tariffs", nil, &known)
	for _, t := range known {
		list = append(list, t.ID)
	}
	return list, err
}

func utilityNames(ctx context.Context, c *operator.Client) (list []string, err error) {
	var s ttpapi.Status
	err = c.Do(ctx, http.MethodGet, "/v1/status", nil, &s)
	for _, known := range s.Utilities {
		if name, err := peer.ParseName(known.Name); err == nil && !known.Removed {
			list = append(list, name.Org)
		}
	}
	return list, err
}
