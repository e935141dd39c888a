package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/wattveil/wattveil/wire"
)

// A batch of the greatest count of the longest messages fits a body, so that
// nobody needs to cut one by its size.
func TestGreatestBatchFits(t *testing.T) {
	longest := make([]byte, wire.DataOverhead+wire.BlockSize(wire.MaxReadings)-wire.TagSize)
	messages := make([][]byte, wire.MaxBatchMessages)
	for i := range messages {
		messages[i] = longest
	}
	b := wire.AppendMessages(nil, messages)
	if got, err := wire.ParseMessages(b); err != nil || len(got) != len(messages) {
		t.Fatalf("%d messages in %d bytes: %v", len(got), len(b), err)
	}
	more := wire.AppendMessages(nil, append(messages, nil))
	if _, err := wire.ParseMessages(more); !errors.Is(err, wire.Malformed) {
		t.Errorf("one message more: %v", err)
	}
}

func TestGreatestExchangeBatch(t *testing.T) {
	requests := make([]wire.ExchangeRequest, wire.MaxBatchMessages+1)
	for i := range requests {
		requests[i].Type = wire.TypeM1
	}
	if _, err := wire.ParseExchanges(wire.AppendExchanges(nil, requests[1:])); err != nil {
		t.Error(err)
	}
	if _, err := wire.ParseExchanges(wire.AppendExchanges(nil, requests)); !errors.Is(err, wire.Malformed) {
		t.Errorf("one exchange more: %v", err)
	}
}

// parsers reads a body of each kind that says it holds n records.
func parsers() map[string]func(b []byte, n int) error {
	return map[string]func(b []byte, n int) error{
		"forward":          func(b []byte, _ int) error { _, err := wire.ParseForward(b); return err },
		"forward answer":   func(b []byte, n int) error { _, err := wire.ParseForwardAnswer(b, n); return err },
		"messages":         func(b []byte, _ int) error { _, err := wire.ParseMessages(b); return err },
		"verdicts":         func(b []byte, n int) error { _, err := wire.ParseMessageAnswer(b, n); return err },
		"exchanges":        func(b []byte, _ int) error { _, err := wire.ParseExchanges(b); return err },
		"exchange answers": func(b []byte, n int) error { _, err := wire.ParseExchangeAnswers(b, n); return err },
	}
}

func TestBodyOverLimit(t *testing.T) {
	b := append([]byte{1}, make([]byte, wire.MaxBody)...)
	for name, parse := range parsers() {
		if err := parse(b, 0); !errors.Is(err, wire.Malformed) {
			t.Errorf("%s of %d bytes: %v", name, len(b), err)
		}
	}
}

// A count says nothing about memory until the bytes for it are there.
func TestCountAllocatesNothing(t *testing.T) {
	b := append([]byte{1}, bytes.Repeat([]byte{0xff}, 24)...)
	for name, parse := range parsers() {
		if allocs := testing.AllocsPerRun(10, func() { _ = parse(b, 1<<31-1) }); allocs > 8 {
			t.Errorf("%s: %v allocations to refuse 25 bytes", name, allocs)
		}
	}
}

func TestNegativeCount(t *testing.T) {
	b := wire.MessageAnswer{}.Append(nil)
	if _, err := wire.ParseMessageAnswer(b, -1); !errors.Is(err, wire.Malformed) {
		t.Errorf("verdicts on -1 messages: %v", err)
	}
}

// What has no form on the wire is a mistake of the caller and must not become
// another message.
func TestOverlongFieldPanics(t *testing.T) {
	long := make([]byte, 1<<16)
	for name, encode := range map[string]func(){
		"message":  func() { wire.AppendMessages(nil, [][]byte{long}) },
		"frame":    func() { wire.Forward{Frames: [][]byte{long}}.Append(nil) },
		"exchange": func() { wire.AppendExchanges(nil, []wire.ExchangeRequest{{Exchange: wire.Exchange{Body: long}}}) },
		"M2":       func() { wire.AppendExchangeAnswers(nil, []wire.ExchangeAnswer{{M2: long}}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of %d bytes is encoded", name, len(long))
				}
			}()
			encode()
		}()
	}
}

func TestSplitM2(t *testing.T) {
	body := count(0, 34)
	ciphertext, confirm, err := wire.SplitM2(body)
	if err != nil || !bytes.Equal(ciphertext, body[:2]) || !bytes.Equal(confirm, body[2:]) {
		t.Errorf("%x and %x: %v", ciphertext, confirm, err)
	}
	for n := range wire.ConfirmSize + 1 {
		if _, _, err := wire.SplitM2(make([]byte, n)); !errors.Is(err, wire.Malformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestSharedXRefusesNoPoints(t *testing.T) {
	key := ephemeral(t, count(1, 32))
	for name, change := range map[string]func(p *[wire.PointSize]byte){
		"all zeros":     func(p *[wire.PointSize]byte) { *p = [wire.PointSize]byte{} },
		"first byte 4":  func(p *[wire.PointSize]byte) { p[0] = 4 },
		"x is p or up":  func(p *[wire.PointSize]byte) { copy(p[1:], bytes.Repeat([]byte{0xff}, 32)) },
		"off the curve": func(p *[wire.PointSize]byte) { clear(p[1:]); binary.BigEndian.PutUint64(p[25:], 1) },
	} {
		p := wire.Ephemeral(key)
		change(&p)
		if _, err := wire.SharedX(key, p); !errors.Is(err, wire.Malformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeySizes(t *testing.T) {
	for _, n := range []int{0, wire.SessionKeysSize - 1, wire.SessionKeysSize + 1} {
		if k, err := wire.ParseSessionKeys(make([]byte, n)); !errors.Is(err, wire.Malformed) || k != nil {
			t.Errorf("session keys of %d bytes: %v", n, err)
		}
	}
	for _, n := range []int{0, 15, 17, 32} {
		if _, err := wire.ParseSecret(make([]byte, n)); !errors.Is(err, wire.Malformed) {
			t.Errorf("secret of %d bytes: %v", n, err)
		}
	}
	a, b := wire.NewSecret(), wire.NewSecret()
	if bytes.Equal(a.Bytes(), b.Bytes()) || len(a.Bytes()) != 16 {
		t.Error("two secrets are equal")
	}
}
