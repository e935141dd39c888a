package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/wattveil/wattveil/link"
	"github.com/wattveil/wattveil/meter"
	"github.com/wattveil/wattveil/meter/ring"
	"github.com/wattveil/wattveil/meter/vault"
	"github.com/wattveil/wattveil/provision"
)

// device is one meter: its keys, its ring, its connection and its agent.
type device struct {
	record provision.Record
	ring   *ring.Disk
	link   *link.Client
	agent  *meter.Agent
}

const (
	metersFolder = "meters"
	vaultFile    = "vault"
	ringFolder   = "ring"
)

// meterFolder is where a meter keeps its files.
func meterFolder(data, id string) string { return filepath.Join(data, metersFolder, id) }

// openDevice opens the i-th meter in its folder.
func openDevice(i int, record provision.Record, c runConfig, key *vault.Key, h *homes, log *slog.Logger) (*device, error) {
	d := &device{record: record}
	if err := d.open(i, c, key, h, log); err != nil {
		return nil, errors.Join(fmt.Errorf("meter %v: %w", record.Meter, err), d.close())
	}
	return d, nil
}

func (d *device) open(i int, c runConfig, key *vault.Key, h *homes, log *slog.Logger) error {
	dir := meterFolder(c.Data, d.record.Meter.String())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	v, err := vault.Open(filepath.Join(dir, vaultFile), key)
	if err != nil {
		return err
	}
	perDay := int(day / h.resolution.Duration())
	if d.ring, err = ring.Open(filepath.Join(dir, ringFolder), ring.Options{Readings: c.RingDays * perDay}); err != nil {
		return err
	}
	began, err := h.began(dir, c.History, time.Now())
	if err != nil {
		return err
	}
	registers, err := h.registers(h.load(i, d.record.Meter, began), began, d.ring)
	if err != nil {
		return err
	}
	d.link, err = link.Dial(link.Config{
		Brokers: d.record.Collectors, ID: d.record.Meter, Password: d.record.LinkPassword(),
		Authority: d.record.Authority, Domain: d.record.Domain, Spread: c.Spread, Log: log,
	})
	if err != nil {
		return err
	}
	d.agent, err = meter.New(meter.Config{
		Provision: d.record, Link: d.link, Source: registers, Vault: v, Ring: d.ring,
		Resolution: h.resolution, First: began + int64(h.resolution), Retry: c.Retry, RingDays: c.RingDays, Log: log,
	})
	return err
}

// run runs the meter until ctx ends.
func (d *device) run(ctx context.Context) { _ = d.agent.Run(ctx) } // it ends with ctx alone

// close ends the connection and makes the ring durable.
func (d *device) close() error {
	var errs []error
	if d.link != nil {
		errs = append(errs, d.link.Close())
	}
	if d.ring != nil {
		errs = append(errs, d.ring.Close())
	}
	return errors.Join(errs...)
}
