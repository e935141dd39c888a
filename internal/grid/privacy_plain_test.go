package grid

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/wire"
)

// What follows writes messages and stored values down for comparison. It
// replaces by its length what the specification says is random or ciphertext:
// R, nonces, keys, points, signatures, tags, salts, sealed content. What it
// does not know it shows byte for byte.

func length(b []byte) string { return fmt.Sprintf("[%d bytes]", len(b)) }

// plainFrame writes a frame of the meter network (spec/protocol.md section 3).
func plainFrame(frame []byte) string {
	t, id, err := wire.ParsePrefix(frame)
	if err != nil {
		return "frame " + hex.EncodeToString(frame)
	}
	switch t {
	case wire.TypeData:
		return plainData(frame)
	case wire.TypeM1, wire.TypeM2, wire.TypeM3, wire.TypeRekeyNotice:
		return fmt.Sprintf("%v of %v epoch ..%d %s", t, id, frame[9], length(frame[10:]))
	default:
		return fmt.Sprintf("%v of %v %s", t, id, length(frame[9:]))
	}
}

// plainData writes a data message, under ID_SM or an-ID.
func plainData(msg []byte) string {
	h, err := wire.ParseHeader(msg)
	if err != nil {
		return "message " + hex.EncodeToString(msg)
	}
	return fmt.Sprintf("data of %016x epoch ..%d counter %d %s", h.ID, h.Low, h.Counter, length(msg[wire.HeaderSize:]))
}

// plainHeader writes an HTTP header. Date is the wall clock's, and the length
// of a body is shown with the body.
func plainHeader(h http.Header) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name != "Date" && name != "Content-Length" {
			out = append(out, fmt.Sprintf("%s=%q", name, h[name]))
		}
	}
	return strings.Join(out, " ")
}

// plainBody writes a body between servers (spec/protocol.md section 7). An
// answer needs its request to be read.
func plainBody(route string, status int, body, request []byte) string {
	if status != 0 && status != http.StatusOK {
		return fmt.Sprintf("%q", body)
	}
	out, err := "", error(nil)
	switch route {
	case "POST /v1/forward":
		out, err = plainForward(status, body, request)
	case "POST /v1/messages":
		out, err = plainMessages(status, body, request)
	case "POST /v1/exchanges":
		out, err = plainExchanges(status, body, request)
	default:
		return plainJSON(body)
	}
	if err != nil {
		return "body " + hex.EncodeToString(body)
	}
	return out
}

func plainForward(status int, body, request []byte) (string, error) {
	var out strings.Builder
	asked := body
	if status != 0 {
		asked = request
	}
	in, err := wire.ParseForward(asked)
	if err != nil {
		return "", err
	}
	if status == 0 {
		fmt.Fprintf(&out, "interval %d roster %d", in.Interval, in.Roster)
		for _, frame := range in.Frames {
			fmt.Fprintf(&out, "; %s", plainFrame(frame))
		}
		return out.String(), nil
	}
	a, err := wire.ParseForwardAnswer(body, len(in.Frames))
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&out, "verdicts %v roster %d", a.Verdicts, a.Roster)
	for _, d := range a.Downlinks {
		fmt.Fprintf(&out, "; to %v %s", d.ID, plainFrame(d.Frame))
	}
	for _, e := range a.Changes {
		fmt.Fprintf(&out, "; password of %v removed %v", e.ID, e.Hash == [32]byte{})
	}
	return out.String(), nil
}

func plainMessages(status int, body, request []byte) (string, error) {
	asked := body
	if status != 0 {
		asked = request
	}
	messages, err := wire.ParseMessages(asked)
	if err != nil {
		return "", err
	}
	if status != 0 {
		answer, err := wire.ParseMessageAnswer(body, len(messages))
		receipts := make([]string, len(answer.Receipts))
		for i, r := range answer.Receipts {
			receipts[i] = fmt.Sprintf("%v epoch ..%d %s", r.Pseudonym, r.Low, length(r.Body[:]))
		}
		return fmt.Sprintf("%v receipts %v", answer.Verdicts, receipts), err
	}
	lines := make([]string, len(messages))
	for i, msg := range messages {
		lines[i] = plainData(msg)
	}
	return strings.Join(lines, "; "), nil
}

