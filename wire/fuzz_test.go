package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/wattveil/wattveil"
	plain "github.com/wattveil/wattveil/internal/plain/wire"
	"github.com/wattveil/wattveil/wire"
)

// Each target holds a decoder to the house rule: it never panics, it refuses
// with the class malformed, and what it accepts encodes to the same bytes.

// fuzzRefused tells whether a decoder refused, and fails on another class.
func fuzzRefused(t *testing.T, err error) bool {
	t.Helper()
	if err != nil && !errors.Is(err, wire.Malformed) {
		t.Fatalf("refused with %v, want class malformed", err)
	}
	return err != nil
}

func fuzzSame(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("accepted %x, encodes to %x", want, got)
	}
}

func FuzzParsePrefix(f *testing.F) {
	v := load(f)
	for _, d := range v.Data {
		f.Add([]byte(d.Message))
	}
	for _, c := range v.Controls {
		f.Add([]byte(c.Frame))
	}
	secret := wire.NewSecret()
	f.Fuzz(func(t *testing.T, frame []byte) {
		kind, id, err := wire.ParsePrefix(frame)
		if fuzzRefused(t, err) {
			return
		}
		if len(frame) > wire.MaxFrame {
			t.Fatalf("%v of %d bytes is accepted", kind, len(frame))
		}
		fuzzSame(t, binary.BigEndian.AppendUint64([]byte{byte(kind)}, uint64(id)), frame[:9])
		openAll(t, secret, id, frame)
	})
}

// openAll offers a frame to all that a holder of the secret can open. Nobody
// who does not know the secret makes one that opens.
func openAll(t *testing.T, secret wire.Secret, id wattveil.MeterID, frame []byte) {
	t.Helper()
	_, errRequest := secret.OpenRegister(id, frame)
	_, errAnswer := secret.OpenRegistered(id, nil, frame)
	_, errRefusal := secret.OpenRegisterRefusal(id, frame, frame)
	_, errTagged := secret.OpenTagged(id, frame)
	_, errNotice := secret.OpenRekeyNotice(id, frame)
	_, errMove := secret.OpenMoveNotice(id, frame)
	for _, err := range []error{errRequest, errAnswer, errRefusal, errTagged, errNotice, errMove} {
		if !errors.Is(err, wire.Malformed) && !errors.Is(err, wire.Forged) {
			t.Fatalf("a frame of %d bytes under an unknown secret: %v", len(frame), err)
		}
	}
	if wire.NewTagger().Check(secret.DataTagKey(), frame) {
		t.Fatal("the UC tag of an unknown key fits")
	}
}

// The sealed contents are fuzzed from inside: the plain implementation seals
// what the package must then read.
const fuzzID = 0x1122334455667788

func fuzzSecret(f *testing.F) (raw []byte, secret wire.Secret) {
	raw = count(0, 16)
	secret, err := wire.ParseSecret(raw)
	if err != nil {
		f.Fatal(err)
	}
	return raw, secret
}

func FuzzOpenRegister(f *testing.F) {
	for _, v := range load(f).RegisterRequests {
		f.Add([]byte(v.Content))
	}
	raw, secret := fuzzSecret(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := secret.OpenRegister(fuzzID, plain.Seal(raw, plain.Request, fuzzID, count(9, 16), content, nil))
		if fuzzRefused(t, err) {
			return
		}
		again, _ := plain.Open(raw, plain.Request, fuzzID, secret.Register(fuzzID, r), nil)
		fuzzSame(t, again, content)
	})
}

func FuzzOpenRegistered(f *testing.F) {
	for _, v := range load(f).RegisterAnswers {
		f.Add([]byte(v.Content))
	}
	raw, secret := fuzzSecret(f)
	request := []byte("the request")
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := secret.OpenRegistered(fuzzID, request, plain.Seal(raw, plain.Registered, fuzzID, count(9, 16), content, request))
		if fuzzRefused(t, err) {
			return
		}
		again, _ := plain.Open(raw, plain.Registered, fuzzID, secret.Registered(fuzzID, request, a), request)
		fuzzSame(t, again, content)
	})
}

