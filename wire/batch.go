package wire

import (
	"encoding/binary"

	"github.com/wattveil/wattveil"
)

// Limits of the bodies between servers (spec/protocol.md section 7).
const (
	MaxBody          = 8 << 20
	MaxBatchMessages = 4096 // and exchanges

	bodyVersion = 1
)

// Forward is what a collector posts every interval (section 7.1).
type Forward struct {
	Interval uint64 // number of the collector's interval since the Unix epoch
	Roster   uint64 // serial of the roster that the collector has
	Frames   [][]byte
}

// Append appends the body.
func (f Forward) Append(dst []byte) []byte {
	dst = append(dst, bodyVersion)
	dst = binary.BigEndian.AppendUint64(dst, f.Interval)
	dst = binary.BigEndian.AppendUint64(dst, f.Roster)
	return appendFrames(dst, f.Frames)
}

// ParseForward reads the body. The frames point into b.
func ParseForward(b []byte) (Forward, error) {
	d := body(b)
	f := Forward{Interval: d.u64(), Roster: d.u64()}
	f.Frames = d.frames(MaxBody)
	if err := d.end("forwarded batch"); err != nil {
		return Forward{}, err
	}
	return f, nil
}

// Downlink is a frame for a meter.
type Downlink struct {
	ID    wattveil.MeterID
	Frame []byte
}

// RosterEntry says what a collector keeps of a meter's link password. A zero
// hash removes the meter.
type RosterEntry struct {
	ID   wattveil.MeterID
	Hash [32]byte
}

// ForwardAnswer is what the utility answers a [Forward].
type ForwardAnswer struct {
	Verdicts  []Verdict // by position of the frames
	Downlinks []Downlink
	Roster    uint64 // serial
	Changes   []RosterEntry
}

const (
	downlinkMin = 8 + 2
	rosterSize  = 8 + 32
)

// Append appends the body.
func (a ForwardAnswer) Append(dst []byte) []byte {
	dst = appendVerdicts(append(dst, bodyVersion), a.Verdicts)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(a.Downlinks)))
	for _, down := range a.Downlinks {
		dst = binary.BigEndian.AppendUint64(dst, uint64(down.ID))
		dst = appendU16(dst, down.Frame)
	}
	dst = binary.BigEndian.AppendUint64(dst, a.Roster)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(a.Changes)))
	for _, e := range a.Changes {
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.ID))
		dst = append(dst, e.Hash[:]...)
	}
	return dst
}

// ParseForwardAnswer reads the body of an answer to frames messages. The
// downlinks point into b.
func ParseForwardAnswer(b []byte, frames int) (ForwardAnswer, error) {
	d := body(b)
	var a ForwardAnswer
	a.Verdicts = d.verdicts(frames)
	a.Downlinks = make([]Downlink, d.count(downlinkMin, MaxBody))
	for i := range a.Downlinks {
		a.Downlinks[i] = Downlink{ID: wattveil.MeterID(d.u64()), Frame: d.u16view()}
	}
	a.Roster = d.u64()
	a.Changes = make([]RosterEntry, d.count(rosterSize, MaxBody))
	for i := range a.Changes {
		a.Changes[i].ID = wattveil.MeterID(d.u64())
		d.fill(a.Changes[i].Hash[:])
	}
	if err := d.end("answer to a forwarded batch"); err != nil {
		return ForwardAnswer{}, err
	}
	return a, nil
}

// AppendMessages appends the body of a batch for the TTP (section 7.2).
func AppendMessages(dst []byte, messages [][]byte) []byte {
	return appendFrames(append(dst, bodyVersion), messages)
}

// ParseMessages reads a batch for the TTP, of at most [MaxBatchMessages]. The
// messages point into b.
func ParseMessages(b []byte) ([][]byte, error) {
	d := body(b)
	messages := d.frames(MaxBatchMessages)
	if err := d.end("batch of messages"); err != nil {
		return nil, err
	}
	return messages, nil
}

// PassedReceipt is a receipt on its way through the utility, which cannot read
// it.
type PassedReceipt struct {
	Pseudonym wattveil.Pseudonym
	Low       byte // of the epoch
	Body      [ReceiptBodySize]byte
}

// MessageAnswer is the answer to a batch of messages (section 7.2).
type MessageAnswer struct {
	Verdicts []Verdict       // by position of the messages
	Receipts []PassedReceipt // by rising pseudonym, at most one for each
}

const passedReceiptSize = 8 + 1 + ReceiptBodySize

// Append appends the body.
func (a MessageAnswer) Append(dst []byte) []byte {
	dst = appendVerdicts(append(dst, bodyVersion), a.Verdicts)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(a.Receipts)))
	for i := range a.Receipts {
		r := &a.Receipts[i]
		dst = binary.BigEndian.AppendUint64(dst, uint64(r.Pseudonym))
		dst = append(dst, r.Low)
		dst = append(dst, r.Body[:]...)
	}
	return dst
}

