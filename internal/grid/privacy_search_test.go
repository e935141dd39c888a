package grid

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/internal/sealed"
	"github.com/wattveil/wattveil/meter/vault"
	"github.com/wattveil/wattveil/wire"
)

// needle is a value that some party must not hold, in the forms in which it
// could lie about.
type needle struct {
	what  string
	forms [][]byte
}

// bytesNeedle looks for bytes raw, in hexadecimal and in base64.
func bytesNeedle(what string, b []byte) needle {
	n := needle{what: what, forms: [][]byte{b}}
	digits := hex.EncodeToString(b)
	n.forms = append(n.forms, []byte(digits), []byte(strings.ToUpper(digits)))
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			n.forms = append(n.forms, inner(enc, b, shift))
		}
	}
	return n
}

// inner is how b shows in base64 when it begins at a place that has a rest of
// shift by three: the characters that no neighbour has a part in.
func inner(enc *base64.Encoding, b []byte, shift int) []byte {
	text := enc.EncodeToString(append(make([]byte, shift), b...))
	return []byte(text[(shift*8+5)/6 : (shift+len(b))*8/6])
}

// number looks for a 64-bit number also in decimal and little-endian.
func number(what string, v uint64) needle {
	n := bytesNeedle(what, binary.BigEndian.AppendUint64(nil, v))
	return n.and(binary.LittleEndian.AppendUint64(nil, v), strconv.AppendUint(nil, v, 10), strconv.AppendInt(nil, int64(v), 10))
}

func (n needle) and(forms ...[]byte) needle {
	n.forms = append(n.forms, forms...)
	return n
}

// isNumber tells decimal forms, which count only where no digit stands beside.
func isNumber(form []byte) bool {
	return len(bytes.Trim(form, "0123456789.")) == 0
}

// in tells whether a haystack holds the needle.
func (n needle) in(hay []byte) bool {
	for _, form := range n.forms {
		for rest := hay; ; {
			i := bytes.Index(rest, form)
			if i < 0 {
				break
			}
			end := i + len(form)
			if !isNumber(form) || (i == 0 || !wordByte(rest[i-1])) && (end == len(rest) || !wordByte(rest[end])) {
				return true
			}
			rest = rest[i+1:]
		}
	}
	return false
}

func wordByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// haystacks are the places where a value could lie, by name.
type haystacks map[string][]byte

func mustNotHold(t *testing.T, hay haystacks, needles []needle) {
	t.Helper()
	if len(hay) == 0 || len(needles) == 0 {
		t.Fatal("nothing to search")
	}
	for place, content := range hay {
		for _, n := range needles {
			if n.in(content) {
				t.Errorf("%s holds %s", place, n.what)
			}
		}
	}
}

// mustHold demands each needle somewhere: the search finds what is there.
func mustHold(t *testing.T, hay haystacks, needles []needle) {
	t.Helper()
	for _, n := range needles {
		if !slices.ContainsFunc(slices.Collect(valuesOf(hay)), n.in) {
			t.Errorf("%s is not found where it must be", n.what)
		}
	}
}

func valuesOf(hay haystacks) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, content := range hay {
			if !yield(content) {
				return
			}
		}
	}
}

// folder is all files of a party, and what its engine keeps compressed.
func (p *played) folder(t *testing.T, party string) haystacks {
	t.Helper()
	hay := make(haystacks)
	root := filepath.Join(p.dir, party)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		hay["file "+strings.TrimPrefix(path, p.dir)] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range []string{"readings", "queue"} {
		if dir := filepath.Join(root, engine); hay["file "+strings.TrimPrefix(dir, p.dir)+"/LOCK"] != nil {
			hay["keys and values of "+party+" "+engine] = engineContent(t, dir)
		}
	}
	return hay
}

// vaults is the content of the meters' vaults, opened.
func (p *played) vaults(t *testing.T) haystacks {
	t.Helper()
	hay := make(haystacks)
	for _, id := range p.ids {
		dir := filepath.Join(p.dir, "meters", id.String())
		key, err := vault.LoadKey(filepath.Join(dir, deviceKeyFile))
		if err != nil {
			t.Fatal(err)
		}
		v, err := vault.Open(filepath.Join(dir, vaultFile), key)
		if err != nil {
			t.Fatal(err)
		}
		if hay["vault "+id.String()], err = v.Load(); err != nil {
			t.Fatal(err)
		}
	}
	return hay
}

