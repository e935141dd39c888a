package wire_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"github.com/wattveil/wattveil"
	plain "github.com/wattveil/wattveil/internal/plain/wire"
	vectors "github.com/wattveil/wattveil/vectors/wire"
	"github.com/wattveil/wattveil/wire"
)

func load(t testing.TB) *vectors.Vectors {
	t.Helper()
	v, err := vectors.Load()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// refusedAs reports an error of another class than a vector's, and tells
// whether the vector ends there.
func refusedAs(t *testing.T, class string, err error) bool {
	t.Helper()
	if class == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return err != nil
	}
	if !errors.Is(err, wire.Class(class)) {
		t.Errorf("error %v, want class %s", err, class)
	}
	return true
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s is %x, want %x", what, got, want)
	}
}

func secretOf(t *testing.T, b []byte) wire.Secret {
	t.Helper()
	s, err := wire.ParseSecret(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVectorsLinkPassword(t *testing.T) {
	for _, v := range load(t).LinkPasswords {
		t.Run(v.Name, func(t *testing.T) {
			password := secretOf(t, v.Secret).LinkPassword(wattveil.MeterID(v.ID), v.Domain)
			if password != v.Password {
				t.Errorf("password %s, want %s", password, v.Password)
			}
			hash := wire.PasswordHash(password)
			same(t, "hash", hash[:], v.Hash)
		})
	}
}

func TestVectorsRegisterRequest(t *testing.T) {
	for _, v := range load(t).RegisterRequests {
		t.Run(v.Name, func(t *testing.T) {
			secret, id := secretOf(t, v.Secret), wattveil.MeterID(v.ID)
			got, err := secret.OpenRegister(id, v.Frame)
			if refusedAs(t, v.Class, err) {
				return
			}
			want := wire.RegisterRequest{Nonce: [16]byte(v.Nonce), Time: int64(v.Time), Mu: [33]byte(v.Mu)}
			if got != want {
				t.Errorf("opens as %v, want %v", got, want)
			}
			content, ok := plain.Open(v.Secret, plain.Request, uint64(v.ID), secret.Register(id, got), nil)
			if !ok {
				t.Fatal("the plain implementation does not open what the package seals")
			}
			same(t, "content", content, v.Content)
		})
	}
}

func TestVectorsRegisterAnswer(t *testing.T) {
	for _, v := range load(t).RegisterAnswers {
		t.Run(v.Name, func(t *testing.T) {
			secret, id := secretOf(t, v.Secret), wattveil.MeterID(v.ID)
			got, err := secret.OpenRegistered(id, v.Request, v.Frame)
			if refusedAs(t, v.Class, err) {
				return
			}
			want := wire.Registered{
				Meter:     wattveil.Meter{UC: wattveil.UCNumber(v.UC), Pseudonym: wattveil.Pseudonym(v.AnID)},
				EpochBase: wattveil.Epoch(v.EpochBase), Time: int64(v.Time), D: [32]byte(v.D), RootKey: [33]byte(v.RootKey),
				Statement: v.Statement, TTPStatement: v.TTPStatement, SignedTTPRoot: v.Root,
			}
			if !reflect.DeepEqual(got, want) {
				t.Error("opens as something else")
			}
			content, ok := plain.Open(v.Secret, plain.Registered, uint64(v.ID), secret.Registered(id, v.Request, got), v.Request)
			if !ok {
				t.Fatal("the plain implementation does not open what the package seals")
			}
			same(t, "content", content, v.Content)
		})
	}
}

func TestVectorsRegisterRefusal(t *testing.T) {
	for _, v := range load(t).RegisterRefusals {
		t.Run(v.Name, func(t *testing.T) {
			secret, id := secretOf(t, v.Secret), wattveil.MeterID(v.ID)
			got, err := secret.OpenRegisterRefusal(id, v.Request, v.Frame)
			if refusedAs(t, v.Class, err) {
				return
			}
			if want := (wire.RegisterRefusal{Nonce: [16]byte(v.Nonce), Time: int64(v.Time)}); got != want {
				t.Errorf("opens as %v, want %v", got, want)
			}
			content, ok := plain.Open(v.Secret, plain.Refused, uint64(v.ID), secret.RefuseRegister(id, v.Request, got), v.Request)
			if !ok {
				t.Fatal("the plain implementation does not open what the package seals")
			}
			same(t, "content", content, v.Content)
		})
	}
}

func TestVectorsControl(t *testing.T) {
	for _, v := range load(t).Controls {
		t.Run(v.Name, func(t *testing.T) {
			secret, id := secretOf(t, v.Secret), wattveil.MeterID(v.ID)
			x := wire.Exchange{Type: wire.Type(v.Type)}
			var again []byte
			var err error
			switch x.Type {
			case wire.TypeRekeyNotice:
				x.Low, err = secret.OpenRekeyNotice(id, v.Frame)
				again = secret.RekeyNotice(id, x.Low)
			case wire.TypeMoveNotice:
				var at int64
				at, err = secret.OpenMoveNotice(id, v.Frame)
				x.Body = binary.BigEndian.AppendUint64(nil, uint64(at))
				again = secret.MoveNotice(id, at)
			default:
				x, err = secret.OpenTagged(id, v.Frame)
				again = secret.Tagged(id, x)
			}
			if refusedAs(t, v.Class, err) {
				return
			}
			if x.Type != wire.Type(v.Type) || x.Low != v.Low {
				t.Errorf("opens as %v of epoch low byte %d", x.Type, x.Low)
			}
			same(t, "body", x.Body, v.Body)
			low, body, ok := plain.OpenControl(v.Secret, v.Type, uint64(v.ID), again)
			if !ok || low != v.Low {
				t.Fatal("the plain implementation does not open what the package seals")
			}
			same(t, "body sealed anew", body, v.Body)
		})
	}
}

func TestVectorsOffer(t *testing.T) {
	for _, v := range load(t).Offers {
		t.Run(v.Name, func(t *testing.T) {
			got, err := wire.ParseOffer(v.Plaintext)
			if refusedAs(t, v.Class, err) {
				return
			}
			want := wire.Offer{
				Pinned: v.Pinned, Suites: v.Suites, N: [16]byte(v.N), E: [33]byte(v.E), Epoch: wattveil.Epoch(v.Epoch),
				NewestChain: wattveil.Epoch(v.Chain), OlderChain: wattveil.Epoch(v.Older),
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("reads as %+v, want %+v", got, want)
			}
			same(t, "plaintext", got.Append(nil), v.Plaintext)
		})
	}
}

func TestVectorsAnswer(t *testing.T) {
	for _, v := range load(t).Answers {
		t.Run(v.Name, func(t *testing.T) {
			got, err := wire.ParseAnswer(v.Plaintext)
			if refusedAs(t, v.Class, err) {
				return
			}
			want := wire.Answer{
				S: [16]byte(v.S), N: [16]byte(v.N), F: [33]byte(v.F), Epoch: wattveil.Epoch(v.Epoch),
				Lifetime: v.Lifetime, Chain: wattveil.Epoch(v.Chain), Suite: v.Suite,
			}
			if got != want {
				t.Error("reads as something else")
			}
			same(t, "plaintext", got.Append(nil), v.Plaintext)
		})
	}
}

func TestVectorsSession(t *testing.T) {
	for _, v := range load(t).Sessions {
		t.Run(v.Name, func(t *testing.T) {
			e, f := ephemeral(t, v.LowerE), ephemeral(t, v.LowerF)
			pointE, pointF := wire.Ephemeral(e), wire.Ephemeral(f)
			same(t, "E", pointE[:], v.E)
			same(t, "F", pointF[:], v.F)
			sharedM, errM := wire.SharedX(e, pointF)
			sharedT, errT := wire.SharedX(f, pointE)
			if errM != nil || errT != nil {
				t.Fatal(errM, errT)
			}
			same(t, "shared x of the meter", sharedM, v.Shared)
			same(t, "shared x of the TTP", sharedT, v.Shared)
			sum := transcript(v).Sum()
			same(t, "T", sum[:], v.T)
			keys, err := wire.DeriveKeys([16]byte(v.N), [16]byte(v.S), sharedM, [32]byte(v.ChainKey), sum)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "keys", keys.Bytes(), v.Keys)
			same(t, "TTP's confirmation", wire.Confirmation(keys.ConfirmT, sum), v.ConfirmT)
			same(t, "meter's confirmation", wire.Confirmation(keys.ConfirmM, sum), v.ConfirmM)
			if !wire.Confirmed(keys.ConfirmT, sum, v.ConfirmT) || wire.Confirmed(keys.ConfirmM, sum, v.ConfirmT) ||
				wire.Confirmed(keys.ConfirmT, sum, v.ConfirmT[:31]) {
				t.Error("Confirmed accepts another confirmation or refuses the right one")
			}
			again, err := wire.ParseSessionKeys(v.Keys)
			if err != nil || *again != *keys {
				t.Errorf("keys do not read back: %v", err)
			}
		})
	}
}

func ephemeral(t *testing.T, scalar []byte) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func transcript(v vectors.Session) wire.Transcript {
	return wire.Transcript{
		Suites: v.Suites, Suite: v.Suite,
		Meter:          wattveil.Meter{UC: wattveil.UCNumber(v.UC), Pseudonym: wattveil.Pseudonym(v.AnID)},
		Master:         [33]byte(v.Master),
		MeterStatement: sha256.Sum256(v.Statement),
		TTPStatement:   sha256.Sum256(v.TTPStatement),
		M1:             v.M1, M2: v.M2,
		Epoch: wattveil.Epoch(v.Epoch), Lifetime: v.Lifetime, Chain: wattveil.Epoch(v.Chain),
	}
}

func TestVectorsForward(t *testing.T) {
	for _, v := range load(t).Forwards {
		t.Run(v.Name, func(t *testing.T) {
			got, err := wire.ParseForward(v.Body)
			if refusedAs(t, v.Class, err) {
				return
			}
			if got.Interval != v.Interval || got.Roster != v.Roster {
				t.Errorf("reads as interval %d, roster %d", got.Interval, got.Roster)
			}
			sameList(t, got.Frames, v.Frames)
			same(t, "body", got.Append(nil), v.Body)
		})
	}
}

func sameList(t *testing.T, got [][]byte, want []vectors.Hex) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d items, want %d", len(got), len(want))
	}
	for i := range got {
		same(t, "item", got[i], want[i])
	}
}

