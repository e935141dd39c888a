package main

import (
	"strings"

	vectors "github.com/wattveil/wattveil/vectors/bill"
)

// badBills must all be refused, each with its class.
func badBills(k key) []vectors.Bill {
	bills := badText(k)
	bills = append(bills, badHeaders(k)...)
	for _, e := range append(append(badJSON(), badFields()...), append(badLines(), badSums()...)...) {
		bills = append(bills, vectors.Bill{Name: e.name, Why: e.why, Class: e.class, JWS: k.sign(e.apply())})
	}
	return append(bills, badSubjects(k)...)
}

// edit is the payload of a good bill with one place changed.
type edit struct {
	name, class, why string
	old, new         string
}

func (e edit) apply() string {
	payload := march().payload()
	if strings.Count(payload, e.old) != 1 {
		panic("the place of " + e.name + " is not there once: " + e.old)
	}
	return strings.Replace(payload, e.old, e.new, 1)
}

// badText are not compact JWS, or not signed by the key.
func badText(k key) []vectors.Bill {
	good := k.sign(march().payload())
	parts := strings.Split(good, ".")
	changed := k.sign(march().payload())
	i := strings.LastIndex(changed, ".") - 40
	other := byte('A')
	if changed[i] == other {
		other = 'B'
	}
	changed = changed[:i] + string(other) + changed[i+1:]
	stranger := keyFrom(100)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	return []vectors.Bill{
		{Name: "not-a-jws", Class: "jws", Why: "plain text", JWS: "hello"},
		{Name: "payload-only", Class: "jws", Why: "the payload without header and signature", JWS: march().payload()},
		{Name: "two-parts", Class: "jws", Why: "the signature is cut off", JWS: parts[0] + "." + parts[1]},
		{Name: "four-parts", Class: "jws", Why: "a part too many", JWS: good + "." + parts[2]},
		{Name: "empty-signature", Class: "jws", Why: "nothing after the second dot", JWS: parts[0] + "." + parts[1] + "."},
		{Name: "trailing-text", Class: "jws", Why: "text after the signature", JWS: good + " paid"},
		{Name: "line-break-inside", Class: "jws", Why: "a line break within the payload", JWS: parts[0] + "." + parts[1][:20] + "\n" + parts[1][20:] + "." + parts[2]},
		{Name: "padding", Class: "jws", Why: "base64 padding", JWS: good + "=="},
		{Name: "stray-bits", Class: "jws", Why: "the unused bits of the last character are set: the same bytes, another text", JWS: good[:len(good)-1] + string(alphabet[last|1])},
		{Name: "changed-byte", Class: "signature", Why: "one character of the payload was changed", JWS: changed},
		{Name: "other-signature", Class: "signature", Why: "the signature of another bill", JWS: parts[0] + "." + parts[1] + "." + strings.Split(k.sign("{}"), ".")[2]},
		{Name: "short-signature", Class: "signature", Why: "a signature of 3 bytes", JWS: parts[0] + "." + parts[1] + ".AAAA"},
		{Name: "stranger", Class: "unknown-key", Why: "signed with a key that is not in the set", JWS: stranger.sign(march().payload())},
		{Name: "borrowed-key-id", Class: "signature", Why: "signed with another key under the name of the right one", JWS: stranger.signUnder(k.header(), march().payload())},
	}
}

// badHeaders are signed by the key under a header that is not a bill's.
func badHeaders(k key) []vectors.Bill {
	kid, typ := `"kid":"`+k.id+`"`, `"typ":"`+mediaType+`"`
	var bills []vectors.Bill
	for _, h := range []struct{ name, class, why, header string }{
		{"header-text", "header", "the header is not JSON", `EdDSA`},
		{"alg-none", "algorithm", "no algorithm", `{"alg":"none",` + kid + `,` + typ + `}`},
		{"alg-hs256", "algorithm", "a MAC, whose key would be the public key", `{"alg":"HS256",` + kid + `,` + typ + `}`},
		{"alg-missing", "algorithm", "the algorithm is not named", `{` + kid + `,` + typ + `}`},
		{"kid-missing", "no-key-id", "the key is not named", `{"alg":"EdDSA",` + typ + `}`},
		{"kid-empty", "no-key-id", "the key's name is empty", `{"alg":"EdDSA","kid":"",` + typ + `}`},
		{"typ-missing", "header", "the type is not named", `{"alg":"EdDSA",` + kid + `}`},
		{"typ-other", "header", "another type: a signature for another purpose", `{"alg":"EdDSA",` + kid + `,"typ":"JWT"}`},
		{"header-jwk", "header", "the header brings its own key", `{"alg":"EdDSA","jwk":` + k.jwk() + `,` + kid + `,` + typ + `}`},
		{"header-crit", "header", "a critical extension", `{"alg":"EdDSA","b64":true,"crit":["b64"],` + kid + `,` + typ + `}`},
		{"header-order", "header", "the members are in another order", `{` + kid + `,"alg":"EdDSA",` + typ + `}`},
		{"header-space", "header", "white space in the header", `{"alg":"EdDSA", ` + kid + `,` + typ + `}`},
	} {
		bills = append(bills, vectors.Bill{Name: h.name, Class: h.class, Why: h.why, JWS: k.signUnder(h.header, march().payload())})
	}
	return bills
}