// engineContent is all keys and values of a Pebble folder, decompressed.
// Operands that are not folded yet stand side by side.
func engineContent(t *testing.T, dir string) []byte {
	t.Helper()
	merger := *pebble.DefaultMerger
	if filepath.Base(dir) == "readings" {
		merger.Name = "wattveil.day.v1"
	}
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, Merger: &merger, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(errors.Join(err, db.Close()))
	}
	var content []byte
	for ok := it.First(); ok; ok = it.Next() {
		content = append(append(content, it.Key()...), it.Value()...)
	}
	if err := errors.Join(it.Error(), it.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	return content
}

// quiet is a logger of the engine that says nothing.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// logFile is a party's log, with what its engines say.
func (p *played) logFile(parties ...string) haystacks {
	var content []byte
	for _, l := range p.lines {
		if slices.Contains(parties, l.party) {
			content = append(content, l.text...)
		}
	}
	return haystacks{"log of " + strings.Join(parties, ", "): content}
}

// wiretap is what went over the connections of a party.
func (p *played) wiretap(name string, on func(r Record) bool) haystacks {
	var content []byte
	for _, r := range p.records {
		if on(r) {
			content = append(content, fmt.Sprintln(r.Route, r.Header)...)
			content = append(content, r.Body...)
		}
	}
	return haystacks{"traffic of " + name: content}
}

func join(all ...haystacks) haystacks {
	out := make(haystacks)
	for _, hay := range all {
		for place, content := range hay {
			out[place] = content
		}
	}
	return out
}

// needles are the values of a run, by kind.
type needles struct {
	meters, pseudonyms, collectors []needle
	sent, shown, energies          []needle // readings as they are sent and as displays show them, and what lies between
	secrets, passwords, sessions   []needle
}

// readings is every form of a reading.
func (n *needles) readings() []needle { return slices.Concat(n.sent, n.shown, n.energies) }

// keys is every key that no party but the meter keeps in the clear.
func (n *needles) keys() []needle { return slices.Concat(n.secrets, n.passwords, n.sessions) }

func (p *played) needles(t *testing.T) *needles {
	t.Helper()
	n := &needles{sessions: p.sessionNeedles(t)}
	for i, id := range p.ids {
		n.meters = append(n.meters, number("ID_SM "+id.String(), uint64(id)))
		n.pseudonyms = append(n.pseudonyms, number("an-ID "+p.pseudonyms[i].String(), uint64(p.pseudonyms[i])))
		n.secrets = append(n.secrets, bytesNeedle("S_SM-UC of "+id.String(), p.secrets[id].Secret.Bytes()))
		password, err := hex.DecodeString(p.secrets[id].LinkPassword())
		if err != nil {
			t.Fatal(err)
		}
		n.passwords = append(n.passwords, bytesNeedle("link password of "+id.String(), password))
		sent, shown := p.registersOf(i)
		for _, k := range []int{0, 17, 31, 60, len(p.loads[i])} {
			n.sent = append(n.sent, registerNeedle(fmt.Sprintf("reading %d of home %d", k, i), sent[k]))
			n.shown = append(n.shown, registerNeedle(fmt.Sprintf("display %d of home %d", k, i), shown[k]))
		}
		n.energies = append(n.energies, p.energyNeedles(i)...)
	}
	for i := range worldCollectors {
		name := fmt.Sprintf("collector-%d", i+1)
		n.collectors = append(n.collectors, needle{"the name " + name, [][]byte{[]byte(name)}})
	}
	return n
}

// registerNeedle looks for both registers as they stand in a block, and for
// the import register as a number.
func registerNeedle(what string, r wattveil.Reading) needle {
	imp := uint64(r.Import)
	both := append(register40(imp), register40(uint64(r.Export))...)
	return bytesNeedle(what, both).and(strconv.AppendUint(nil, imp, 10),
		binary.BigEndian.AppendUint64(nil, imp), binary.LittleEndian.AppendUint64(nil, imp))
}