func sameVerdicts(t *testing.T, got []wire.Verdict, want []byte) {
	t.Helper()
	b := make([]byte, len(got))
	for i, v := range got {
		b[i] = byte(v)
	}
	same(t, "verdicts", b, want)
}

func TestVectorsForwardAnswer(t *testing.T) {
	for _, v := range load(t).ForwardAnswers {
		t.Run(v.Name, func(t *testing.T) {
			got, err := wire.ParseForwardAnswer(v.Body, v.Count)
			if refusedAs(t, v.Class, err) {
				return
			}
			sameVerdicts(t, got.Verdicts, v.Verdicts)
			if got.Roster != v.Roster || len(got.Downlinks) != len(v.Downlinks) || len(got.Changes) != len(v.Changes) {
				t.Fatalf("roster %d, %d downlinks, %d changes", got.Roster, len(got.Downlinks), len(got.Changes))
			}
			for i, d := range v.Downlinks {
				same(t, "downlink", got.Downlinks[i].Frame, d.Frame)
				if got.Downlinks[i].ID != wattveil.MeterID(d.ID) {
					t.Errorf("downlink %d is for %v", i, got.Downlinks[i].ID)
				}
			}
			for i, c := range v.Changes {
				if got.Changes[i] != (wire.RosterEntry{ID: wattveil.MeterID(c.ID), Hash: [32]byte(c.Hash)}) {
					t.Errorf("roster change %d is %v", i, got.Changes[i])
				}
			}
			same(t, "body", got.Append(nil), v.Body)
		})
	}
}

