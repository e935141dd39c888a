package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/rating"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/transparency"
)

// homeTariff is what the bills of the folder home are by.
const homeTariff = `{"id":"tou-2018","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01","energy":{"bands":` +
	`{"peak":{"import":"0.2860","export":"0.08"},"offpeak":{"import":"0.1780"}},"default":"offpeak",` +
	`"windows":[{"band":"peak","days":["mon","tue","wed","thu","fri"],"from":"07:00","to":"20:00"}]},` +
	`"standing":{"per_day":"0.30"},"tax_percent":"8.1"}`

// homeFiles are a meter's readings of spring 2018 and its bills, in the log of
// a TTP and signed with the published key of the vectors. The scripts find them
// in the folder home.
var homeFiles = sync.OnceValues(func() (map[string]string, error) {
	dir, err := os.MkdirTemp("", "wattveil-home-")
	if err != nil {
		return nil, err
	}
	h := home{files: map[string]string{"tariff.json": homeTariff, "other.json": strings.Replace(homeTariff, "0.1780", "0.1790", 1)}}
	return h.files, errors.Join(h.make(dir), os.RemoveAll(dir))
})

// home makes the files.
type home struct {
	files    map[string]string
	terms    *tariff.Tariff
	key      *bill.SigningKey
	log      *transparency.Log
	witness  *transparency.Witness
	logKeys  transparency.Keys
	readings []wattveil.Reading
}

const homeMeter = 0x0123456789abcdef

func (h *home) make(dir string) error {
	steps := []func() error{
		h.load, h.measure,
		func() error { return h.openLog(filepath.Join(dir, "log"), filepath.Join(dir, "witness")) },
		func() error { return h.bills(dir) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return h.log.Close()
}

func (h *home) load() (err error) {
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = byte(i)
	}
	if h.key, err = bill.NewSigningKey(seed); err != nil {
		return err
	}
	h.terms, err = tariff.Parse([]byte(homeTariff))
	return err
}

func (h *home) at(date string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, date, h.terms.Zone())
	if err != nil {
		panic(err)
	}
	return t
}

// measure makes readings of 15 minutes, and the files that hold them.
func (h *home) measure() error {
	const quarter = 900
	var meter, ttp strings.Builder
	meter.WriteString("time,import_register_wh,export_register_wh,seconds,import_wh,export_wh,flags\n")
	ttp.WriteString("series,time,import_register_wh,export_register_wh,flags\n")
	r := wattveil.Reading{Import: 4_711_000, Export: 12}
	for at := h.at("2018-02-20").Unix(); at <= h.at("2018-04-10").Unix(); at += quarter {
		before := r
		if r.Time > 0 {
			r.Import = r.Import.Add(wattveil.Wh(50 + at/quarter*7919%311))
			if at%86_400 == 43_200 {
				r.Export = r.Export.Add(20)
			}
		}
		r.Time = at
		h.readings = append(h.readings, r)
		since := ",,"
		if before.Time > 0 {
			since = fmt.Sprintf("%d,%d,%d", quarter, int64(r.Import.Since(before.Import)), int64(r.Export.Since(before.Export)))
		}
		stamp := time.Unix(at, 0).UTC().Format(time.RFC3339)
		fmt.Fprintf(&meter, "%s,%d,%d,%s,\n", stamp, uint64(r.Import), uint64(r.Export), since)
		fmt.Fprintf(&ttp, "1,%s,%d,%d,\n", stamp, uint64(r.Import), uint64(r.Export))
	}
	h.files["meter.csv"], h.files["ttp.csv"] = meter.String(), ttp.String()
	return nil
}

func (h *home) openLog(dir, witnessDir string) (err error) {
	const origin = "ttp.example/bills"
	if h.log, err = transparency.Open(context.Background(), dir, origin); err != nil {
		return err
	}
	key, err := h.log.PublicKey()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(witnessDir, 0o700); err != nil {
		return err
	}
	if h.witness, err = transparency.OpenWitness(witnessDir, "utility.example", origin, key); err != nil {
		return err
	}
	h.logKeys = transparency.Keys{Origin: origin, Log: key, Witness: h.witness.PublicKey()}
	text, err := json.Marshal(h.logKeys)
	h.files["log.json"] = string(text)
	return err
}