func plainExchanges(status int, body, request []byte) (string, error) {
	asked := body
	if status != 0 {
		asked = request
	}
	requests, err := wire.ParseExchanges(asked)
	if err != nil {
		return "", err
	}
	lines := make([]string, len(requests))
	if status == 0 {
		for i, r := range requests {
			lines[i] = fmt.Sprintf("%v of %v epoch ..%d %s", r.Type, r.Pseudonym, r.Low, length(r.Body))
		}
		return strings.Join(lines, "; "), nil
	}
	answers, err := wire.ParseExchangeAnswers(body, len(requests))
	if err != nil {
		return "", err
	}
	for i, a := range answers {
		lines[i] = fmt.Sprintf("%v %s", a.Verdict, length(a.M2))
	}
	return strings.Join(lines, "; "), nil
}

// plainKey writes a verifier key of a log or a witness: its name.
func plainKey(key string) string {
	name, rest, _ := strings.Cut(key, "+")
	return name + " " + length([]byte(rest))
}

// plainNote writes a checkpoint: the log's name and size, who signed it, and
// the lengths of hashes and signatures.
func plainNote(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		switch signer, signature, ok := strings.Cut(strings.TrimPrefix(line, "— "), " "); {
		case i == 2:
			lines[i] = decoded(base64.StdEncoding, line, length)
		case ok && i > 2:
			lines[i] = signer + " " + decoded(base64.StdEncoding, signature, length)
		}
	}
	return strings.Join(lines, "/")
}

var (
	jsonMember     = regexp.MustCompile(`"([a-z_]+)":"((?:[^"\\]|\\.)*)"`)
	jsonHashes     = regexp.MustCompile(`"(hashes|consistency)":\["([^\]]*)"\]`)
	jsonStatements = regexp.MustCompile(`"statements":\["([^\]]*)"\]`)
)

// plainJSON writes a JSON body as it is, but for the members that are random.
// The statements of a batch stand in an order that was shuffled.
func plainJSON(body []byte) string {
	out := jsonStatements.ReplaceAllFunc(body, func(list []byte) []byte {
		var lines []string
		for _, s := range strings.Split(string(jsonStatements.FindSubmatch(list)[1]), `","`) {
			lines = append(lines, decoded(base64.StdEncoding, s, plainStatement))
		}
		sort.Strings(lines)
		return []byte(`"statements":` + fmt.Sprint(lines))
	})
	out = jsonHashes.ReplaceAllFunc(out, func(list []byte) []byte {
		m := jsonHashes.FindSubmatch(list)
		var lines []string
		for _, s := range strings.Split(string(m[2]), `","`) {
			lines = append(lines, decoded(base64.StdEncoding, s, length))
		}
		return fmt.Appendf(nil, `%s=%v`, m[1], lines)
	})
	out = jsonMember.ReplaceAllFunc(out, func(member []byte) []byte {
		m := jsonMember.FindSubmatch(member)
		name, value := string(m[1]), string(m[2])
		switch name {
		case "mu", "root_key", "partial_key":
			value = decoded(base64.StdEncoding, value, length)
		case "kid", "x", "salt", "subject", "readings_root", "carries", "corrects":
			value = decoded(base64.RawURLEncoding, value, length)
		case "statement":
			value = decoded(base64.StdEncoding, value, plainStatement)
		case "root_statement":
			value = decoded(base64.StdEncoding, value, plainRoot)
		case "kgc_certificate":
			value = decoded(base64.StdEncoding, value, plainCertificate)
		case "jws":
			value = plainJWS(value)
		case "log", "witness":
			value = plainKey(value)
		case "checkpoint":
			var text string
			if json.Unmarshal([]byte(`"`+value+`"`), &text) != nil {
				return member
			}
			value = plainNote(text)
		default:
			return member
		}
		return []byte(name + "=" + value)
	})
	return string(out)
}

// decoded writes base64 by its content, or as it is if it is not.
func decoded(enc *base64.Encoding, s string, plain func([]byte) string) string {
	b, err := enc.Strict().DecodeString(s)
	if err != nil {
		return s
	}
	return plain(b)
}

