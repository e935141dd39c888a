package utility

import (
	"bytes"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// receiptFor is a receipt as a TTP passes it on; its body stands for a sealed
// one.
func receiptFor(m *smart, low byte) wire.PassedReceipt {
	r := wire.PassedReceipt{Pseudonym: m.answer.Meter.Pseudonym, Low: low}
	copy(r.Body[:], bytes.Repeat([]byte{byte(m.answer.Meter.Pseudonym), low, 0x5a}, 50))
	return r
}

// withReceipts adds receipts to what the TTP answers to messages. An answer
// orders them by an-ID.
func (f *fakeTTP) withReceipts(receipts ...wire.PassedReceipt) {
	f.set(func(f *fakeTTP) {
		f.mangle = func(path string, answer []byte) []byte {
			if path != "/v1/messages" {
				return answer
			}
			for n := 0; ; n++ {
				if a, err := wire.ParseMessageAnswer(answer, n); err == nil {
					a.Receipts = receipts
					return a.Append(nil)
				}
			}
		}
	})
}

// receiptsIn opens the receipts among downlinks with the meter's secret.
func (m *smart) receiptsIn(t *testing.T, a wire.ForwardAnswer) (bodies [][]byte) {
	t.Helper()
	for _, d := range a.Downlinks {
		if d.ID != m.id() || wire.Type(d.Frame[0]) != wire.TypeReceipt {
			continue
		}
		x, err := m.record.Secret.OpenTagged(m.id(), d.Frame)
		must(t, err)
		bodies = append(bodies, append([]byte{x.Low}, x.Body...))
	}
	return bodies
}

func wantReceipt(t *testing.T, m *smart, a wire.ForwardAnswer, low byte) {
	t.Helper()
	r := receiptFor(m, low)
	got := m.receiptsIn(t, a)
	if len(got) != 1 || !bytes.Equal(got[0], append([]byte{low}, r.Body[:]...)) {
		t.Errorf("%d receipts for the meter, want one of epoch low byte %d as the TTP sealed it", len(got), low)
	}
}

// A receipt goes to the meter under its own name and tag.
func TestReceiptIsPassedOn(t *testing.T) {
	r := enrolled(t, "a")
	meters := r.meters(2)
	if meters[0].answer.Meter.Pseudonym > meters[1].answer.Meter.Pseudonym {
		meters[0], meters[1] = meters[1], meters[0]
	}
	r.ttp.withReceipts(receiptFor(meters[0], 1), receiptFor(meters[1], 1))
	a := r.send(meters[1].data(1, 0), meters[0].data(1, 0), meters[0].data(1, 1))
	if len(a.Downlinks) != 2 {
		t.Fatalf("%d downlinks, want 2", len(a.Downlinks))
	}
	for _, m := range meters {
		wantReceipt(t, m, a, 1)
	}
}

// Of the meter's messages the one under the receipt's epoch tells whose it is.
func TestReceiptFollowsItsEpoch(t *testing.T) {
	frames := []message{{frame: dataFrame(7, 1)}, {frame: dataFrame(7, 2)}, {frame: dataFrame(9, 2)}}
	for _, tt := range []struct {
		pseudonym wattveil.Pseudonym
		low       byte
		want      int
	}{{7, 1, 0}, {7, 2, 1}, {7, 3, 0}, {9, 2, 2}, {9, 1, 2}, {8, 1, -1}, {10, 1, -1}} {
		var got [3]*wire.PassedReceipt
		for i := range frames {
			frames[i].receipt = &got[i]
		}
		r := newRig(t, nil)
		r.noteReceipts(frames, []wire.PassedReceipt{{Pseudonym: tt.pseudonym, Low: tt.low}})
		for i, g := range got {
			if (g != nil) != (i == tt.want) {
				t.Errorf("receipt for %v, low byte %d: message %d has it: %v", tt.pseudonym, tt.low, i, g != nil)
			}
		}
	}
}

func dataFrame(p wattveil.Pseudonym, low byte) []byte {
	frame := make([]byte, wire.DataOverhead+wire.BlockUnit)
	frame[0], frame[8], frame[9] = byte(wire.TypeData), byte(p), low
	return frame
}

// A receipt for a meter that is not in the batch goes nowhere, and the batch is
// answered.
func TestReceiptForNobody(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	other := receiptFor(m, 1)
	other.Pseudonym++
	r.ttp.withReceipts(other)
	a := r.send(m.data(1, 0))
	if len(a.Downlinks) != 0 || a.Verdicts[0] != wire.Durable {
		t.Errorf("%d downlinks, verdict %v", len(a.Downlinks), a.Verdicts[0])
	}
}

// Receipts do not wait for a later answer.
func TestReceiptsDoNotWait(t *testing.T) {
	r := enrolled(t, "a")
	m := r.meters(1)[0]
	receipt := wire.Downlink{ID: m.id(), Frame: m.record.Secret.Tagged(m.id(), wire.Exchange{Type: wire.TypeReceipt, Body: make([]byte, wire.ReceiptBodySize)})}
	notice := wire.Downlink{ID: m.id(), Frame: m.record.Secret.RekeyNotice(m.id(), 1)}
	p := &post{collector: "a", downlinks: []wire.Downlink{receipt, notice, receipt}}
	given, _ := r.fitDownlinks(p, 0)
	if waiting := r.waiting["a"]; len(given) != 0 || len(waiting) != 1 || wire.Type(waiting[0].Frame[0]) != wire.TypeRekeyNotice {
		t.Errorf("%d given, %d wait", len(given), len(waiting))
	}
}
