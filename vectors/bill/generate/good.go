package main

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"strconv"
	"strings"

	vectors "github.com/wattveil/wattveil/vectors/bill"
)

// line is a line without its amount.
type line struct {
	kind, band, quantity, unit, price string

	// Of some kinds only. amount is given where it does not follow from the
	// rest: where a series has the prices.
	name, month, note, on, series, share, amount, withheld string
	minutes, tier                                          int
}

// content is what a bill says, without what follows from it.
type content struct {
	issuer, currency string
	decimals         int // of the currency
	zone, from, to   string
	lines            []line
	tax              string // fraction; no tax line if empty
	taxes            []line // name, price and on of several taxes
	meter            meter

	intervals, estimated, unbilled int
	carries, corrects              string // hashes of other bills
}

type meter struct {
	salt      [16]byte
	uc        uint32
	pseudonym uint64
}

// testMeter is the meter of all vectors.
func testMeter() meter {
	m := meter{uc: 7, pseudonym: 0x0123456789abcdef}
	for i := range m.salt {
		m.salt[i] = 0xa0 + byte(i)
	}
	return m
}

func (m meter) subject() string {
	msg := append([]byte{}, m.salt[:]...)
	msg = binary.BigEndian.AppendUint32(msg, m.uc)
	msg = binary.BigEndian.AppendUint64(msg, m.pseudonym)
	sum := sha256.Sum256(msg)
	return b64(sum[:])
}

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("not a number: " + s)
	}
	return r
}

// fixed writes a number with so many decimals, rounded half away from zero.
func fixed(r *big.Rat, decimals int) string {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	scaled := new(big.Rat).Mul(new(big.Rat).Abs(r), new(big.Rat).SetInt(scale))
	scaled.Add(scaled, big.NewRat(1, 2))
	whole := new(big.Int).Quo(scaled.Num(), scaled.Denom()) // towards zero
	digits := whole.String()
	if len(digits) <= decimals {
		digits = strings.Repeat("0", decimals+1-len(digits)) + digits
	}
	if decimals > 0 {
		digits = digits[:len(digits)-decimals] + "." + digits[len(digits)-decimals:]
	}
	if r.Sign() < 0 && whole.Sign() != 0 {
		return "-" + digits
	}
	return digits
}

// sums are the lines with their amounts, and what they come to.
type sums struct {
	lines              []string
	total              big.Rat
	imported, exported kWh
}

func (c content) sums() *sums {
	s := new(sums)
	byKind := map[string]*big.Rat{}
	add := func(l line) {
		switch l.kind {
		case "import":
			s.imported.add(l)
		case "export":
			s.exported.add(l)
		}
		text := l.amount
		if text == "" {
			text = l.worth(&s.total, c.decimals)
		}
		if byKind[l.kind] == nil {
			byKind[l.kind] = new(big.Rat)
		}
		byKind[l.kind].Add(byKind[l.kind], rat(text))
		s.total.Add(&s.total, rat(text))
		s.lines = append(s.lines, l.json(text))
	}
	for _, l := range c.lines {
		add(l)
	}
	taxed := new(big.Rat).Set(&s.total)
	for _, l := range c.taxes {
		base := taxed
		if l.on != "" {
			base = new(big.Rat)
			for _, kind := range strings.Split(l.on, ",") {
				base.Add(base, byKind[kind])
			}
		}
		l.kind, l.unit, l.quantity = "tax", c.currency, fixed(base, c.decimals)
		add(l)
	}
	if c.tax != "" {
		add(line{kind: "tax", quantity: fixed(&s.total, c.decimals), unit: c.currency, price: c.tax})
	}
	return s
}

// payload assembles the canonical payload.
func (c content) payload() string {
	s := c.sums()
	digest := sha256.Sum256([]byte("the tariff of the vectors"))

	return `{` + member("carries", c.carries) + member("corrects", c.corrects) +
		`"currency":"` + c.currency +
		`","estimated":` + strconv.Itoa(c.estimated) + `,` +
		member("export_kwh", s.exported.text()) +
		`"from":"` + c.from + `",` +
		member("import_kwh", s.imported.text()) +
		`"intervals":` + strconv.Itoa(c.intervals) +
		`,"issuer":"` + c.issuer +
		`","lines":[` + strings.Join(s.lines, ",") +
		`],"readings_root":"` + hashOf("the readings of the vectors") +
		`","subject":"` + c.meter.subject() +
		`","tariff":"tou-2018","tariff_digest":"` + b64(digest[:]) +
		`","timezone":"` + c.zone +
		`","to":"` + c.to +
		`","total":"` + fixed(&s.total, c.decimals) + `",` +
		c.hole() +
		`"v":1}`
}

// member is a member and the comma after it, or nothing if it has no value.
func member(name, value string) string {
	if value == "" {
		return ""
	}
	return `"` + name + `":"` + value + `",`
}

func (c content) hole() string {
	if c.unbilled == 0 {
		return ""
	}
	return `"unbilled_seconds":` + strconv.Itoa(c.unbilled) + `,`
}

// kWh is the sum of an energy, unless a line withholds its part.
type kWh struct {
	sum      big.Rat
	withheld bool
}

func (e *kWh) add(l line) {
	if l.withheld != "" {
		e.withheld = true
		return
	}
	e.sum.Add(&e.sum, rat(l.quantity))
}

func (e *kWh) text() string {
	if e.withheld {
		return ""
	}
	return fixed(&e.sum, 3)
}

