package ttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/registry"
	"github.com/wattveil/wattveil/readings"
	"github.com/wattveil/wattveil/wire"
	"github.com/wattveil/wattveil/wire/open"
)

func (t *TTP) handleMessages(ctx context.Context, uc wattveil.UCNumber, body []byte) ([]byte, error) {
	messages, err := wire.ParseMessages(body)
	if err != nil {
		return nil, err
	}
	release, err := t.turns.take(ctx, uc)
	if err != nil {
		return nil, err
	}
	defer release()
	began := time.Now()
	answer := t.ingest(ctx, uc, messages)
	t.cfg.BatchTook(time.Since(began))
	t.stats.batches.Add(1)
	t.stats.count(answer.Verdicts)
	return answer.Append(make([]byte, 0, len(messages)+16)), nil
}

// opened is one message on its way through ingest.
type opened struct {
	session *session
	meter   wattveil.Meter
	block   readings.Block
	class   wire.Class // why it was refused, or empty
	verdict wire.Verdict
	kept    bool // its readings are to be stored: they are no repeat

	resolution wattveil.Resolution
}

// ingest opens a batch and makes its readings durable. A utility orders its
// batches (spec/protocol.md section 7.2); a counter that is used twice is seen
// in one that is not, too. The caller has the utility's turn.
func (t *TTP) ingest(ctx context.Context, uc wattveil.UCNumber, messages [][]byte) wire.MessageAnswer {
	if slices.IsSortedFunc(messages, bytes.Compare) {
		return t.ingestOrdered(ctx, uc, messages)
	}
	place := make([]int, len(messages))
	for i := range place {
		place[i] = i
	}
	slices.SortFunc(place, func(a, b int) int { return bytes.Compare(messages[a], messages[b]) })
	ordered := make([][]byte, len(messages))
	for i, p := range place {
		ordered[i] = messages[p]
	}
	answer := t.ingestOrdered(ctx, uc, ordered)
	verdicts := make([]wire.Verdict, len(messages))
	for i, v := range answer.Verdicts {
		verdicts[place[i]] = v
	}
	answer.Verdicts = verdicts
	return answer
}

// ingestOrdered opens a batch and makes its readings durable with one append.
// A verdict is durable only after the append has returned.
func (t *TTP) ingestOrdered(ctx context.Context, uc wattveil.UCNumber, messages [][]byte) wire.MessageAnswer {
	batch := make([]opened, len(messages))
	for i, msg := range messages {
		t.findSession(ctx, uc, msg, &batch[i])
	}
	openAll(messages, batch)
	blocks := t.keepNew(ctx, batch)
	if err := t.appendBlocks(ctx, batch, blocks); err != nil {
		t.cfg.Log.Error("batch not stored", "uc", uc, "messages", len(messages), "error", err)
		for i := range batch {
			if o := &batch[i]; o.verdict == wire.Durable {
				o.verdict = wire.Later
				// Stored or not: what is the highest counter is to be looked up again.
				t.sessions.Remove(sessionName{o.meter, o.session.key.Epoch().Low()})
			}
		}
	}
	verdicts := make([]wire.Verdict, len(batch))
	for i := range batch {
		verdicts[i] = batch[i].verdict
		if class := batch[i].class; class != "" {
			t.counts.Add(class)
			t.cfg.Log.Warn("message refused", "meter", batch[i].meter, "class", string(class))
		}
	}
	return wire.MessageAnswer{Verdicts: verdicts, Receipts: t.receipts(ctx, batch)}
}

// findSession finds the session of a message, or the verdict on a message
// without one.
func (t *TTP) findSession(ctx context.Context, uc wattveil.UCNumber, msg []byte, o *opened) {
	h, err := wire.ParseHeader(msg)
	if err != nil {
		o.refuse(wire.Never, wire.Malformed)
		return
	}
	o.meter = wattveil.Meter{UC: uc, Pseudonym: wattveil.Pseudonym(h.ID)}
	o.session, err = t.session(ctx, sessionName{o.meter, h.Low})
	switch {
	case errors.Is(err, errNoSession):
		known, err := t.enrolled(ctx, o.meter)
		switch {
		case err != nil:
			o.refuse(wire.Later, "")
		case known:
			o.refuse(wire.Rekey, wire.NoKey)
		default:
			o.refuse(wire.Later, wire.Unenrolled)
		}
	case err != nil:
		t.cfg.Log.Error("session not found", "meter", o.meter, "error", err)
		o.refuse(wire.Later, "")
	}
}

func (o *opened) refuse(v wire.Verdict, class wire.Class) { o.verdict, o.class = v, class }

