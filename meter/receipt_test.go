package meter

import (
	"testing"
	"time"

	"github.com/wattveil/wattveil/wire"
)

const hour = 3600

// reported is a keyed meter that has sent a day and then gets a receipt.
func reported(t *testing.T, missing ...wire.Span) *rig {
	r := newRig(t, onDisk)
	r.keyed()
	r.run(24 * time.Hour)
	r.give(wire.Receipt{Time: r.now.Unix(), From: start, Through: r.now.Unix() - hour, Missing: missing})
	return r
}

func (r *rig) give(receipt wire.Receipt) {
	r.Helper()
	r.net.send(r.double.receipt(receipt))
	r.step()
}

// sentAgain counts the readings in data messages from a place in the network's
// frames on.
func (r *rig) sentAgain(from int) (sizes []int) {
	for _, f := range r.net.frames[from:] {
		if wire.Type(f[0]) == wire.TypeData {
			sizes = append(sizes, len(f))
		}
	}
	return sizes
}

func TestReceiptIsShown(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(24 * time.Hour)
	if s := r.agent.Status(); s.Receipts != 0 || s.LastReceipt != 0 || s.DurableThrough != 0 || s.ReceiptOverdue {
		t.Fatalf("status %+v before the first receipt", s)
	}
	through := r.now.Unix() - hour
	r.give(wire.Receipt{Time: r.now.Unix(), From: start, Through: through})
	s := r.agent.Status()
	if s.Receipts != 1 || s.LastReceipt != r.now.Unix() || s.DurableThrough != through || s.ReadingsAsked != 0 {
		t.Errorf("status %+v after a receipt", s)
	}
	if r.agent.ledger.done != 92 {
		t.Errorf("%d readings are known to be durable, want 92", r.agent.ledger.done)
	}
}

// What a receipt misses is sent again under new counters, 96 readings at once,
// and nothing else is.
func TestMissingIsSentAgain(t *testing.T) {
	r := newRig(t, onDisk)
	r.keyed()
	r.run(3 * 24 * time.Hour)
	from, to := int64(start+30*quarter+1), int64(start+150*quarter-1) // readings 31 to 149
	for at := range r.double.got {
		if at >= from && at <= to {
			delete(r.double.got, at)
		}
	}
	frames := len(r.net.frames)
	gap := wire.Span{First: start + 200*quarter - 1, Last: start + 200*quarter + 1}
	r.give(wire.Receipt{
		Time: r.now.Unix(), From: start + quarter, Through: r.now.Unix(), Missing: []wire.Span{{First: from, Last: to}, gap},
	})
	if got, want := r.sentAgain(frames), []int{454, 46 + 24*5, 70}; len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("messages of %v bytes, want %v", got, want)
	}
	if s := r.agent.Status(); s.ReadingsAsked != 120 || s.Pending != 0 || s.ReadingsSent != s.ReadingsTaken {
		t.Errorf("asked %d, pending %d, sent %d of %d", s.ReadingsAsked, s.Pending, s.ReadingsSent, s.ReadingsTaken)
	}
	r.checkAll()
	if done := r.agent.ledger.done; done != 30 {
		t.Errorf("%d readings are known to be durable, want the 30 before the first that is missing", done)
	}
}

// What is not in the ring, or on its way, is not sent for a receipt.
func TestMissingThatIsNotThere(t *testing.T) {
	r := newRig(t)
	r.keyed()
	r.run(6 * time.Hour)
	newest := r.now.Unix()
	r.net.publish = func(f []byte) (bool, error) {
		if wire.Type(f[0]) == wire.TypeData {
			return true, errFault
		}
		return true, nil
	}
	r.now = r.now.Add(quarter * time.Second)
	if err := r.agent.Step(t.Context()); err == nil {
		t.Fatal("step gave no error")
	}
	onItsWay := r.agent.out.frame
	r.net.send(r.double.receipt(wire.Receipt{
		Time: newest, From: 1, Through: newest + 2*quarter,
		Missing: []wire.Span{{First: 2, Last: start}, {First: newest + 1, Last: newest + quarter}},
	}))
	_ = r.agent.Step(t.Context()) // its message is still not acknowledged
	if s := r.agent.Status(); s.ReadingsAsked != 0 || s.Receipts != 1 {
		t.Errorf("asked %d, receipts %d", s.ReadingsAsked, s.Receipts)
	}
	r.net.publish = nil
	r.run(time.Hour)
	if &onItsWay[0] != &r.agent.out.frame[:1][0] {
		t.Error("another frame is used")
	}
	r.checkAll()
}

func TestReceiptsThatAreRefused(t *testing.T) {
	r := reported(t)
	receipt := wire.Receipt{Time: r.now.Unix(), From: start, Through: start + 10*quarter}
	e := r.double.epochs[r.double.last.Low()]
	first := r.double.receiptUnder(e, 1, receipt)
	r.net.send(first) // counter 1 was the one before
	r.step()
	r.wantRefused(wire.Replayed, 1)
	other := *e
	other.number += 256 // the same low byte
	r.net.send(r.double.receiptUnder(&other, 2, receipt))
	r.step()
	r.wantRefused(wire.Forged, 1)
	other.number = e.number - 1
	r.net.send(r.double.receiptUnder(&other, 2, receipt))
	r.step()
	r.wantRefused(wire.NoKey, 1)
	frame := r.double.receiptUnder(e, 2, receipt)
	frame[40] ^= 1
	r.net.send(frame) // UC tag
	r.step()
	r.wantRefused(wire.Forged, 2)
	if n := r.agent.Status().Receipts; n != 1 {
		t.Errorf("%d receipts accepted, want 1", n)
	}
	r.net.send(r.double.receiptUnder(e, 9, receipt))
	r.step()
	r.net.send(r.double.receiptUnder(e, 8, receipt))
	r.step()
	r.wantRefused(wire.Replayed, 2)
}