func TestVectorsMessages(t *testing.T) {
	for _, v := range load(t).Messages {
		t.Run(v.Name, func(t *testing.T) {
			got, err := wire.ParseMessages(v.Body)
			if refusedAs(t, v.Class, err) {
				return
			}
			sameList(t, got, v.Messages)
			same(t, "body", wire.AppendMessages(nil, got), v.Body)
		})
	}
	for _, v := range load(t).Verdicts {
		t.Run("verdicts: "+v.Name, func(t *testing.T) {
			got, err := wire.ParseMessageAnswer(v.Body, v.Count)
			if refusedAs(t, v.Class, err) {
				return
			}
			sameVerdicts(t, got.Verdicts, v.Verdicts)
			if len(got.Receipts) != len(v.Receipts) {
				t.Fatalf("%d receipts, want %d", len(got.Receipts), len(v.Receipts))
			}
			for i, r := range v.Receipts {
				want := wire.PassedReceipt{Pseudonym: wattveil.Pseudonym(r.AnID), Low: r.Low, Body: [wire.ReceiptBodySize]byte(r.Body)}
				if got.Receipts[i] != want {
					t.Errorf("receipt %d reads as one for %v", i, got.Receipts[i].Pseudonym)
				}
			}
			same(t, "body", got.Append(nil), v.Body)
		})
	}
}