// badJSON are payloads that are not canonical, or not a bill's.
func badJSON() []edit {
	return []edit{
		{"not-json", "json", "the closing brace is missing", `,"v":1}`, `,"v":1`},
		{"not-utf8", "json", "a byte that is not UTF-8", `Example TTP`, "Example \xff"},
		{"second-object", "json", "text after the object", `,"v":1}`, `,"v":1}{}`},
		{"list", "json", "a list", march().payload(), `[]`},
		{"space", "whitespace", "a space after a comma", `,"v":1}`, `, "v":1}`},
		{"final-newline", "whitespace", "a line break at the end of the payload", `,"v":1}`, `,"v":1}` + "\n"},
		{"total-twice", "duplicate", "the total is given twice", `,"total":`, `,"total":"0.00","total":`},
		{"price-twice", "duplicate", "a price is given twice in one line", `"price":"0.2860"`, `"price":"0.2860","price":"0.2860"`},
		{"escaped-twice", "duplicate", "a member comes again under an escaped name", `,"total":`, `,"\u0074otal":"0.00","total":`},
		{"version-2", "version", "a later version", `"v":1`, `"v":2`},
		{"version-text", "version", "the version is a string", `"v":1`, `"v":"1"`},
		{"no-version", "member", "the version is missing", `,"v":1`, ``},
		{"no-tariff", "member", "the tariff is missing", `"tariff":"tou-2018",`, ``},
		{"no-root", "member", "the root of the readings is missing", `"readings_root":"` + hashOf("the readings of the vectors") + `",`, ``},
		{"estimated-text", "member", "a number that is a string", `"estimated":6`, `"estimated":"6"`},
		{"estimated-negative", "field", "a number below zero", `"estimated":6`, `"estimated":-6`},
		{"intervals-fraction", "canonical", "a number with decimals", `"intervals":2972`, `"intervals":2972.0`},
		{"intervals-exponent", "canonical", "a number with an exponent", `"intervals":2972`, `"intervals":2972e0`},
		{"intervals-huge", "canonical", "a number beyond 64 bits", `"intervals":2972`, `"intervals":36893488147419103232`},
		{"unbilled-zero", "canonical", "no hole, which is left out", `,"v":1}`, `,"unbilled_seconds":0,"v":1}`},
		{"unknown-member", "member", "a member that no bill has", `,"v":1}`, `,"v":1,"x":"y"}`},
		{"capital", "member", "a member's name in another case", `"total":`, `"Total":`},
		{"unknown-in-line", "member", "a member that no line has", `"unit":"day"`, `"unit":"day","vat":"yes"`},
		{"total-number", "member", "the total is a number", `"total":"`, `"total":1,"unused":"`},
		{"null-issuer", "member", "null in the place of a string", `"issuer":"Example TTP"`, `"issuer":null`},
		{"order", "canonical", "two members in another order", `"kind":"standing","price":"0.30"`, `"price":"0.30","kind":"standing"`},
		{"needless-escape", "canonical", "a letter is escaped", `Example TTP`, `\u0045xample TTP`},
		{"empty-band", "canonical", "an empty band where none belongs", `"kind":"standing"`, `"band":"","kind":"standing"`},
	}
}

// between is what stands between two members of the plain payload, the first of
// which is a number.
func between(first, second string) string {
	_, rest, _ := strings.Cut(march().payload(), `"`+first+`":`)
	_, rest, _ = strings.Cut(rest, ",")
	rest, _, _ = strings.Cut(rest, `"`+second+`"`)
	return rest
}

