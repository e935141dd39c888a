package pebble

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wattveil/wattveil/readings"
)

// engineLog passes what the engine says of itself to slog, at debug level. The
// comparer in [engineOptions] keeps keys, and so pseudonyms, out of it.
type engineLog struct{ log *slog.Logger }

// Infof logs at debug level.
func (l engineLog) Infof(format string, args ...any) { l.debug(format, args) }

// Errorf logs at debug level: what matters also comes as an event.
func (l engineLog) Errorf(format string, args ...any) { l.debug(format, args) }

func (l engineLog) debug(format string, args []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("engine of the readings", "message", fmt.Sprintf(format, args...))
	}
}

// Fatalf panics. The engine calls it when it cannot go on, such as when it
// cannot write its manifest, and may not return to it. In a goroutine of the
// engine that ends the process, after which nothing that was acknowledged is
// lost; in a call of [Store.Append] it becomes that call's error.
func (l engineLog) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	l.log.Error("the store of readings cannot go on", "cause", message)
	panic("store of readings: " + message)
}

// events tells the store what fails behind its back.
func (s *Store) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: s.background,
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			s.background(fmt.Errorf("file %s: %w; restore the folder from a backup", info.Path, readings.ErrCorrupt))
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			s.log.Warn("appending readings waits for the disk to catch up", "reason", info.Reason)
		},
		WriteStallEnd: func() { s.log.Info("appending readings goes on") },
	}
}

// background keeps an error for the next Append, the first if there are more.
func (s *Store) background(err error) {
	s.pending.CompareAndSwap(nil, &err)
}