func FuzzOpenRegisterRefusal(f *testing.F) {
	for _, v := range load(f).RegisterRefusals {
		f.Add([]byte(v.Content))
	}
	raw, secret := fuzzSecret(f)
	request := []byte("the request")
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := secret.OpenRegisterRefusal(fuzzID, request, plain.Seal(raw, plain.Refused, fuzzID, count(9, 16), content, request))
		if fuzzRefused(t, err) {
			return
		}
		again, _ := plain.Open(raw, plain.Refused, fuzzID, secret.RefuseRegister(fuzzID, request, r), request)
		fuzzSame(t, again, content)
	})
}

func FuzzOpenTagged(f *testing.F) {
	for _, v := range load(f).Controls {
		f.Add(v.Type, v.Low, []byte(v.Body))
	}
	raw, secret := fuzzSecret(f)
	f.Fuzz(func(t *testing.T, kind, low byte, body []byte) {
		frame := plain.Control(raw, kind, fuzzID, low, count(9, 16), body)
		if got, err := secret.OpenRekeyNotice(fuzzID, frame); !fuzzRefused(t, err) && (got != low || len(body) > 0) {
			t.Fatalf("a notice of %d with %d bytes opens as one of %d", low, len(body), got)
		}
		if at, err := secret.OpenMoveNotice(fuzzID, frame); !fuzzRefused(t, err) {
			fuzzSame(t, binary.BigEndian.AppendUint64([]byte{0}, uint64(at)), append([]byte{low}, body...))
		}
		x, err := secret.OpenTagged(fuzzID, frame)
		if fuzzRefused(t, err) {
			return
		}
		fuzzSame(t, x.Body, body)
		gotLow, gotBody, ok := plain.OpenControl(raw, kind, fuzzID, secret.Tagged(fuzzID, x))
		if !ok || gotLow != low {
			t.Fatal("sealed anew it does not open")
		}
		fuzzSame(t, gotBody, body)
	})
}

func FuzzParseOffer(f *testing.F) {
	for _, v := range load(f).Offers {
		f.Add([]byte(v.Plaintext))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := wire.ParseOffer(b); !fuzzRefused(t, err) {
			fuzzSame(t, o.Append(nil), b)
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	for _, v := range load(f).Answers {
		f.Add([]byte(v.Plaintext))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := wire.ParseAnswer(b); !fuzzRefused(t, err) {
			fuzzSame(t, a.Append(nil), b)
		}
	})
}

func FuzzParseForward(f *testing.F) {
	for _, v := range load(f).Forwards {
		f.Add([]byte(v.Body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if fw, err := wire.ParseForward(b); !fuzzRefused(t, err) {
			fuzzSame(t, fw.Append(nil), b)
		}
	})
}

func FuzzParseForwardAnswer(f *testing.F) {
	for _, v := range load(f).ForwardAnswers {
		f.Add([]byte(v.Body), v.Count)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		a, err := wire.ParseForwardAnswer(b, n)
		if fuzzRefused(t, err) {
			return
		}
		if len(a.Verdicts) != n {
			t.Fatalf("%d verdicts on %d frames", len(a.Verdicts), n)
		}
		fuzzSame(t, a.Append(nil), b)
	})
}

func FuzzParseMessages(f *testing.F) {
	for _, v := range load(f).Messages {
		f.Add([]byte(v.Body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := wire.ParseMessages(b); !fuzzRefused(t, err) {
			fuzzSame(t, wire.AppendMessages(nil, m), b)
		}
	})
}

func FuzzParseMessageAnswer(f *testing.F) {
	for _, v := range load(f).Verdicts {
		f.Add([]byte(v.Body), v.Count)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if a, err := wire.ParseMessageAnswer(b, n); !fuzzRefused(t, err) {
			fuzzSame(t, a.Append(nil), b)
		}
	})
}

func FuzzParseReceipt(f *testing.F) {
	keys := plain.DataKeys{}
	for _, v := range load(f).Receipts {
		if v.Plaintext != nil {
			f.Add([]byte(v.Plaintext))
			continue
		}
		keys = plain.DataKeys{UC: v.UC, AnID: uint64(v.AnID), Epoch: v.Epoch, Key: v.Key, Salt: v.Salt}
		if _, text, ok := keys.OpenReceipt(v.Body); ok {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := wire.ParseReceipt(b)
		if fuzzRefused(t, err) {
			return
		}
		fuzzSame(t, r.Append(nil), b)
		for _, s := range r.Missing {
			if r.Covers(s.First) || r.Covers(s.Last) || !r.Covers(s.Last+1) {
				t.Fatalf("span %v of a receipt is covered, or what follows is not", s)
			}
		}
	})
}

func FuzzParseExchanges(f *testing.F) {
	for _, v := range load(f).Exchanges {
		f.Add([]byte(v.Body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := wire.ParseExchanges(b); !fuzzRefused(t, err) {
			fuzzSame(t, wire.AppendExchanges(nil, x), b)
		}
	})
}

func FuzzParseExchangeAnswers(f *testing.F) {
	for _, v := range load(f).ExchangeAnswers {
		f.Add([]byte(v.Body), v.Count)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if a, err := wire.ParseExchangeAnswers(b, n); !fuzzRefused(t, err) {
			fuzzSame(t, wire.AppendExchangeAnswers(nil, a), b)
		}
	})
}

func FuzzParseSessionKeys(f *testing.F) {
	for _, v := range load(f).Sessions {
		f.Add([]byte(v.Keys))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := wire.ParseSessionKeys(b); !fuzzRefused(t, err) {
			fuzzSame(t, k.Bytes(), b)
		}
	})
}