func TestVectorsExchanges(t *testing.T) {
	for _, v := range load(t).Exchanges {
		t.Run(v.Name, func(t *testing.T) {
			got, err := wire.ParseExchanges(v.Body)
			if refusedAs(t, v.Class, err) {
				return
			}
			if len(got) != len(v.Requests) {
				t.Fatalf("%d requests, want %d", len(got), len(v.Requests))
			}
			for i, want := range v.Requests {
				if got[i].Type != wire.Type(want.Type) || got[i].Pseudonym != wattveil.Pseudonym(want.AnID) || got[i].Low != want.Low {
					t.Errorf("request %d reads as %v of %v", i, got[i].Type, got[i].Pseudonym)
				}
				same(t, "body of a request", got[i].Body, want.Body)
			}
			same(t, "body", wire.AppendExchanges(nil, got), v.Body)
		})
	}
	for _, v := range load(t).ExchangeAnswers {
		t.Run("answers: "+v.Name, func(t *testing.T) {
			got, err := wire.ParseExchangeAnswers(v.Body, v.Count)
			if refusedAs(t, v.Class, err) {
				return
			}
			for i, want := range v.Answers {
				same(t, "verdict and M2", append([]byte{byte(got[i].Verdict)}, got[i].M2...), append([]byte{want.Verdict}, want.M2...))
			}
			same(t, "body", wire.AppendExchangeAnswers(nil, got), v.Body)
		})
	}
}

func TestVectorsClaimCode(t *testing.T) {
	for _, v := range load(t).ClaimCodes {
		t.Run(v.Name, func(t *testing.T) {
			got, err := wire.ParseClaimCode(v.Typed)
			if refusedAs(t, v.Class, err) {
				return
			}
			m := wattveil.Meter{UC: wattveil.UCNumber(v.UC), Pseudonym: wattveil.Pseudonym(v.AnID)}
			want := wire.NewClaimCode(m, [32]byte(v.Claim))
			if got != want || got.Locator != v.Locator {
				t.Errorf("locator %d, want %d, or another secret", got.Locator, v.Locator)
			}
			if got.Text() != v.Code {
				t.Errorf("shown as %s, want %s", got.Text(), v.Code)
			}
		})
	}
}

func TestVectorsReceipt(t *testing.T) {
	for _, v := range load(t).Receipts {
		t.Run(v.Name, func(t *testing.T) {
			m := wattveil.Meter{UC: wattveil.UCNumber(v.UC), Pseudonym: wattveil.Pseudonym(v.AnID)}
			down := &wire.DirectionKey{Key: [16]byte(v.Key), Salt: [12]byte(v.Salt)}
			counter, got, err := wire.OpenReceipt(m, wattveil.Epoch(v.Epoch), down, v.Body)
			if refusedAs(t, v.Class, err) {
				return
			}
			want := wire.Receipt{TakeoverHours: int(v.Takeover), Time: int64(v.Time), From: int64(v.From), Through: int64(v.Through)}
			for _, s := range v.Missing {
				want.Missing = append(want.Missing, wire.Span{First: int64(s.First), Last: int64(s.Last)})
			}
			if counter != wattveil.Counter(v.Counter) || !reflect.DeepEqual(got, want) {
				t.Errorf("opens as %+v under counter %d, want %+v", got, counter, want)
			}
			same(t, "plaintext", got.Append(nil), v.Plaintext)
			same(t, "body", wire.SealReceipt(nil, m, wattveil.Epoch(v.Epoch), down, counter, got), v.Body)
		})
	}
}

