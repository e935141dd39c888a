package bill_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	_ "time/tzdata"

	"github.com/go-jose/go-jose/v4"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
)

// march is a small bill that holds.
func march() bill.Bill {
	zone := time.FixedZone("", 3600)
	return bill.Bill{
		V: bill.Version, Issuer: "Example TTP", Tariff: "tou-2018", Currency: "CHF", Timezone: "Europe/Zurich",
		Subject:      bill.SubjectOf(bill.Salt{1}, wattveil.Meter{UC: 7, Pseudonym: 9}),
		TariffDigest: strings.Repeat("A", 43),
		From:         bill.Time(time.Date(2018, 3, 1, 0, 0, 0, 0, zone), zone),
		To:           bill.Time(time.Date(2018, 3, 8, 0, 0, 0, 0, zone), zone),
		ImportKWh:    "13.500", ExportKWh: "2.000",
		Intervals: 672, Estimated: 4, ReadingsRoot: strings.Repeat("B", 42) + "A",
		Lines: []bill.Line{
			{Kind: "import", Band: "offpeak", Quantity: "10.000", Unit: "kWh", Price: "0.1780", Amount: "1.78"},
			{Kind: "import", Band: "peak", Quantity: "3.500", Unit: "kWh", Price: "0.2860", Amount: "1.00"},
			{Kind: "export", Band: "peak", Quantity: "2.000", Unit: "kWh", Price: "0.08", Amount: "-0.16"},
			{Kind: "standing", Quantity: "7", Unit: "day", Price: "0.30", Amount: "2.10"},
			{Kind: "tax", Quantity: "4.72", Unit: "CHF", Price: "0.081", Amount: "0.38"},
		},
		Total: "5.10",
	}
}

