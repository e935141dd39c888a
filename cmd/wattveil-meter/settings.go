package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/config"
)

const (
	environPrefix  = "WATTVEIL_METER_"
	configVariable = environPrefix + "CONFIG"
	dataVariable   = environPrefix + "DATA"

	day         = 24 * time.Hour
	maxRingDays = 400
	maxSpread   = time.Hour
)

// settings of run. None is a secret: what is secret stands in files that they
// name.
func settings() []config.Setting {
	return []config.Setting{
		{Key: "provision", Help: "file with the provisioning records, one a line (mode 0600)"},
		{Key: "data", Help: "data folder of the meters, made if missing"},
		{Key: "count", Default: "0", Help: "how many of the records to run, the first ones; 0 for all"},
		{Key: "source", Default: "sim", Help: "what is metered: sim for simulated homes, or csv:FILE for measured ones, a column each"},
		{Key: "resolution", Default: "15m", Help: "time between two readings of a simulated home"},
		{Key: "history", Default: "0s", Help: "how far back the readings of a new meter begin"},
		{Key: "device_key", Help: "file or pipe with the 32 bytes that seal the vault; without it the data folder has one"},
		{Key: "ring_days", Default: "40", Help: "days of readings that are kept"},
		{Key: "retry", Default: "30m", Help: "how long to wait for an answer before asking again"},
		{Key: "spread", Default: "0s", Help: "within what time of the start the meters connect, so that many do not call at once"},
		{Key: "log.level", Default: "info", Help: "least severe lines to log: debug, info, warn or error"},
		{Key: "log.format", Default: "text", Help: "form of the log: text or json"},
	}
}

type runConfig struct {
	Provision  string        `koanf:"provision"`
	Data       string        `koanf:"data"`
	Count      int           `koanf:"count"`
	Source     string        `koanf:"source"`
	Resolution time.Duration `koanf:"resolution"`
	History    time.Duration `koanf:"history"`
	DeviceKey  string        `koanf:"device_key"`
	RingDays   int           `koanf:"ring_days"`
	Retry      time.Duration `koanf:"retry"`
	Spread     time.Duration `koanf:"spread"`
	Log        struct {
		Level  string `koanf:"level"`
		Format string `koanf:"format"`
	} `koanf:"log"`
}

// loadConfig reads the settings: defaults, above them the file if one is
// named, the environment and the flags.
func loadConfig(cmd *cobra.Command) (runConfig, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return runConfig{}, err
	}
	flags := make(map[string]string)
	for _, s := range settings() {
		if f := cmd.Flags().Lookup(s.Flag()); f.Changed {
			flags[s.Key] = f.Value.String()
		}
	}
	layers := config.Layers{
		Settings: settings(), File: file, Prefix: environPrefix, Environ: os.Environ(),
		Reserved: []string{configVariable}, Flags: flags,
	}
	var c runConfig
	if err := layers.Load(&c); err != nil {
		return c, err
	}
	if err := c.check(); err != nil {
		return c, misuse(err.Error())
	}
	return c, nil
}

func (c runConfig) check() error {
	_, err := wattveil.NewResolution(c.Resolution)
	switch {
	case c.Provision == "":
		return errors.New("--provision is missing: name the file that the utility's operator gave you")
	case c.Data == "":
		return errors.New("--data is missing: name a folder for the meter's keys and readings")
	case c.Count < 0:
		return fmt.Errorf("--count %d: want 1 or more, or 0 for all", c.Count)
	case err != nil:
		return fmt.Errorf("--resolution: %w; want one such as 15m, 1m or 1s", err)
	case c.RingDays < 1 || c.RingDays > maxRingDays:
		return fmt.Errorf("--ring-days %d: want 1 to %d", c.RingDays, maxRingDays)
	case c.History < 0 || c.History > time.Duration(c.RingDays)*day:
		return fmt.Errorf("--history %v: want 0 to the %d days of the ring", c.History, c.RingDays)
	case c.Spread < 0 || c.Spread > maxSpread:
		return fmt.Errorf("--spread %v: want 0s to %v", c.Spread, maxSpread)
	case c.Retry < time.Second:
		return fmt.Errorf("--retry %v: want 1s or more", c.Retry)
	}
	return nil
}

// settingFlags adds a flag for each setting.
func settingFlags(cmd *cobra.Command) {
	for _, s := range settings() {
		help := s.Help
		if s.Default != "" {
			help += " (default " + s.Default + ")"
		}
		cmd.Flags().String(s.Flag(), "", help)
	}
	cmd.Flags().String("config", os.Getenv(configVariable), "configuration file, TOML with the names of these flags, - as _ (environment: "+configVariable+")")
}

// dataFlag adds the flag of the commands that look at a running meter.
func dataFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data", os.Getenv(dataVariable), "the meter's data `folder` (environment: "+dataVariable+")")
}

// needData fails if no data folder is named, or if it is none.
func needData(dir string) error {
	if dir == "" {
		return misuse("name the meter's data folder with --data or in " + dataVariable)
	}
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.IsDir() {
		return fmt.Errorf("--data: there is no folder %s", dir)
	}
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	return nil
}