// A receipt under an epoch of the start before is not one of this start.
func TestReceiptAfterARestart(t *testing.T) {
	r := reported(t)
	old := r.double.receipt(wire.Receipt{Time: r.now.Unix(), From: start, Through: start + 10*quarter})
	r.restart()
	r.net.send(old)
	r.step()
	r.wantRefused(wire.NoKey, 1)
	if s := r.agent.Status(); s.LastReceipt == 0 || s.DurableThrough == 0 {
		t.Errorf("status %+v: the receipt before the stop is forgotten", s)
	}
}

// The TTP's time sets the clock flag, and clears it.
func TestReceiptSetsTheClockFlag(t *testing.T) {
	for _, apart := range []int64{-301, 301} {
		r := reported(t)
		receipt := wire.Receipt{From: start, Through: start + quarter}
		for _, tt := range []struct {
			apart int64
			want  bool
		}{{300, false}, {-300, false}, {apart, true}, {0, false}} {
			receipt.Time = r.now.Unix() + tt.apart
			r.give(receipt)
			if got := r.agent.Status().ClockSuspect; got != tt.want {
				t.Errorf("TTP %d s apart: clock suspect %v", tt.apart, got)
			}
			r.run(quarter * time.Second)
			flagged := r.double.got[r.now.Unix()].Status&1 != 0
			if flagged != tt.want {
				t.Errorf("TTP %d s apart: reading flagged %v", tt.apart, flagged)
			}
		}
	}
}

func TestNoReceiptForThreeDaysShows(t *testing.T) {
	r := newRig(t, onDisk)
	overdue := func(want bool) {
		t.Helper()
		if got := r.agent.Status().ReceiptOverdue; got != want {
			t.Fatalf("overdue %v, want %v", got, want)
		}
	}
	r.double.mute = true
	r.run(5 * 24 * time.Hour) // nothing was sent yet
	overdue(false)
	r.double.mute = false
	r.run(24 * time.Hour)
	overdue(false)
	r.run(3 * 24 * time.Hour)
	overdue(true)
	r.restart()
	r.run(quarter * time.Second)
	overdue(true)
	r.run(time.Hour)
	r.give(wire.Receipt{Time: r.now.Unix(), From: start, Through: start + quarter})
	overdue(false)
	r.run(3*24*time.Hour - quarter*time.Second)
	overdue(false)
	r.run(24 * time.Hour)
	overdue(true)
}

// Readings that the TTP has by its own word are not sent for a rekey notice.
func TestDurableReadingsStayDone(t *testing.T) {
	r := reported(t)
	frames := len(r.net.frames)
	r.net.send(r.double.secret.RekeyNotice(testMeter, r.double.last.Low()))
	r.run(2 * time.Hour)
	if got := r.sentAgain(frames); len(got) == 0 || got[0] != 46+wire.BlockSize(4+1) {
		t.Errorf("messages of %v bytes, want the 4 readings since the receipt and one more first", got)
	}
	r.checkAll()
}

// A receipt that waits for the next step does not make the clock suspect: it
// may have come right after the last one.
func TestReceiptThatWaited(t *testing.T) {
	r := reported(t)
	r.net.send(r.double.receipt(wire.Receipt{Time: r.now.Unix() - 200, From: start, Through: start + quarter}))
	r.run(2 * quarter * time.Second)
	if s := r.agent.Status(); s.ClockSuspect || s.Receipts != 2 {
		t.Errorf("clock suspect %v after %d receipts", s.ClockSuspect, s.Receipts)
	}
	r.net.send(r.double.receipt(wire.Receipt{Time: r.now.Unix() - 301, From: start, Through: start + quarter}))
	r.run(quarter * time.Second)
	if !r.agent.Status().ClockSuspect {
		t.Error("a TTP that was 301 s behind at the last step is not noticed")
	}
}

// A takeover is shown from the receipt that tells of it until one tells of
// none, or its time has come.
func TestTakeoverIsShown(t *testing.T) {
	r := reported(t)
	if got := r.agent.Status().Takeover; got != 0 {
		t.Fatalf("a takeover at %d is shown, and none waits", got)
	}
	through := r.now.Unix() - hour
	r.give(wire.Receipt{TakeoverHours: 168, Time: r.now.Unix(), From: start, Through: through})
	if got, want := r.agent.Status().Takeover, r.now.Unix()+168*hour; got != want {
		t.Errorf("the takeover is shown for %d, want %d", got, want)
	}
	r.give(wire.Receipt{Time: r.now.Unix(), From: start, Through: through})
	if got := r.agent.Status().Takeover; got != 0 {
		t.Errorf("a takeover at %d is shown after it was refused", got)
	}
	r.give(wire.Receipt{TakeoverHours: 1, Time: r.now.Unix(), From: start, Through: through})
	r.run(2 * time.Hour)
	if got := r.agent.Status().Takeover; got != 0 {
		t.Errorf("a takeover at %d is shown although its time has come", got)
	}
}