func newKey(t testing.TB) (*bill.SigningKey, bill.KeySet) {
	t.Helper()
	key, err := bill.GenerateSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bill.NewKeySet(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, keys
}

func TestSignAndVerify(t *testing.T) {
	key, keys := newKey(t)
	jws, err := key.Sign(march())
	if err != nil {
		t.Fatal(err)
	}
	verified, err := bill.Verify(jws, keys)
	if err != nil {
		t.Fatal(err)
	}
	if verified.KeyID != key.ID() || !reflect.DeepEqual(verified.Bill, march()) {
		t.Errorf("verified %+v by %s", verified.Bill, verified.KeyID)
	}
	again, err := key.Sign(march())
	if err != nil || again != jws {
		t.Errorf("signing twice gives two texts, %v", err)
	}
	if _, err := bill.Verify(jws, bill.KeySet{}); !errors.Is(err, bill.ErrUnknownKey) {
		t.Errorf("an empty key set: %v", err)
	}
}

// The header and the payload, byte for byte.
func TestSignedText(t *testing.T) {
	key, _ := newKey(t)
	jws, err := key.Sign(march())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(jws, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if want := `{"alg":"EdDSA","kid":"` + key.ID() + `","typ":"wattveil-bill+jwt"}`; string(header) != want {
		t.Errorf("header %s, want %s", header, want)
	}
	const want = `{"currency":"CHF","estimated":4,"export_kwh":"2.000","from":"2018-03-01T00:00:00+01:00","import_kwh":"13.500",` +
		`"intervals":672,"issuer":"Example TTP","lines":[` +
		`{"amount":"1.78","band":"offpeak","kind":"import","price":"0.1780","quantity":"10.000","unit":"kWh"},` +
		`{"amount":"1.00","band":"peak","kind":"import","price":"0.2860","quantity":"3.500","unit":"kWh"},` +
		`{"amount":"-0.16","band":"peak","kind":"export","price":"0.08","quantity":"2.000","unit":"kWh"},` +
		`{"amount":"2.10","kind":"standing","price":"0.30","quantity":"7","unit":"day"},` +
		`{"amount":"0.38","kind":"tax","price":"0.081","quantity":"4.72","unit":"CHF"}],` +
		`"readings_root":"` + "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA" + `","subject":"uuvhS75pBLz2yeyxXgu4RoI9J5kgEIJ1PEhkqRvZQ9o","tariff":"tou-2018",` +
		`"tariff_digest":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","timezone":"Europe/Zurich",` +
		`"to":"2018-03-08T00:00:00+01:00","total":"5.10","v":1}`
	if string(payload) != want {
		t.Errorf("payload\n%s\nwant\n%s", payload, want)
	}
}

// Every change of one character is refused.
func TestVerifyRefusesEveryChangedCharacter(t *testing.T) {
	key, keys := newKey(t)
	jws, err := key.Sign(march())
	if err != nil {
		t.Fatal(err)
	}
	for i := range jws {
		for _, c := range []byte{'A', 'B', '.', ' '} {
			if jws[i] == c {
				continue
			}
			if _, err := bill.Verify(jws[:i]+string(c)+jws[i+1:], keys); err == nil {
				t.Fatalf("%q at %d is accepted", c, i)
			}
		}
	}
}

func TestVerifyRefusesSize(t *testing.T) {
	_, keys := newKey(t)
	if _, err := bill.Verify(strings.Repeat("A", 1<<20), keys); !errors.Is(err, bill.ErrJWS) {
		t.Errorf("a megabyte: %v", err)
	}
}

func TestSignRefusesWhatDoesNotHold(t *testing.T) {
	key, _ := newKey(t)
	wrong := march()
	wrong.Total = "5.11"
	if _, err := key.Sign(wrong); !errors.Is(err, bill.ErrTotal) {
		t.Errorf("a wrong total: %v", err)
	}
	if _, err := key.Sign(bill.Bill{}); !errors.Is(err, bill.ErrVersion) {
		t.Errorf("an empty bill: %v", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*bill.Bill)
		class  bill.Class
	}{
		"version":          {func(b *bill.Bill) { b.V = 2 }, bill.ErrVersion},
		"issuer not UTF-8": {func(b *bill.Bill) { b.Issuer = "\xff" }, bill.ErrField},
		"issuer separator": {func(b *bill.Bill) { b.Issuer = "a\u2028b" }, bill.ErrField},
		"issuer direction": {func(b *bill.Bill) { b.Issuer = "a\u202eb" }, bill.ErrField},
		"issuer space":     {func(b *bill.Bill) { b.Issuer = " a" }, bill.ErrField},
		"issuer long":      {func(b *bill.Bill) { b.Issuer = strings.Repeat("ä", 129) }, bill.ErrField},
		"digest line":      {func(b *bill.Bill) { b.TariffDigest = strings.Repeat("A", 40) + "\nAAA" }, bill.ErrField},
		"tariff":           {func(b *bill.Bill) { b.Tariff = "-x" }, bill.ErrField},
		"from year":        {func(b *bill.Bill) { b.From = "1969-12-31T00:00:00+01:00" }, bill.ErrField},
		"same times":       {func(b *bill.Bill) { b.To = b.From }, bill.ErrField},
		"many lines": {func(b *bill.Bill) {
			b.Lines = append(b.Lines, make([]bill.Line, 256)...)
		}, bill.ErrLines},
		"tax twice": {func(b *bill.Bill) { b.Lines = append(b.Lines, b.Lines[4]) }, bill.ErrLines},
		"band long": {func(b *bill.Bill) { b.Lines[0].Band = strings.Repeat("a", 65) }, bill.ErrField},
		"tax total": {func(b *bill.Bill) { b.Lines[4].Quantity, b.Lines[4].Amount = "4.70", "0.38" }, bill.ErrTax},
		"intervals": {func(b *bill.Bill) { b.Intervals = 7*24*3600 + 1 }, bill.ErrField},
		"negative":  {func(b *bill.Bill) { b.Intervals, b.Estimated = -1, -1 }, bill.ErrField},
		"unbilled":  {func(b *bill.Bill) { b.UnbilledSeconds = -1 }, bill.ErrField},
		"itself": {func(b *bill.Bill) {
			b.Carries, b.Corrects = b.Subject, b.Subject
		}, bill.ErrField},
		"eight days": {func(b *bill.Bill) { b.Lines[3].Quantity, b.Lines[3].Amount = "8", "2.40" }, bill.ErrStanding},
	} {
		t.Run(name, func(t *testing.T) {
			b := march()
			c.change(&b)
			wantClass(t, bill.Check(b), string(c.class))
		})
	}
	hole := march()
	hole.Intervals, hole.Estimated, hole.UnbilledSeconds = 0, 0, 7*24*3600
	hole.Carries, hole.Corrects = hole.Subject, hole.TariffDigest
	if err := bill.Check(hole); err != nil {
		t.Errorf("a bill of a hole: %v", err)
	}
	if err := bill.Check(march()); err != nil {
		t.Errorf("the bill itself: %v", err)
	}
}

// Errors stay one line whatever the bill says.
func TestRefusalsAreOneLine(t *testing.T) {
	v, keys := load(t)
	for _, vector := range v.Bills {
		if _, err := bill.Verify(vector.JWS, keys); err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b") {
			t.Errorf("%s: %q", vector.Name, err)
		}
	}
}

func TestSubject(t *testing.T) {
	meter := wattveil.Meter{UC: 7, Pseudonym: 9}
	b := march()
	if err := b.IsOf(bill.Salt{1}, meter); err != nil {
		t.Errorf("its own meter: %v", err)
	}
	if err := b.IsOf(bill.Salt{1}, wattveil.Meter{UC: 9, Pseudonym: 7}); !errors.Is(err, bill.ErrSubject) {
		t.Errorf("another meter: %v", err)
	}
	salt := bill.NewSalt()
	if salt == bill.NewSalt() {
		t.Error("two salts are equal")
	}
	if again, err := bill.ParseSalt(salt.String()); err != nil || again != salt {
		t.Errorf("salt %v reads as %v, %v", salt, again, err)
	}
	for _, s := range []string{"", "AAAA", strings.Repeat("A", 21) + "B", strings.Repeat("A", 22) + "\n", strings.Repeat("A", 24)} {
		if _, err := bill.ParseSalt(s); err == nil {
			t.Errorf("salt %q is accepted", s)
		}
	}
}

func TestKeySet(t *testing.T) {
	first, _ := newKey(t)
	second, _ := newKey(t)
	set, err := bill.NewKeySet(first.Public(), second.Public(), first.Public())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{first.ID(), second.ID()}; !reflect.DeepEqual(set.IDs(), want) {
		t.Errorf("ids %q, want %q", set.IDs(), want)
	}
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	var again bill.KeySet
	if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again, set) {
		t.Errorf("%s reads as %v, %v", data, again.IDs(), err)
	}
	jws, err := second.Sign(march())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bill.Verify(jws, again); err != nil {
		t.Errorf("signed with the second key: %v", err)
	}
	if _, err := bill.NewKeySet(ed25519.PublicKey("short")); !errors.Is(err, bill.ErrKeySet) {
		t.Errorf("a short key: %v", err)
	}
}