// energyNeedles are large energies of a household in Wh and kWh, and
// neighbouring deltas as they stand in a block.
func (p *played) energyNeedles(i int) []needle {
	var out []needle
	for k, f := range p.loads[i] {
		if f.imp >= 40_000 && k%3 == 0 {
			out = append(out, needle{fmt.Sprintf("energy %d of home %d", k, i),
				[][]byte{strconv.AppendInt(nil, f.imp, 10), fmt.Appendf(nil, "%d.%03d", f.imp/1000, f.imp%1000)}})
		}
		row := p.loads[i][k:min(k+3, len(p.loads[i]))]
		telling := !slices.ContainsFunc(row, func(f flow) bool { return f.imp < 256 })
		if k%10 == 3 && len(row) == 3 && telling {
			out = append(out, bytesNeedle(fmt.Sprintf("deltas %d of home %d", k, i), deltas(row)))
		}
	}
	return out
}

func register40(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v)[3:] }

func deltas(flows []flow) (out []byte) {
	for _, f := range flows {
		out = binary.BigEndian.AppendUint16(out, uint16(f.imp))
		out = binary.BigEndian.AppendUint16(out, uint16(f.exp))
	}
	return out
}

// registersOf is a household's readings as the TTP has them and as the display
// shows them.
func (p *played) registersOf(i int) (sent, shown []wattveil.Reading) {
	imp, exp := p.grid.displayBases(i)
	var bases [10]byte
	_, _ = baseReader(i).Read(bases[:])
	hide := func(r wattveil.Register, base []byte) wattveil.Register {
		return wattveil.Register((uint64(r) - binary.BigEndian.Uint64(append(make([]byte, 3), base...))) % wattveil.RegisterModulus)
	}
	at := p.start().Unix()
	for k := 0; ; k++ {
		shown = append(shown, wattveil.Reading{Time: at, Import: imp, Export: exp})
		sent = append(sent, wattveil.Reading{Time: at, Import: hide(imp, bases[:5]), Export: hide(exp, bases[5:])})
		if k == len(p.loads[i]) {
			return sent, shown
		}
		imp, exp = imp.Add(wattveil.Wh(p.loads[i][k].imp)), exp.Add(wattveil.Wh(p.loads[i][k].exp))
		at += int64(testResolution)
	}
}

