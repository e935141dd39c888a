package grid

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	readingspebble "github.com/wattveil/wattveil/readings/pebble"
	"github.com/wattveil/wattveil/ttp"
	"github.com/wattveil/wattveil/utility"
)

// crasher is a file system that can be cut off: what was not synced is gone,
// and nothing that is written later arrives.
type crasher interface{ Crash() error }

func crash(fs vfs.FS) error {
	if c, ok := fs.(crasher); ok {
		return c.Crash()
	}
	return nil
}

// server is a node that can be stopped hard and started again.
type server interface {
	stop() error
	restart(ctx context.Context) error
}

func (n *ttpNode) restart(ctx context.Context) error     { return n.start(ctx) }
func (n *utilityNode) restart(ctx context.Context) error { return n.start(ctx) }
func (n *collectorNode) restart(context.Context) error   { return n.start() }

// Servers are the names of the parties that HardStop stops.
func (g *Grid) Servers() []string {
	names := []string{TTPOrg, UtilityOrg}
	for _, c := range g.collectors {
		names = append(names, c.name)
	}
	return names
}

// HardStop stops a server as a power cut would and starts it again from what
// is on its disk. It may be called while the platform ticks.
func (g *Grid) HardStop(ctx context.Context, party string) error {
	n, err := g.server(party)
	if err != nil {
		return err
	}
	g.nodes.Lock()
	defer g.nodes.Unlock()
	if err := errors.Join(n.stop(), n.restart(ctx)); err != nil {
		return fmt.Errorf("stop and start %s: %w", party, err)
	}
	return nil
}

// Leave stops a server as a power cut would, until Return. Neither may be called
// while the platform ticks.
func (g *Grid) Leave(party string) error {
	n, err := g.server(party)
	if err != nil {
		return err
	}
	g.away[party] = true
	if err := n.stop(); err != nil {
		return fmt.Errorf("stop %s: %w", party, err)
	}
	return nil
}

// Return starts a server that has left.
func (g *Grid) Return(ctx context.Context, party string) error {
	n, err := g.server(party)
	if err != nil {
		return err
	}
	delete(g.away, party)
	if err := n.restart(ctx); err != nil {
		return fmt.Errorf("start %s: %w", party, err)
	}
	return nil
}

func (g *Grid) server(party string) (server, error) {
	switch party {
	case TTPOrg:
		return g.ttp, nil
	case UtilityOrg:
		return g.utility, nil
	}
	for _, c := range g.collectors {
		if c.name == party {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no server %q", party)
}

func (g *Grid) ttpRole() *ttp.TTP {
	g.nodes.RLock()
	defer g.nodes.RUnlock()
	return g.ttp.role
}

func (g *Grid) store() *readingspebble.Store {
	g.nodes.RLock()
	defer g.nodes.RUnlock()
	return g.ttp.store
}

func (g *Grid) utilityRole() *utility.Utility {
	g.nodes.RLock()
	defer g.nodes.RUnlock()
	return g.utility.role
}