// The key id is the thumbprint that a stock library computes.
func TestKeyIDIsTheThumbprint(t *testing.T) {
	key, _ := newKey(t)
	stock := jose.JSONWebKey{Key: key.Public()}
	sum, err := stock.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if want := base64.RawURLEncoding.EncodeToString(sum); key.ID() != want || bill.KeyID(key.Public()) != want {
		t.Errorf("key id %q, want %q", key.ID(), want)
	}
	// RFC 8037 appendix A.3.
	x, _ := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if got := bill.KeyID(x); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("key id of RFC 8037: %q", got)
	}
}

func TestSigningKeyStoresAndRedacts(t *testing.T) {
	key, _ := newKey(t)
	again, err := bill.NewSigningKey(key.Seed())
	if err != nil || again.ID() != key.ID() {
		t.Errorf("stored and read, key %s, %v", again.ID(), err)
	}
	if _, err := bill.NewSigningKey(key.Seed()[:31]); err == nil {
		t.Error("a seed of 31 bytes is accepted")
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key)
	text, err := json.Marshal(map[string]any{"key": key})
	if err != nil {
		t.Fatal(err)
	}
	seed := string(key.Seed())
	for _, s := range []string{
		fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s %x %d", key, key, key, key, key, key), log.String(), string(text),
	} {
		for _, secret := range []string{seed, fmt.Sprintf("%x", seed), base64.RawURLEncoding.EncodeToString([]byte(seed)), fmt.Sprint([]byte(seed))} {
			if strings.Contains(s, secret) {
				t.Fatal("the seed is printed")
			}
		}
		if !strings.Contains(s, "[bill signing key]") {
			t.Errorf("prints %q", s)
		}
	}
}