// plainStatement writes a signed key statement (spec/clpke.md section 7).
func plainStatement(b []byte) string {
	const head, tail = 4 + 1 + 2, 4 + 3*clpke.PointSize + 16 + 64
	if len(b) < head || len(b) != head+int(binary.BigEndian.Uint16(b[5:]))+tail {
		return "statement " + hex.EncodeToString(b)
	}
	name := len(b) - tail
	points := name + 4
	validity := points + 3*clpke.PointSize
	return fmt.Sprintf("statement %x serial %x %s %x %s", b[:name], b[name:points],
		length(b[points:validity]), b[validity:validity+16], length(b[validity+16:]))
}

// plainRoot writes a root statement (spec/clpke.md section 8).
func plainRoot(b []byte) string {
	const validity = 4 + 2*clpke.PointSize
	if len(b) != validity+16+64 {
		return "root statement " + hex.EncodeToString(b)
	}
	return fmt.Sprintf("root statement %x %s %x %s", b[:4], length(b[4:validity]), b[validity:validity+16], length(b[validity+16:]))
}

// plainCertificate writes all of a certificate but serial, key and signature.
func plainCertificate(b []byte) string {
	c, err := x509.ParseCertificate(b)
	if err != nil {
		return "certificate " + hex.EncodeToString(b)
	}
	var extensions []string
	for _, e := range c.Extensions {
		if bytes.Contains(e.Value, c.SubjectKeyId) || len(c.AuthorityKeyId) > 0 && bytes.Contains(e.Value, c.AuthorityKeyId) {
			extensions = append(extensions, e.Id.String()+" "+length(e.Value)) // hashes of keys
			continue
		}
		extensions = append(extensions, fmt.Sprintf("%v %x", e.Id, e.Value))
	}
	return fmt.Sprintf("certificate of %v %v by %v from %v to %v with %v", c.Subject, c.URIs, c.Issuer, c.NotBefore, c.NotAfter, extensions)
}

// plainJWS writes a bill (spec/bill.md).
func plainJWS(jws string) string {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return jws
	}
	text := func(b []byte) string { return plainJSON(b) }
	return decoded(base64.RawURLEncoding, parts[0], text) + "." +
		decoded(base64.RawURLEncoding, parts[1], text) + "." +
		decoded(base64.RawURLEncoding, parts[2], length)
}

// plainRoster writes a collector's roster: version 4, serial 8, count 4, for
// each meter ID_SM 8 and hash 32, SHA-256 32.
func plainRoster(b []byte) string {
	const head, entry, sum = 16, 40, 32
	if len(b) < head+sum || (len(b)-head-sum)%entry != 0 {
		return hex.EncodeToString(b)
	}
	out := hex.EncodeToString(b[:head])
	for rest := b[head : len(b)-sum]; len(rest) > 0; rest = rest[entry:] {
		out += fmt.Sprintf(" %x %s", rest[:8], length(rest[8:entry]))
	}
	return out
}

// plainCell writes a value of a registry, with its type. A column that is not
// named here is shown byte for byte.
func plainCell(file string, c cell) string {
	raw, isBlob := c.value.([]byte)
	text, _ := c.value.(string)
	switch file + " " + c.column {
	case "utility.db tstamp", "ttp.db tstamp": // of the migrations
		return "wall clock"
	case "utility.db secret", "utility.db password_hash", "utility.db key_hash", "utility.db mu", "utility.db partial_key",
		"utility.db root_key", "utility.db salt", "utility.db hashes",
		"ttp.db secret", "ttp.db seed", "ttp.db salt", "ttp.db user_key", "ttp.db kgc", "ttp.db partial_key",
		"ttp.db m1", "ttp.db m2", "ttp.db transcript", "ttp.db keys", "ttp.db digests":
		if isBlob {
			return length(raw)
		}
	case "utility.db statement", "ttp.db statement":
		return plainStatement(raw)
	case "utility.db root_statement", "ttp.db root_statement":
		return plainRoot(raw)
	case "utility.db bill_keys":
		return plainJSON(raw)
	case "ttp.db authority":
		return plainCertificate(raw)
	case "utility.db jws", "ttp.db jws":
		return plainJWS(text)
	case "ttp.db id":
		if text != "" { // of a bill key
			return decoded(base64.RawURLEncoding, text, length)
		}
	case "utility.db log_key", "ttp.db witness":
		return plainKey(text)
	case "utility.db note", "ttp.db checkpoint":
		if text != "" {
			return plainNote(text)
		}
	}
	if isBlob {
		return "blob:" + hex.EncodeToString(raw)
	}
	return fmt.Sprintf("%T:%v", c.value, c.value)
}