func (t *TTP) enrolled(ctx context.Context, m wattveil.Meter) (bool, error) {
	var one int
	found, err := registry.Find(t.queries.enrolled.QueryRowContext(ctx, m.UC, int64(m.Pseudonym)), &one)
	if err != nil {
		return false, fmt.Errorf("find %v: %w", m, err)
	}
	return found, nil
}

// openAll decrypts and decodes on all processors.
func openAll(messages [][]byte, batch []opened) {
	inParallel(len(batch), func(from, to int) { openSome(messages[from:to], batch[from:to]) })
}

func openSome(messages [][]byte, batch []opened) {
	room := 0
	for _, msg := range messages {
		_, most := wire.ReadingsIn(len(msg) + wire.TagSize)
		room += max(most, 0)
	}
	arena := make([]wattveil.Reading, 0, room)
	var opener open.Opener
	for i, msg := range messages {
		o := &batch[i]
		if o.session == nil {
			continue
		}
		before := len(arena)
		m, err := opener.Open(arena, o.session.key, msg)
		if err != nil {
			var class wire.Class
			_ = errors.As(err, &class)
			o.refuse(wire.Never, class)
			o.session = nil
			continue
		}
		arena = m.Readings
		o.verdict, o.resolution = wire.Durable, m.Resolution
		o.block = readings.Block{
			Meter: o.meter, Epoch: o.session.key.Epoch(), Counter: m.Counter, Digest: m.Digest,
			Series: o.session.series, Readings: arena[before:len(arena):len(arena)],
		}
	}
}

// keepNew picks the blocks that are to be stored: not those that are already,
// and none of an epoch in which a counter was used twice.
func (t *TTP) keepNew(ctx context.Context, batch []opened) []readings.Block {
	blocks := make([]readings.Block, 0, len(batch))
	for i := range batch {
		o := &batch[i]
		if o.verdict != wire.Durable {
			continue
		}
		if o.session.closed {
			o.refuse(wire.Rekey, wire.NoKey)
			continue
		}
		if !o.session.active {
			if err := t.activate(ctx, o.meter, o.block.Epoch); err != nil {
				t.cfg.Log.Error("epoch not activated", "meter", o.meter, "error", err)
				o.refuse(wire.Later, "")
				continue
			}
			o.session.active = true
		}
		if !o.session.fresh(o.block.Counter) && !t.checkRepeat(ctx, o) {
			continue
		}
		if n := len(blocks); n > 0 && sameCounter(&blocks[n-1], &o.block) {
			if blocks[n-1].Digest != o.block.Digest {
				t.refuseReuse(ctx, o)
			}
			continue // a repeat within the batch, which is ordered by meter and counter
		}
		if o.block.Readings = o.session.keep(o.block.Readings); len(o.block.Readings) == 0 {
			continue // all of erased days: there is nothing to make durable
		}
		o.kept = true
		blocks = append(blocks, o.block)
	}
	return blocks
}

// checkRepeat looks at a message whose counter is not above all stored ones
// and tells whether it is to be stored.
func (t *TTP) checkRepeat(ctx context.Context, o *opened) bool {
	digests, err := t.cfg.Readings.Digests(ctx, o.meter, o.block.Epoch, o.block.Counter)
	switch {
	case err != nil:
		t.cfg.Log.Error("digests not read", "meter", o.meter, "error", err)
		o.refuse(wire.Later, "")
		return false
	case len(digests) == 0:
		return true // late, and new
	case digests[0] == o.block.Digest:
		return false // stored already: a success
	}
	t.refuseReuse(ctx, o)
	return false
}

func sameCounter(a, b *readings.Block) bool {
	return a.Meter == b.Meter && a.Epoch == b.Epoch && a.Counter == b.Counter
}

// refuseReuse closes the epoch of a message whose counter stands for other
// bytes already.
func (t *TTP) refuseReuse(ctx context.Context, o *opened) {
	if err := t.closeEpoch(ctx, o.meter, o.block.Epoch); err != nil {
		t.cfg.Log.Error("epoch not closed", "meter", o.meter, "error", err)
		o.refuse(wire.Later, "")
		return
	}
	o.session.closed = true
	o.refuse(wire.Rekey, eventCounterReuse)
}

func (t *TTP) appendBlocks(ctx context.Context, batch []opened, blocks []readings.Block) error {
	if len(blocks) == 0 {
		return nil
	}
	if err := t.cfg.Readings.Append(ctx, blocks); err != nil {
		return err
	}
	for i := range blocks {
		t.stats.readings.Add(uint64(len(blocks[i].Readings)))
	}
	for i := range batch {
		if o := &batch[i]; o.verdict == wire.Durable {
			o.session.stored(o.block.Counter)
		}
	}
	t.noteUse(ctx, batch)
	return nil
}