// worth is the amount of a line, given the sum of those before.
func (l line) worth(before *big.Rat, decimals int) string {
	amount := new(big.Rat).Mul(rat(l.quantity), rat(l.price))
	if l.share != "" {
		amount.Mul(amount, rat(l.share))
	}
	text := fixed(amount, decimals)
	switch l.kind {
	case "export", "credit":
		return fixed(amount.Neg(amount), decimals)
	case "minimum":
		return fixed(new(big.Rat).Sub(rat(text), before), decimals)
	}
	return text
}

// json writes the members that have a value, sorted by name.
func (l line) json(amount string) string {
	var members []string
	text := func(name, value string) {
		if value != "" {
			members = append(members, `"`+name+`":"`+value+`"`)
		}
	}
	number := func(name string, value int) {
		if value != 0 {
			members = append(members, `"`+name+`":`+strconv.Itoa(value))
		}
	}
	text("amount", amount)
	text("band", l.band)
	text("kind", l.kind)
	number("minutes", l.minutes)
	text("month", l.month)
	text("name", l.name)
	text("note", l.note)
	text("on", l.on)
	text("price", l.price)
	text("quantity", l.quantity)
	text("series", l.series)
	text("share", l.share)
	number("tier", l.tier)
	text("unit", l.unit)
	text("withheld", l.withheld)
	return "{" + strings.Join(members, ",") + "}"
}

func imports(band, quantity, price string) line {
	return line{kind: "import", band: band, quantity: quantity, unit: "kWh", price: price}
}

func exports(band, quantity, price string) line {
	return line{kind: "export", band: band, quantity: quantity, unit: "kWh", price: price}
}

func standing(days int, price string) line {
	return line{kind: "standing", quantity: strconv.Itoa(days), unit: "day", price: price}
}

// march is a plain bill; the bad ones are made from it.
func march() content {
	return content{
		issuer: "Example TTP", currency: "CHF", decimals: 2,
		zone: "Europe/Zurich", from: "2018-03-01T00:00:00+01:00", to: "2018-04-01T00:00:00+02:00",
		lines: []line{
			imports("offpeak", "210.407", "0.1780"), imports("peak", "133.250", "0.2860"),
			exports("peak", "12.004", "0.08"), standing(31, "0.30"),
		},
		tax: "0.081", meter: testMeter(), intervals: 2972, estimated: 6,
	}
}

// goodBills must all be accepted.
func goodBills(k key) []vectors.Bill {
	flat := march()
	flat.zone, flat.from, flat.to, flat.tax = "UTC", "2024-02-28T00:00:00Z", "2024-03-01T00:00:00Z", ""
	flat.lines = []line{imports("all", "1.000", "0.25")}
	flat.intervals, flat.estimated = 48, 0
	yen := march()
	yen.currency, yen.decimals = "JPY", 0
	dinar := march()
	dinar.currency, dinar.decimals = "KWD", 3
	credit := march()
	credit.lines = []line{imports("all", "10.000", "0.20"), exports("all", "900.000", "0.11")}
	half := march()
	half.lines = []line{imports("a", "0.500", "0.01"), imports("b", "1.500", "0.01"), exports("a", "0.500", "0.01"), exports("b", "1.500", "0.01")}
	half.tax = ""
	below := march()
	below.lines = []line{imports("a", "0.499", "0.01"), exports("a", "0.001", "0.99999999"), exports("b", "5.000", "0")}
	named := march()
	named.issuer = `Zähler & Söhne <"TTP">`
	named.issuer = strings.ReplaceAll(named.issuer, `"`, `\"`)
	correction := march()
	correction.corrects, correction.carries = hashOf("the bill before"), hashOf("the bill of february")
	hole := march()
	hole.intervals, hole.estimated, hole.unbilled = 0, 0, 7*24*60*60
	hole.from, hole.to = "2018-03-01T00:00:00+01:00", "2018-03-08T00:00:00+01:00"
	hole.lines = []line{imports("all", "0.000", "0.20"), standing(7, "0.30")}
	large := march()
	large.lines = []line{imports("all", "999999999999.999", "1000000")}
	bills := []vectors.Bill{
		{Name: "month", Why: "two bands, export in one, standing charge, tax; the zone's offset changes within the period", JWS: k.sign(march().payload())},
		{Name: "flat", Why: "one line; UTC is written Z", JWS: k.sign(flat.payload())},
		{Name: "no-decimals", Why: "a currency without a minor unit", JWS: k.sign(yen.payload())},
		{Name: "three-decimals", Why: "a currency with three decimals", JWS: k.sign(dinar.payload())},
		{Name: "credit", Why: "more earned than owed: total and tax are negative", JWS: k.sign(credit.payload())},
		{Name: "half", Why: "a half is rounded away from zero, up and down", JWS: k.sign(half.payload())},
		{Name: "below-half", Why: "less than a half is rounded to zero, which has no sign; an export price of 0", JWS: k.sign(below.payload())},
		{Name: "issuer", Why: "a name with a quote, an umlaut and signs of HTML, escaped as RFC 8785 does", JWS: k.sign(named.payload())},
		{Name: "correction", Why: "it replaces a bill, and carries what another one lacked", JWS: k.sign(correction.payload())},
		{Name: "hole", Why: "a week between two meters, without any register: no interval and no energy", JWS: k.sign(hole.payload())},
		{Name: "large", Why: "numbers at the upper end", JWS: k.sign(large.payload())},
	}
	subject := vectors.Bill{Name: "subject", Why: "the subject is the meter's", JWS: k.sign(march().payload())}
	return append(bills, testMeter().in(subject))
}

// in adds what checking the subject takes.
func (m meter) in(b vectors.Bill) vectors.Bill {
	const digits = 16
	hex := strconv.FormatUint(m.pseudonym, 16)
	b.Salt, b.UC, b.Pseudonym = b64(m.salt[:]), m.uc, strings.Repeat("0", digits-len(hex))+hex
	return b
}