// sign makes the bill of a period, and its leaves.
func (h *home) sign(fromDate, toDate string, change func(*bill.Bill, *rating.Request)) (jws string, leaves []bill.Hash, err error) {
	from, to := h.at(fromDate), h.at(toDate)
	request := rating.Request{Tariff: h.terms, From: from, To: to, DemandStep: tariff.NewDecimal(1, 1)}
	for i := 1; i < len(h.readings); i++ {
		a, b := h.readings[i-1], h.readings[i]
		if a.Time >= from.Unix() && b.Time <= to.Unix() {
			request.Intervals = append(request.Intervals, wattveil.Interval{Start: a.Time, End: b.Time, Import: b.Import.Since(a.Import), Export: b.Export.Since(a.Export)})
		}
	}
	meter := wattveil.Meter{UC: 7, Pseudonym: homeMeter}
	b := bill.Bill{
		V: bill.Version, Issuer: "Example TTP", Subject: bill.SubjectOf(bill.Salt{7}, meter), Intervals: len(request.Intervals),
		Tariff: h.terms.ID(), TariffDigest: h.terms.Digest().String(), Timezone: h.terms.Zone().String(), Currency: h.terms.Currency().String(),
		From: bill.Time(from, h.terms.Zone()), To: bill.Time(to, h.terms.Zone()),
	}
	if change != nil {
		change(&b, &request)
	}
	var root bill.Intervals
	root.Start(bill.NewDays(h.terms.Zone(), from, to), bill.Secret{9})
	for _, i := range request.Intervals {
		root.Add(i, 0)
	}
	if leaves, err = root.Leaves(); err != nil {
		return "", nil, err
	}
	rated, err := request.Rate()
	if err != nil {
		return "", nil, err
	}
	b.ReadingsRoot, b.ImportKWh, b.ExportKWh, b.Total = bill.RootOf(leaves).String(), rated.ImportKWh(), rated.ExportKWh(), rated.Total
	for _, l := range rated.Lines {
		b.Lines = append(b.Lines, bill.Line(l))
	}
	jws, err = h.key.Sign(b)
	return jws, leaves, err
}

// bills are those of March and April, a correction, and what a dishonest party
// would show.
func (h *home) bills(dir string) error {
	march, err := h.march()
	if err != nil {
		return err
	}
	corrected, _, err := h.sign("2018-03-01", "2018-04-01", func(b *bill.Bill, _ *rating.Request) { b.Corrects = bill.HashOf(march).String() })
	if err != nil {
		return err
	}
	padded, _, err := h.sign("2018-03-01", "2018-04-01", func(_ *bill.Bill, r *rating.Request) { r.Intervals[1000].Import += 5000 })
	if err != nil {
		return err
	}
	if err := h.carried(); err != nil {
		return err
	}
	april, _, err := h.sign("2018-04-01", "2018-04-08", nil)
	if err != nil {
		return err
	}
	overlap, _, err := h.sign("2018-03-20", "2018-04-08", nil)
	if err != nil {
		return err
	}
	h.files["overlap.jws"] = overlap
	// Five bills of others come first.
	if err := h.logged(5, map[string]string{"march.json": march}); err != nil {
		return err
	}
	// What a consumer keeps who saw the log then.
	checkpoint, err := h.cosigned()
	if err != nil {
		return err
	}
	h.files["older.checkpoint"] = checkpoint
	if err := h.logged(0, map[string]string{"corrected.json": corrected, "april.json": april, "padded.json": padded}); err != nil {
		return err
	}
	if err := h.seen(6); err != nil {
		return err
	}
	if err := h.heldUp(); err != nil {
		return err
	}
	return h.fork(dir, overlap)
}

// march is the bill of March, with what opens its readings_root.
func (h *home) march() (string, error) {
	march, leaves, err := h.sign("2018-03-01", "2018-04-01", nil)
	if err != nil {
		return "", err
	}
	opening, err := json.Marshal(map[string]any{"leaves": leaves, "secret": bill.Secret{9}.Text()})
	h.files["march.jws"], h.files["secret.json"] = march, string(opening)
	return march, err
}

// carried are a bill of February that lacks 90 Wh, and one of March that counts
// them.
func (h *home) carried() error {
	const missing = 90
	february, _, err := h.sign("2018-02-21", "2018-03-01", func(_ *bill.Bill, r *rating.Request) { r.Intervals[40].Import -= missing })
	if err != nil {
		return err
	}
	carrying, _, err := h.sign("2018-03-01", "2018-04-01", func(b *bill.Bill, r *rating.Request) {
		b.Carries = bill.HashOf(february).String()
		r.Carry = []rating.Energy{{Band: "peak", Import: missing}} // the interval is at 10 on a Wednesday
	})
	h.files["february.jws"], h.files["carrying.jws"] = february, carrying
	return err
}

// kwTariff bills the highest quarter of an hour, which holds the next month up.
const kwTariff = `{"id":"kw-2018","currency":"CHF","timezone":"Europe/Zurich","valid_from":"2018-01-01",` +
	`"energy":{"bands":{"all":{"import":"0.25"}},"default":"all"},` +
	`"demand":[{"name":"all","minutes":15,"per_kw":"6","ratchet":{"months":1,"percent":"85"}}]}`