func FuzzParseClaimCode(f *testing.F) {
	for _, v := range load(f).ClaimCodes {
		f.Add(v.Typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		c, err := wire.ParseClaimCode(typed)
		if fuzzRefused(t, err) {
			return
		}
		shown := c.Text()
		again, err := wire.ParseClaimCode(shown)
		if err != nil || again != c || again.Text() != shown || len(shown) != 23 {
			t.Fatalf("%q is shown as %q, which reads back with %v", typed, shown, err)
		}
	})
}

// FuzzFit makes readings from bytes and holds Fit to AppendBlock: just as many
// as fit are taken, and the plain implementation reads them back.
func FuzzFit(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0, 1, 0, 0, 200, 0}, 30), 255)
	f.Add(bytes.Repeat([]byte{0, 1, 1, 0, 2, 1, 0, 3, 3, 0, 4, 0}, 10), 96)
	f.Add(bytes.Repeat([]byte{0, 255, 255, 255, 255, 9}, 8), 8)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0}, 3)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		readings := []wattveil.Reading{{Time: literalTime, Import: wattveil.RegisterModulus - 1}}
		for ; len(b) >= 6; b = b[6:] {
			r := readings[len(readings)-1]
			r.Time += 900 * int64(1+b[0]%2)
			r.Import = r.Import.Add(wattveil.Wh(binary.BigEndian.Uint16(b[1:])) + wattveil.Wh(b[0]/255))
			r.Export = r.Export.Add(wattveil.Wh(binary.BigEndian.Uint16(b[3:])))
			r.Status = wattveil.Status(b[5] % 3)
			readings = append(readings, r)
		}
		fit := wire.Fit(900, readings, limit)
		for n := 1; n <= min(limit, len(readings), wire.MaxReadings); n++ {
			block, err := wire.AppendBlock(nil, 900, readings[:n])
			if err != nil && n == fit || err == nil && n > fit {
				t.Fatalf("%d of %d readings fit, but %d: %v", fit, len(readings), n, err)
			}
			if err != nil {
				continue
			}
			if interval, back, ok := plain.ReadBlock(block); !ok || interval != 900 || !samePlain(back, readings[:n]) {
				t.Fatalf("block %x of %d readings reads back as another", block, n)
			}
		}
	})
}

func samePlain(got []plain.Reading, want []wattveil.Reading) bool {
	for i, r := range want {
		same := len(got) == len(want) && int64(got[i].Time) == r.Time && got[i].Status == uint16(r.Status) &&
			got[i].Import == uint64(r.Import) && got[i].Export == uint64(r.Export)
		if !same {
			return false
		}
	}
	return true
}