// badFields have a value that is out of its format.
func badFields() []edit {
	return []edit{
		{"issuer-empty", "field", "no name", `Example TTP`, ``},
		{"issuer-control", "field", "a control character that a terminal would obey", `Example TTP`, `\u001b[2J`},
		{"subject-short", "field", "a hash of another length", `"subject":"`, `"subject":"AAAA`},
		{"tariff-space", "field", "a space in the tariff's id", `"tou-2018"`, `"tou 2018"`},
		{"currency-unknown", "field", "no such currency", `"currency":"CHF"`, `"currency":"CHX"`},
		{"zone-unknown", "field", "no such time zone", `Europe/Zurich`, `Europe/Zuerich`},
		{"root-short", "field", "a hash of another length", `"readings_root":"`, `"readings_root":"AAAA`},
		{"carries-short", "field", "a hash of another length", `{"currency"`, `{"carries":"AAAA","currency"`},
		{"corrects-short", "field", "a hash of another length", `{"currency"`, `{"corrects":"AAAA","currency"`},
		{"carries-what-it-corrects", "field", "the bill that it replaces leaves no difference", `{"currency"`, `{"carries":"` + hashOf("x") + `","corrects":"` + hashOf("x") + `","currency"`},
		{"estimated-more-than-all", "field", "more estimated intervals than there are", `"estimated":6`, `"estimated":2973`},
		{"intervals-too-many", "field", "more intervals than the period has seconds", `"intervals":2972`, `"intervals":2674801`},
		{"no-intervals", "field", "no interval, and no hole that says why", `"estimated":6,` + between("estimated", "intervals") + `"intervals":2972`, `"estimated":0,` + between("estimated", "intervals") + `"intervals":0`},
		{"hole-too-long", "field", "a hole that leaves no time for the intervals", `,"v":1}`, `,"unbilled_seconds":2674800,"v":1}`},
		{"offset", "field", "the right instant with the wrong offset", `2018-03-01T00:00:00+01:00`, `2018-02-28T23:00:00Z`},
		{"fraction", "field", "a fraction of a second", `2018-03-01T00:00:00+01:00`, `2018-03-01T00:00:00.5+01:00`},
		{"period-reversed", "field", "the period ends before it starts", `2018-04-01T00:00:00+02:00`, `2018-02-01T00:00:00+01:00`},
		{"kind-unknown", "field", "a kind of line that is not known", `"kind":"standing"`, `"kind":"gift"`},
		{"band-missing", "field", "an import line without a band", `"band":"offpeak",`, ``},
		{"band-on-standing", "field", "a band on a standing charge", `"kind":"standing"`, `"band":"peak","kind":"standing"`},
		{"unit", "field", "days are counted in kWh", `"unit":"day"`, `"unit":"kWh"`},
		{"two-decimals", "field", "an energy with two decimals", `"quantity":"133.250"`, `"quantity":"133.25"`},
		{"exponent", "field", "a number with an exponent", `"price":"0.30"`, `"price":"3e-1"`},
		{"leading-zero", "field", "a number with a needless zero", `"quantity":"133.250"`, `"quantity":"0133.250"`},
		{"plus", "field", "a number with a plus sign", `"price":"0.2860"`, `"price":"+0.2860"`},
		{"amount-decimals", "field", "an amount with three decimals", `"amount":"9.30"`, `"amount":"9.300"`},
		{"negative-zero", "field", "a zero with a minus sign", `"amount":"-0.96","band":"peak","kind":"export","price":"0.08"`, `"amount":"-0.00","band":"peak","kind":"export","price":"0"`},
		{"negative-price", "field", "a negative price", `"price":"0.30"`, `"price":"-0.30"`},
		{"negative-energy", "field", "a negative energy", `"amount":"38.11","band":"peak","kind":"import","price":"0.2860","quantity":"133.250"`, `"amount":"-38.11","band":"peak","kind":"import","price":"0.2860","quantity":"-133.250"`},
		{"no-export", "field", "an export line without energy", `"amount":"-0.96","band":"peak","kind":"export","price":"0.08","quantity":"12.004"`, `"amount":"0.00","band":"peak","kind":"export","price":"0.08","quantity":"0.000"`},
		{"tax-over-one", "field", "a tax of more than the whole", `"price":"0.081"`, `"price":"8.1"`},
	}
}

// badLines have lines that are missing or out of order.
func badLines() []edit {
	const (
		offpeak  = `{"amount":"37.45","band":"offpeak","kind":"import","price":"0.1780","quantity":"210.407","unit":"kWh"}`
		peak     = `{"amount":"38.11","band":"peak","kind":"import","price":"0.2860","quantity":"133.250","unit":"kWh"}`
		export   = `{"amount":"-0.96","band":"peak","kind":"export","price":"0.08","quantity":"12.004","unit":"kWh"}`
		standing = `{"amount":"9.30","kind":"standing","price":"0.30","quantity":"31","unit":"day"}`
	)
	payload := march().payload()
	start, end := strings.Index(payload, "["), strings.Index(payload, "]")
	return []edit{
		{"no-lines", "lines", "no line at all", payload[start : end+1], `[]`},
		{"no-import", "lines", "no import line", offpeak + "," + peak + ",", ``},
		{"bands-swapped", "lines", "bands in falling order", offpeak + "," + peak, peak + "," + offpeak},
		{"band-twice", "lines", "one band comes twice", peak, peak + "," + peak},
		{"kinds-swapped", "lines", "a standing charge before an export line", export + "," + standing, standing + "," + export},
	}
}