// The collector's and the utility's view of data messages; the TTP's is tested
// in package open.
func TestVectorsData(t *testing.T) {
	tagger := wire.NewTagger()
	for _, v := range load(t).Data {
		if v.At == vectors.AtTTP {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			key := secretOf(t, v.Secret).DataTagKey()
			kind, id, err := wire.ParsePrefix(v.Message)
			if v.At == vectors.AtCollector {
				refusedAs(t, v.Class, err)
				return
			}
			if err != nil || kind != wire.TypeData || uint64(id) != binary.BigEndian.Uint64(v.Message[1:]) {
				t.Fatalf("reads as %v of %v: %v", kind, id, err)
			}
			if ok := tagger.Check(key, v.Message); ok != (v.Class == "") {
				t.Fatalf("UC tag accepted: %v", ok)
			}
			if v.Class != "" {
				return
			}
			sealer := sealerOf(v, key)
			same(t, "message", sealer.Append(nil, wattveil.Counter(v.Counter), v.Block), v.Message)
			same(t, "tag", tagger.Append(key, bytes.Clone(v.Message[:len(v.Message)-wire.TagSize])), v.Message)
			same(t, "message for the TTP", wire.Rewrite(bytes.Clone(v.Message), wattveil.Pseudonym(v.AnID)), v.ToTTP)
			header, err := wire.ParseHeader(v.ToTTP)
			want := wire.Header{ID: uint64(v.AnID), Low: byte(v.Epoch), Counter: wattveil.Counter(v.Counter)}
			if err != nil || header != want {
				t.Errorf("header %v, want %v: %v", header, want, err)
			}
			var nonce [12]byte
			wire.Nonce(&nonce, (*[12]byte)(v.Salt), header.Counter)
			same(t, "nonce", nonce[:], v.Nonce)
			var aad [wire.AADSize]byte
			wire.AAD(&aad, wattveil.UCNumber(v.UC), wattveil.Epoch(v.Epoch), header)
			same(t, "additional data", aad[:], v.AAD)
		})
	}
}

func sealerOf(v vectors.Data, key *wire.TagKey) *wire.Sealer {
	m := wattveil.Meter{UC: wattveil.UCNumber(v.UC), Pseudonym: wattveil.Pseudonym(v.AnID)}
	up := &wire.DirectionKey{Key: [16]byte(v.Key), Salt: [12]byte(v.Salt)}
	return wire.NewSealer(wattveil.MeterID(v.ID), m, wattveil.Epoch(v.Epoch), up, key)
}

// One name names one vector, so that a failure is found in its file.
func TestVectorNamesAreUnique(t *testing.T) {
	v := reflect.ValueOf(load(t)).Elem()
	for i := range v.NumField() {
		seen := map[string]bool{}
		for j := range v.Field(i).Len() {
			name := v.Field(i).Index(j).FieldByName("Name").String()
			if name == "" || seen[name] {
				t.Errorf("%s: name %q twice or empty", v.Type().Field(i).Name, name)
			}
			seen[name] = true
		}
		if len(seen) == 0 {
			t.Errorf("%s: no vectors", v.Type().Field(i).Name)
		}
	}
}

// All tests of blocks start from the vectors' readings.
func readingsOf(v vectors.Block) []wattveil.Reading {
	var list []wattveil.Reading
	for _, r := range v.Readings {
		list = append(list, wattveil.Reading{
			Time: int64(r.Time), Import: wattveil.Register(r.Import), Export: wattveil.Register(r.Export), Status: wattveil.Status(r.Status),
		})
	}
	return list
}

func TestVectorsBlock(t *testing.T) {
	for _, v := range load(t).Blocks {
		if v.Class != "" {
			continue // what is refused is refused by package open
		}
		t.Run(v.Name, func(t *testing.T) {
			readings, res := readingsOf(v), wattveil.Resolution(v.Interval)
			got, err := wire.AppendBlock([]byte("before"), res, readings)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "block", got, append([]byte("before"), v.Block...))
			if n := wire.Fit(res, readings, wire.MaxReadings); n != len(readings) {
				t.Errorf("%d of %d readings fit", n, len(readings))
			}
			if size := wire.BlockSize(len(readings)); size != len(v.Block) {
				t.Errorf("BlockSize is %d, want %d", size, len(v.Block))
			}
		})
	}
}