// sessionNeedles are the session keys, opened with the TTP's own sealing key.
func (p *played) sessionNeedles(t *testing.T) []needle {
	t.Helper()
	seal, err := sealed.LoadKey(filepath.Join(p.dir, TTPOrg, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	var out []needle
	db := p.openDatabase(t, TTPOrg, "ttp.db")
	for _, row := range queryAll(t, db, `SELECT uc, an_id, epoch, keys FROM sessions`) {
		m := wattveil.Meter{UC: wattveil.UCNumber(row[0].value.(int64)), Pseudonym: wattveil.Pseudonym(row[1].value.(int64))}
		epoch := row[2].value.(int64)
		raw, err := seal.Open(fmt.Sprintf("sessions.keys %v %d", m, epoch), row[3].value.([]byte))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := wire.ParseSessionKeys(raw)
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("of %v epoch %d", m, epoch)
		out = append(out, bytesNeedle("k_up "+what, keys.Up.Key[:]), bytesNeedle("k_claim "+what, keys.Claim[:]),
			bytesNeedle("k_chain "+what, keys.Chain[:]))
	}
	return out
}

// checkSealed demands that the utility's sealing key, and nothing less, gives
// the S_SM-UC that its registry holds.
func (p *played) checkSealed(t *testing.T, n *needles) {
	t.Helper()
	seal, err := sealed.LoadKey(filepath.Join(p.dir, UtilityOrg, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	opened := make(haystacks)
	db := p.openDatabase(t, UtilityOrg, "utility.db")
	for _, row := range queryAll(t, db, `SELECT id_sm, secret FROM meters`) {
		id := wattveil.MeterID(row[0].value.(int64))
		secret, err := seal.Open("meters.secret "+id.String(), row[1].value.([]byte))
		if err != nil {
			t.Fatal(err)
		}
		opened[id.String()] = secret
	}
	mustHold(t, opened, n.secrets)
}

// decodedStore is the TTP's readings, decoded.
func (p *played) decodedStore() haystacks {
	hay := make(haystacks)
	for name, lines := range p.stored {
		hay[name] = []byte(strings.Join(lines, "\n"))
	}
	return hay
}

// TestPlantedValues searches all files, logs and connections of each party for
// what it must not hold, and, as a control, for what it must.
func TestPlantedValues(t *testing.T) {
	p := play(t, newWorld(t, 1, 7).with(func(w *world) { w.compact, w.trouble = true, true }))[0]
	n := p.needles(t)
	checkSearch(t, p, n)

	collectors := make(haystacks)
	for i := range worldCollectors {
		name := fmt.Sprintf("collector-%d", i+1)
		collectors = join(collectors, p.folder(t, name), p.logFile(name))
	}
	network := p.wiretap("the meter network", func(r Record) bool { return r.From != TTPOrg && r.To != TTPOrg })
	between := p.wiretap("utility and TTP", func(r Record) bool { return r.From == TTPOrg || r.To == TTPOrg })
	utility := join(p.folder(t, UtilityOrg), p.logFile(UtilityOrg))
	ttp := join(p.folder(t, TTPOrg), p.logFile(TTPOrg))

	mustNotHold(t, join(collectors, network), slices.Concat(n.readings(), n.pseudonyms, n.keys()))
	mustHold(t, collectors, n.meters)

	mustNotHold(t, join(utility, between), slices.Concat(n.readings(), n.keys()))
	mustHold(t, utility, slices.Concat(n.meters, n.pseudonyms, n.collectors))
	p.checkSealed(t, n)

	mustNotHold(t, join(ttp, between), slices.Concat(n.meters, n.collectors, n.keys()))
	mustNotHold(t, p.logFile(TTPOrg), n.readings())
	mustNotHold(t, join(ttp, p.decodedStore()), n.shown) // or a display would name a pseudonym
	mustHold(t, p.decodedStore(), n.sent)
	mustHold(t, p.folder(t, TTPOrg), n.pseudonyms)
	mustHold(t, p.logFile(TTPOrg), n.pseudonyms)

	mustNotHold(t, p.logFile("meter"), slices.Concat(n.readings(), n.pseudonyms, n.keys()))
	mustHold(t, p.logFile("meter"), n.meters)
	newest := slices.DeleteFunc(slices.Clone(n.sessions),
		func(n needle) bool { return !strings.HasSuffix(n.what, "epoch 2") })
	mustNotHold(t, p.folder(t, "meters"), n.keys()) // the vault is sealed under the device's key
	mustHold(t, p.vaults(t), newest)

	for _, l := range p.lines {
		names := func(list []needle) bool {
			return slices.ContainsFunc(list, func(n needle) bool { return n.in([]byte(l.text)) })
		}
		if names(n.meters) && names(n.pseudonyms) {
			t.Errorf("%s logs ID_SM and an-ID in one line: %q", l.party, l.text)
		}
	}
}

// checkSearch shows that the search finds values in all their forms, and what
// it looks for as it stands in a block.
func checkSearch(t *testing.T, p *played, n *needles) {
	t.Helper()
	for shift := range 3 {
		hay := binary.BigEndian.AppendUint64(make([]byte, shift), uint64(p.ids[0]))
		hay = append(hay, "rest"...)
		for _, text := range []string{string(hay), hex.EncodeToString(hay), base64.StdEncoding.EncodeToString(hay), base64.URLEncoding.EncodeToString(hay)} {
			if !n.meters[0].in([]byte(text)) {
				t.Errorf("the search does not find an ID_SM in %q", text)
			}
		}
	}
	five := needle{"5", [][]byte{[]byte("48611")}}
	if !five.in([]byte("wh=148611 wh=48611")) || five.in([]byte("wh=148611 48611a")) {
		t.Error("the search takes parts of numbers for numbers")
	}
	sent, _ := p.registersOf(0)
	block, err := wire.AppendBlock(nil, testResolution, sent[:80])
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, haystacks{"block": block}, n.sent[:1])
	found := slices.DeleteFunc(slices.Clone(n.energies), func(n needle) bool { return !n.in(block) })
	if len(found) == 0 {
		t.Error("the search finds no deltas in a block")
	}
}