// ParseMessageAnswer reads the answer to a batch of n messages. Whether its
// receipts are for pseudonyms of the batch is the caller's to check.
func ParseMessageAnswer(b []byte, n int) (MessageAnswer, error) {
	d := body(b)
	a := MessageAnswer{Verdicts: d.verdicts(n)}
	if receipts := d.count(passedReceiptSize, n); receipts > 0 {
		a.Receipts = make([]PassedReceipt, receipts)
	}
	for i := range a.Receipts {
		r := &a.Receipts[i]
		r.Pseudonym = wattveil.Pseudonym(d.u64())
		r.Low = d.u8()
		d.fill(r.Body[:])
		if i > 0 && r.Pseudonym <= a.Receipts[i-1].Pseudonym {
			d.bad = true
		}
	}
	if err := d.end("answer to a batch of messages"); err != nil {
		return MessageAnswer{}, err
	}
	return a, nil
}

// ExchangeRequest is an M1 or M3 under a pseudonym (section 7.3).
type ExchangeRequest struct {
	Pseudonym wattveil.Pseudonym
	Exchange
}

// ExchangeAnswer is the verdict on it and, for an M1, the body of M2.
type ExchangeAnswer struct {
	Verdict Verdict
	M2      []byte
}

const (
	exchangeMin       = 1 + 8 + 1 + 2
	exchangeAnswerMin = 1 + 2
)

// AppendExchanges appends the body of a batch of exchanges.
func AppendExchanges(dst []byte, requests []ExchangeRequest) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, bodyVersion), uint32(len(requests)))
	for _, r := range requests {
		dst = append(dst, byte(r.Type))
		dst = binary.BigEndian.AppendUint64(dst, uint64(r.Pseudonym))
		dst = appendU16(append(dst, r.Low), r.Body)
	}
	return dst
}

// ParseExchanges reads a batch of exchanges, at most [MaxBatchMessages]. The
// bodies point into b.
func ParseExchanges(b []byte) ([]ExchangeRequest, error) {
	d := body(b)
	requests := make([]ExchangeRequest, d.count(exchangeMin, MaxBatchMessages))
	for i := range requests {
		r := &requests[i]
		r.Type = Type(d.u8())
		r.Pseudonym = wattveil.Pseudonym(d.u64())
		r.Low = d.u8()
		r.Body = d.u16view()
		if r.Type != TypeM1 && r.Type != TypeM3 {
			d.bad = true
		}
	}
	if err := d.end("batch of exchanges"); err != nil {
		return nil, err
	}
	return requests, nil
}

// AppendExchangeAnswers appends the body of the answer.
func AppendExchangeAnswers(dst []byte, answers []ExchangeAnswer) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, bodyVersion), uint32(len(answers)))
	for _, a := range answers {
		dst = appendU16(append(dst, byte(a.Verdict)), a.M2)
	}
	return dst
}

// ParseExchangeAnswers reads the answers to n exchanges. The bodies point into b.
func ParseExchangeAnswers(b []byte, n int) ([]ExchangeAnswer, error) {
	d := body(b)
	answers := make([]ExchangeAnswer, d.exactly(n, exchangeAnswerMin))
	for i := range answers {
		answers[i] = ExchangeAnswer{Verdict: d.verdict(), M2: d.u16view()}
	}
	if err := d.end("answers to exchanges"); err != nil {
		return nil, err
	}
	return answers, nil
}

// body starts a decoder behind the version byte.
func body(b []byte) *decoder {
	d := &decoder{b: b}
	if len(b) > MaxBody || d.u8() != bodyVersion {
		d.bad = true
	}
	return d
}

// count reads the number of records that follow and refuses one over limit or
// that the rest of the body cannot hold, before anything is allocated for it.
func (d *decoder) count(recordSize, limit int) int {
	n := d.u32()
	if d.bad || int64(n) > int64(limit) || int64(n)*int64(recordSize) > int64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

// exactly is count where the answer's length is known beforehand.
func (d *decoder) exactly(want, recordSize int) int {
	n := d.count(recordSize, want)
	if n != want {
		d.bad = true
		return 0
	}
	return n
}

func (d *decoder) frames(limit int) [][]byte {
	frames := make([][]byte, d.count(2, limit))
	for i := range frames {
		frames[i] = d.u16view()
	}
	return frames
}

func (d *decoder) verdict() Verdict {
	v := Verdict(d.u8())
	if !v.Valid() {
		d.bad = true
	}
	return v
}

func (d *decoder) verdicts(want int) []Verdict {
	out := make([]Verdict, d.exactly(want, 1))
	for i := range out {
		out[i] = d.verdict()
	}
	return out
}

func appendFrames(dst []byte, frames [][]byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(frames)))
	for _, f := range frames {
		dst = appendU16(dst, f)
	}
	return dst
}

func appendVerdicts(dst []byte, v []Verdict) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(v)))
	for _, b := range v {
		dst = append(dst, byte(b))
	}
	return dst
}
