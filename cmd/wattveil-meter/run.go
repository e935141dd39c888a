package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/wattveil/wattveil/internal/folder"
	"github.com/wattveil/wattveil/internal/journal"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/meter/vault"
)

const (
	deviceKeyFile = "device.key"
	closeAtOnce   = 64
	socketGrace   = time.Second
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run --provision FILE --data DIR",
		Short: "Run the meters of a provisioning file",
		Long: `run takes readings, seals them and hands them to the collectors until it is
stopped with SIGTERM or Ctrl-C. What is not sent by then is kept in the data
folder and sent after the next start.

A meter's keys are sealed under the device's own key. A maker keeps that key
apart from the data folder and names it with --device-key, which may be a pipe
such as /dev/fd/3. Without it the data folder holds a key of its own, and who
copies the whole folder has the keys.

With --source sim each meter has a simulated home; the file then may hold many
records, for load and soak tests. Settings may also stand in the environment
(WATTVEIL_METER_DATA and so on) and in a TOML file; flags override the
environment, and that the file.`,
		Example: `  wattveil-meter run --provision meter.json --data /var/lib/wattveil-meter
  wattveil-meter run --provision meters.json --data field --count 100 --resolution 1m
  wattveil-meter run --provision meters.json --data field --source csv:homes.csv --history 168h
  wattveil-meter run --config meter.toml --device-key /dev/fd/3 3< /run/keys/device`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return runMeters(ctx, c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	settingFlags(cmd)
	return cmd
}

// runMeters runs all meters until ctx ends.
func runMeters(ctx context.Context, c runConfig, out, logs io.Writer) (err error) {
	log, err := journal.New(logs, journal.Options{Format: c.Log.Format, Level: c.Log.Level})
	if err != nil {
		return err
	}
	records, err := readRecords(c.Provision, c.Count)
	if err != nil {
		return err
	}
	if err := checkFiles(len(records)); err != nil {
		return err
	}
	h, err := openHomes(c, len(records))
	if err != nil {
		return err
	}
	lock, err := folder.Open(c.Data)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	key, err := deviceKey(c)
	if err != nil {
		return err
	}
	devices := make([]*device, 0, len(records))
	defer func() { err = errors.Join(err, closeAll(devices)) }()
	for i, r := range records {
		d, err := openDevice(i, r, c, key, h, log)
		if err != nil {
			return err
		}
		devices = append(devices, d)
	}
	return serve(ctx, devices, c, out, log)
}

const (
	filesOfMeter  = 2  // its connection, and the newest part of its ring
	filesOfOthers = 64 // of the process
)

// checkFiles fails early if the system lets this process open too few files for
// its meters. The runtime has raised the soft limit to the hard one.
func checkFiles(meters int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	return filesSuffice(meters, limit.Cur)
}

func filesSuffice(meters int, limit uint64) error {
	if want := uint64(meters)*filesOfMeter + filesOfOthers; want > limit {
		return fmt.Errorf("%d meters need %d open files, and the system allows %d: raise the limit with ulimit -n, or run the meters in several processes",
			meters, want, limit)
	}
	return nil
}

// deviceKey loads the key that seals the vaults. One in the data folder is made
// at the first start.
func deviceKey(c runConfig) (*vault.Key, error) {
	if c.DeviceKey == "" {
		if err := keyIsThere(c.Data); err != nil {
			return nil, err
		}
		return vault.LoadOrMakeKey(filepath.Join(c.Data, deviceKeyFile))
	}
	key, err := vault.LoadKey(c.DeviceKey)
	if err != nil {
		return nil, fmt.Errorf("--device-key: %w", err)
	}
	return key, nil
}

// keyIsThere fails if a folder has meters and no key: a new one would not open
// their vaults.
func keyIsThere(dir string) error {
	_, err := os.Stat(filepath.Join(dir, deviceKeyFile))
	if !errors.Is(err, fs.ErrNotExist) {
		return nil // and what else is wrong with it, its reader tells
	}
	if entries, err := os.ReadDir(filepath.Join(dir, metersFolder)); err != nil || len(entries) == 0 {
		return nil
	}
	return fmt.Errorf("--data: folder %s has meters and no %s: restore it from a backup, or name it with --device-key", dir, deviceKeyFile)
}

// serve runs the agents, and answers the other commands, until ctx ends.
func serve(ctx context.Context, devices []*device, c runConfig, out io.Writer, log *slog.Logger) error {
	l, err := operator.Listen(c.Data)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	server := operator.Server(localAPI(devices))
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	var running sync.WaitGroup
	agents, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, d := range devices {
		running.Go(func() { d.run(agents) })
	}
	if _, err := fmt.Fprintf(out, "running %d meters in %s\n", len(devices), c.Data); err != nil {
		log.Warn("nobody reads the output", "error", err)
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-failed:
	}
	cancel()
	running.Wait()
	grace, end := context.WithTimeout(context.WithoutCancel(ctx), socketGrace)
	defer end()
	_ = server.Shutdown(grace) // who still asks gets no answer
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// closeAll closes devices, many at once, since each waits for its disk.
func closeAll(devices []*device) error {
	var group errgroup.Group
	group.SetLimit(closeAtOnce)
	for _, d := range devices {
		group.Go(d.close)
	}
	return group.Wait()
}
