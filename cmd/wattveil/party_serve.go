package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wattveil/wattveil/internal/journal"
	"github.com/wattveil/wattveil/internal/monitor"
	"github.com/wattveil/wattveil/internal/operator"
	"github.com/wattveil/wattveil/peer"
)

const (
	reloadEvery   = 5 * time.Second // how soon new certificate files are noticed
	maintainEvery = time.Minute     // at most between two rounds of what is due
)

// service runs the parts of a server until a signal ends it. What it starts
// first, it ends last.
type service struct {
	out   io.Writer // for the one line that says where it serves
	log   *slog.Logger
	grace time.Duration

	group  *errgroup.Group
	ctx    context.Context // ends with the first signal or failure
	cancel context.CancelFunc
	stops  []func(context.Context) error
	lines  []string // where it serves
}

// newService prepares a server. ctx ends with SIGTERM and Ctrl-C.
func newService(ctx context.Context, c common, out, logs io.Writer) (*service, error) {
	log, err := journal.New(logs, journal.Options{Format: c.Log.Format, Level: c.Log.Level})
	if err != nil {
		return nil, err
	}
	s := &service{out: out, log: log, grace: c.Shutdown}
	ctx, s.cancel = context.WithCancel(ctx)
	s.group, s.ctx = errgroup.WithContext(ctx)
	return s, nil
}

// serve starts the parts and waits for the end.
func (s *service) serve(start func() error) error {
	defer s.cancel()
	if err := start(); err != nil {
		s.cancel()
		return errors.Join(err, s.stop(), s.group.Wait())
	}
	return s.wait()
}

// untilSignal is a context that ends with SIGTERM or Ctrl-C.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// listen opens a listener and notes where it is.
func (s *service) listen(what, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w; is another process using the address?", what, err)
	}
	s.lines = append(s.lines, fmt.Sprintf("%s on %v", what, l.Addr()))
	return l, nil
}

// run does something until the server ends; an error ends the server.
func (s *service) run(do func(ctx context.Context) error) {
	s.group.Go(func() error { return do(s.ctx) })
}

// onStop does something at the end; what is added last is done first.
func (s *service) onStop(do func(ctx context.Context) error) { s.stops = append(s.stops, do) }

// http serves until the end.
func (s *service) http(server *http.Server, l net.Listener) {
	s.group.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	s.onStop(func(ctx context.Context) error {
		if err := server.Shutdown(ctx); err != nil {
			return server.Close()
		}
		return nil
	})
}

// monitor serves the monitor, if an address is set.
func (s *service) monitor(m *monitor.Monitor, address string) error {
	if address == "" {
		return nil
	}
	l, err := s.listen("metrics", address)
	if err != nil {
		return err
	}
	s.http(m.Server(), l)
	return nil
}

// operator serves the operator's API on the folder's socket.
func (s *service) operator(dir string, h http.Handler) error {
	l, err := operator.Listen(dir)
	if err != nil {
		return err
	}
	s.http(operator.Server(h), l)
	return nil
}

// wait says where the server serves, waits for its end and stops its parts.
func (s *service) wait() error {
	for _, line := range s.lines {
		fmt.Fprintln(s.out, "serving "+line)
	}
	s.log.Info("serving")
	s.group.Go(func() error {
		<-s.ctx.Done()
		s.log.Info("stopping", "grace", s.grace)
		return s.stop()
	})
	return s.group.Wait()
}

// stop ends all parts, the last one first, within the grace.
func (s *service) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.grace)
	defer cancel()
	var failures []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		failures = append(failures, s.stops[i](ctx))
	}
	s.stops = nil
	return errors.Join(failures...)
}

// certificates puts new files of an identity in force and writes what was
// renewed, so that neither needs a restart.
type certificates struct {
	id   *peer.Identity
	dir  string
	log  *slog.Logger
	last string // the last failure, which is logged once
}

// reload looks for new files.
func (c *certificates) reload() {
	changed, err := c.id.Reload(c.dir, serverIdentity)
	switch {
	case err != nil && err.Error() != c.last:
		c.last = err.Error()
		c.log.Error("certificate files are not usable, the present certificate stays", "error", err)
	case err == nil:
		c.last = ""
		if changed {
			c.log.Info("certificate loaded", "expires", c.id.Certificate().NotAfter)
		}
	}
}

// maintain does what is due, and keeps the certificate if that renewed it.
func (c *certificates) maintain(ctx context.Context, due func(context.Context) error) {
	c.reload()
	before := c.id.Certificate()
	if err := due(ctx); err != nil && ctx.Err() == nil {
		c.log.Warn("what is due waits", "error", err)
	}
	after := c.id.Certificate()
	if before.Equal(after) {
		return
	}
	c.log.Info("certificate renewed", "expires", after.NotAfter)
	if err := c.id.Save(c.dir, serverIdentity); err != nil {
		c.log.Error("renewed certificate is not kept", "error", err)
	}
}

// loop maintains every so often and reloads in between, until ctx ends.
func (c *certificates) loop(ctx context.Context, every time.Duration, due func(context.Context) error) error {
	every = min(max(every, time.Second), maintainEvery)
	maintain, reload := time.NewTicker(every), time.NewTicker(reloadEvery)
	defer maintain.Stop()
	defer reload.Stop()
	c.maintain(ctx, due)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-maintain.C:
			c.maintain(ctx, due)
		case <-reload.C:
			c.reload()
		}
	}
}