// heldUp are a bill of March by that tariff, whose highest quarter was the one
// of a holiday's cooking, and one of March that is another meter's; bills of
// April that it holds up as it should and by too much, and one that was made
// before it and does not know of it.
func (h *home) heldUp() (err error) {
	kw := *h
	h.files["kw.json"] = kwTariff
	if kw.terms, err = tariff.Parse([]byte(kwTariff)); err != nil {
		return err
	}
	april, ok := tariff.ParseMonth("2018-04")
	if !ok {
		return errors.New("no month")
	}
	bills := map[string]string{"kw-march.json": "", "kw-april.json": "", "kw-april-wrong.json": "", "kw-april-before.json": ""}
	for name, watts := range map[string]int64{"kw-april.json": 9_000, "kw-april-wrong.json": 12_000, "kw-april-before.json": 0} {
		bills[name], _, err = kw.sign("2018-04-01", "2018-04-08", func(_ *bill.Bill, r *rating.Request) {
			r.Peaks = []rating.Peak{{Demand: "all", Month: april - 1, Watts: watts}}
		})
		if err != nil {
			return err
		}
	}
	bills["kw-march.json"], _, err = kw.sign("2018-03-01", "2018-04-01", func(_ *bill.Bill, r *rating.Request) { r.Intervals[700].Import = 8_910 / 4 })
	if err := errors.Join(err, h.unlogged("kw-march-other.json", bills["kw-march.json"], bill.Salt{8})); err != nil {
		return err
	}
	for _, name := range []string{"kw-april-before.json", "kw-march.json", "kw-april.json", "kw-april-wrong.json"} { // as the TTP made them
		if err := h.logged(0, map[string]string{name: bills[name]}); err != nil {
			return err
		}
	}
	return nil
}

// unlogged writes the document of a bill that is not in the log yet.
func (h *home) unlogged(name, jws string, salt bill.Salt) error {
	text, err := bill.Document{JWS: jws, Salt: salt.String()}.Text()
	h.files[name] = string(text)
	return err
}

// logged adds entries of others and then bills, and writes their documents.
func (h *home) logged(others int, bills map[string]string) error {
	var entries []transparency.Entry
	for i := range others {
		entries = append(entries, transparency.Entry{byte(i)})
	}
	var names []string
	for name, jws := range bills {
		names = append(names, name)
		entries = append(entries, transparency.Entry(bill.EntryOf(jws, bill.Salt{7})))
	}
	indices, err := h.log.Add(context.Background(), entries)
	if err != nil {
		return err
	}
	checkpoint, err := h.cosigned()
	if err != nil {
		return err
	}
	opened, err := h.logKeys.Open(checkpoint)
	if err != nil {
		return err
	}
	proofs, err := h.log.Inclusion(context.Background(), opened.Size, indices)
	if err != nil {
		return err
	}
	for i, name := range names {
		proof := bill.Proof{Index: indices[others+i], Hashes: proofs[others+i], Checkpoint: checkpoint}
		text, err := bill.Document{JWS: bills[name], Salt: bill.Salt{7}.String(), Proof: &proof}.Text()
		if err != nil {
			return err
		}
		h.files[name] = string(text)
	}
	return nil
}

// cosigned is the newest checkpoint, cosigned.
func (h *home) cosigned() (string, error) {
	size, err := h.witness.Size()
	if err != nil {
		return "", err
	}
	signed, err := h.log.Checkpoint(context.Background(), size)
	if err != nil {
		return "", err
	}
	cosigned, err := h.witness.Cosign([]byte(signed.Text), size, signed.Consistency)
	return string(cosigned), err
}

// seen writes the older checkpoint with the proof from it to the newest.
func (h *home) seen(size uint64) error {
	newest, err := h.log.Checkpoint(context.Background(), size)
	if err != nil {
		return err
	}
	hashes := make([]bill.Hash, len(newest.Consistency))
	for i, hash := range newest.Consistency {
		hashes[i] = bill.Hash(hash)
	}
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	err = enc.Encode(struct {
		Checkpoint  string      `json:"checkpoint"`
		Consistency []bill.Hash `json:"consistency"`
	}{h.files["older.checkpoint"], hashes})
	h.files["older.json"] = text.String()
	return err
}

// fork is a second log under the same keys, as a TTP and a utility that agree
// to cheat would show it: the checkpoint of its six entries, and the document
// of a bill in it.
func (h *home) fork(dir, jws string) error {
	forked := home{files: map[string]string{}, key: h.key}
	for _, part := range []struct{ name, file string }{{"log", "log.key"}, {"witness", "witness.key"}} {
		key, err := os.ReadFile(filepath.Join(dir, part.name, part.file))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, "fork", part.name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "fork", part.name, part.file), key, 0o600); err != nil {
			return err
		}
	}
	if err := forked.openLog(filepath.Join(dir, "fork", "log"), filepath.Join(dir, "fork", "witness")); err != nil {
		return err
	}
	if err := forked.logged(5, map[string]string{"fork.json": jws}); err != nil {
		return err
	}
	h.files["fork.json"] = forked.files["fork.json"]
	return forked.log.Close()
}
