package utility

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"github.com/wattveil/wattveil/wire"
)

// noteReceipts gives each receipt of the TTP to a message of its meter in the
// batch, which is ordered by an-ID and epoch low byte: that of the receipt's
// epoch if there is one, since a replaced device has another.
func (u *Utility) noteReceipts(batch []message, receipts []wire.PassedReceipt) {
	for i := range receipts {
		r := &receipts[i]
		at := firstOf(batch, r, true)
		if at < 0 {
			at = firstOf(batch, r, false)
		}
		if at < 0 {
			u.counts.Add(wire.Unknown)
			u.cfg.Log.Error("receipt of the TTP is for no meter of the batch")
			continue
		}
		*batch[at].receipt = r
	}
}

// firstOf is the place of the first message of a receipt's meter, and of its
// epoch's low byte if that is to match; -1 if there is none.
func firstOf(batch []message, r *wire.PassedReceipt, sameEpoch bool) int {
	name := binary.BigEndian.AppendUint64([]byte{byte(wire.TypeData)}, uint64(r.Pseudonym))
	if sameEpoch {
		name = append(name, r.Low)
	}
	at, _ := slices.BinarySearchFunc(batch, name, func(m message, name []byte) int {
		return cmp.Compare(bytes.Compare(m.frame, name), 0)
	})
	if at < len(batch) && bytes.HasPrefix(batch[at].frame, name) {
		return at
	}
	return -1
}

// settleReceipts makes downlinks of the receipts for the meters of a post.
func (u *Utility) settleReceipts(ctx context.Context, p *post) {
	for i, r := range p.receipts {
		if r == nil {
			continue
		}
		id := p.meters[i]
		secret, err := u.secret(ctx, id)
		if err != nil {
			u.cfg.Log.Error("receipt not sent", "meter", id, "error", err)
			continue
		}
		down := secret.Tagged(id, wire.Exchange{Type: wire.TypeReceipt, Low: r.Low, Body: r.Body[:]})
		p.downlinks = append(p.downlinks, wire.Downlink{ID: id, Frame: down})
	}
}

// withoutReceipts drops the receipts of downlinks that must wait: they tell the
// time, and the next one says all again.
func withoutReceipts(waiting []wire.Downlink) []wire.Downlink {
	return slices.DeleteFunc(waiting, func(d wire.Downlink) bool { return wire.Type(d.Frame[0]) == wire.TypeReceipt })
}