func ExampleBill_WriteText() {
	var s strings.Builder
	if err := march().WriteText(&s); err != nil {
		fmt.Println(err)
	}
	fmt.Print(s.String())
	// Output:
	// Issuer    Example TTP
	// Period    2018-03-01T00:00:00+01:00 to 2018-03-08T00:00:00+01:00 (Europe/Zurich)
	// Tariff    tou-2018
	// Imported  13.500 kWh
	// Exported  2.000 kWh
	// Readings  672 intervals, of which 4 are estimated
	//
	// Item      Band     Quantity Unit   Price    CHF
	// -----------------------------------------------
	// import    offpeak    10.000 kWh   0.1780   1.78
	// import    peak        3.500 kWh   0.2860   1.00
	// export    peak        2.000 kWh     0.08  -0.16
	// standing                  7 day     0.30   2.10
	// tax                    4.72 CHF    0.081   0.38
	// -----------------------------------------------
	// total                                      5.10
}

func ExampleVerify() {
	key, err := bill.GenerateSigningKey() // at the TTP
	if err != nil {
		fmt.Println(err)
		return
	}
	jws, err := key.Sign(march())
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := bill.NewKeySet(key.Public()) // at the utility or the consumer
	if err != nil {
		fmt.Println(err)
		return
	}
	verified, err := bill.Verify(jws, keys)
	fmt.Println(verified.Total, verified.Currency, err)
	_, err = bill.Verify(jws+"x", keys)
	fmt.Println(errors.Is(err, bill.ErrSignature) || errors.Is(err, bill.ErrJWS))
	// Output:
	// 5.10 CHF <nil>
	// true
}

func BenchmarkSign(b *testing.B) {
	key, _ := newKey(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Sign(march()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	key, keys := newKey(b)
	jws, err := key.Sign(march())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bill.Verify(jws, keys); err != nil {
			b.Fatal(err)
		}
	}
}

// What tells lines of one kind apart is printed.
func TestLabel(t *testing.T) {
	for _, c := range []struct {
		line bill.Line
		want string
	}{
		{bill.Line{Kind: "standing"}, ""},
		{bill.Line{Kind: "import", Band: "peak"}, "peak"},
		{bill.Line{Kind: "import", Band: "flat", Tier: 2}, "flat tier 2"},
		{bill.Line{Kind: "grid", Name: "network"}, "network"},
		{bill.Line{Kind: "demand", Name: "all", Month: "2018-03", Minutes: 60, Note: "ratchet", Share: "0.50000000"}, "all 2018-03 60 min (ratchet) x 0.50000000 month"},
		{bill.Line{Kind: "tax", Name: "city", On: "import,grid"}, "city on import,grid"},
	} {
		if got := c.line.Label(); got != c.want {
			t.Errorf("label %q, want %q", got, c.want)
		}
	}
}

// The bill of the vectors that has lines of every kind prints them all.
func TestTextOfEveryKind(t *testing.T) {
	v, keys := load(t)
	for _, vector := range v.Bills {
		if vector.Name != "components" {
			continue
		}
		verified, err := bill.Verify(vector.JWS, keys)
		if err != nil {
			t.Fatal(err)
		}
		var s strings.Builder
		if err := verified.WriteText(&s); err != nil {
			t.Fatal(err)
		}
		for _, l := range verified.Lines {
			if !strings.Contains(s.String(), l.Kind) || !strings.Contains(s.String(), l.Label()) || !strings.Contains(s.String(), l.Amount) {
				t.Errorf("the text lacks %s %s", l.Kind, l.Label())
			}
		}
		if !regexp.MustCompile(`kWh +series`).MatchString(s.String()) {
			t.Errorf("the text does not say where a series has the prices:\n%s", &s)
		}
	}
}