// badSums have sums that do not hold.
func badSums() []edit {
	return []edit{
		{"amount", "amount", "one centime too much", `"amount":"37.45"`, `"amount":"37.46"`},
		{"credit-sign", "amount", "an export line that costs", `"amount":"-0.96"`, `"amount":"0.96"`},
		{"too-many-days", "standing", "more days than the period has", `"amount":"9.30","kind":"standing","price":"0.30","quantity":"31"`, `"amount":"9.60","kind":"standing","price":"0.30","quantity":"32"`},
		{"no-days", "standing", "a standing charge for no day", `"amount":"9.30","kind":"standing","price":"0.30","quantity":"31"`, `"amount":"0.00","kind":"standing","price":"0.30","quantity":"0"`},
		{"tax-base", "tax", "the tax is on another sum; its own amount fits", `"quantity":"83.90","unit":"CHF"`, `"quantity":"83.91","unit":"CHF"`},
		{"total", "total", "the total is one centime less", `"total":"90.70"`, `"total":"90.69"`},
		{"total-text", "total", "the total is equal in value and written in another way", `"total":"90.70"`, `"total":"90.7"`},
		{"no-import-sum", "energy", "the imported energy is left out, and no line withholds its part", `"import_kwh":"343.657",`, ``},
		{"import-sum", "energy", "the imported energy is another", `"import_kwh":"343.657"`, `"import_kwh":"343.658"`},
		{"export-sum", "energy", "the exported energy is another", `"export_kwh":"12.004"`, `"export_kwh":"0.000"`},
	}
}

// badSubjects are good bills of another meter.
func badSubjects(k key) []vectors.Bill {
	jws := k.sign(march().payload())
	other, salted, neighbour := testMeter(), testMeter(), testMeter()
	other.pseudonym++
	salted.salt[15]++
	neighbour.uc++
	return []vectors.Bill{
		other.in(vectors.Bill{Name: "other-meter", Class: "subject", Why: "another pseudonym", JWS: jws}),
		salted.in(vectors.Bill{Name: "other-salt", Class: "subject", Why: "another bill's salt", JWS: jws}),
		neighbour.in(vectors.Bill{Name: "other-utility", Class: "subject", Why: "the same pseudonym at another utility", JWS: jws}),
	}
}

// keySets are read without a bill.
func keySets(k key) []vectors.KeySet {
	second := keyFrom(100)
	const class = "key-set"
	with := func(old, new string) string { return strings.Replace(k.jwks(), old, new, 1) }
	return []vectors.KeySet{
		{Name: "one", Why: "the published key", Text: k.jwks()},
		{Name: "two", Why: "two keys", Text: `{"keys":[` + k.jwk() + `,` + second.jwk() + `]}`},
		{Name: "bare", Why: "use and alg are optional", Text: `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + k.x + `","kid":"` + k.id + `"}]}`},
		{Name: "other-types", Why: "a key of a type that is not known is passed over", Text: `{"keys":[{"kty":"XYZ","kid":"1"},` + k.jwk() + `]}`},
		{Name: "empty", Class: class, Why: "nothing", Text: ``},
		{Name: "not-json", Class: class, Why: "plain text", Text: `ssh-ed25519 AAAA`},
		{Name: "no-keys", Class: class, Why: "an empty set", Text: `{"keys":[]}`},
		{Name: "single-key", Class: class, Why: "a key that is not in a set", Text: k.jwk()},
		{Name: "other-curve", Class: class, Why: "no Ed25519 key", Text: with("Ed25519", "X25519")},
		{Name: "private", Class: class, Why: "a private key", Text: with(`"x":`, `"d":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","x":`)},
		{Name: "kid", Class: class, Why: "the kid is not the thumbprint", Text: with(k.id, second.id)},
		{Name: "use", Class: class, Why: "a key to encrypt", Text: with(`"use":"sig"`, `"use":"enc"`)},
		{Name: "alg", Class: class, Why: "another algorithm", Text: with(`"alg":"EdDSA"`, `"alg":"ES256"`)},
		{Name: "short", Class: class, Why: "a key of 30 bytes", Text: with(k.x, k.x[:40])},
		{Name: "twice", Class: class, Why: "a member given twice", Text: with(`"use":"sig"`, `"use":"sig","use":"sig"`)},
		{Name: "trailing", Class: class, Why: "text after the set", Text: k.jwks() + "{}"},
	}
}
