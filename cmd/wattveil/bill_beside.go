package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/bill/check"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/transparency"
)

// besideBill checks a bill that the TTP signed against what is given beside it.
type besideBill struct {
	verifyBill
	stdin  io.Reader
	shown  shownBill
	keys   verifierKeys
	report *report

	of    *wattveil.Meter // whose the bill is, if that is known
	terms *tariff.Tariff
	given map[bill.Hash]check.Shown // other bills, by the hash of their text
}

// subject checks whose bill it is.
func (b *besideBill) subject() error {
	const what = "subject"
	flag, named, err := b.meterNamed()
	switch {
	case err != nil:
		return err
	case b.shown.document == nil:
		b.report.skip(what, "whose bill it is takes the bill's document, which has its salt")
		return nil
	case flag == nil && named == nil:
		b.report.skip(what, "whose bill it is takes the meter's pseudonym: give --meter UC/AN-ID")
		return nil
	case flag != nil && named != nil && *flag != *named:
		b.report.fail(bill.ErrSubject, "the document is of meter %v, not of %v", named, flag)
		return nil
	}
	meter, text := flag, "the bill is of meter %v"
	if flag == nil {
		meter, text = named, "the bill is of meter %v, as its document says"
	}
	salt, err := b.shown.salt()
	if err != nil {
		return err
	}
	if b.shown.IsOf(salt, *meter) != nil {
		b.report.fail(bill.ErrSubject, "the bill is not of meter %v, or the salt is another bill's", meter)
		return nil
	}
	b.of = meter
	b.report.ok(what, fmt.Sprintf(text, meter))
	return nil
}

// log checks that the TTP's log has the bill, under a checkpoint that the
// utility cosigned.
func (b *besideBill) log() error {
	const what = "log"
	switch {
	case b.shown.document == nil:
		b.report.skip(what, "that the TTP has published it takes the bill's document, which has the proof")
		b.report.skip("cosignature", "that the utility has seen it there takes the same proof")
	case b.shown.document.Proof == nil:
		b.report.skip(what, "the document has no proof that the TTP has published the bill: ask for it again later")
		b.report.skip("cosignature", "that the utility has seen it there takes the same proof")
	case b.keys.log == nil:
		b.report.skip(what, "the keys of the TTP's log are not known: keep them with wattveil bill pin --log FILE, or give --log")
		b.report.skip("cosignature", "that the utility has seen it there takes the same keys")
	default:
		return b.proof(*b.shown.document.Proof)
	}
	if b.seenFile != "" {
		b.report.skip("consistency", "an earlier checkpoint is compared with the bill's, which was not checked")
	}
	return nil
}

func (b *besideBill) proof(p bill.Proof) error {
	checkpoint, err := b.keys.log.Open(p.Checkpoint)
	if err != nil {
		return b.logError(err)
	}
	entry, err := b.shown.document.Entry()
	if err != nil {
		return err
	}
	if checkpoint.Includes(transparency.Entry(entry), p.Index, p.Hashes) != nil {
		b.report.fail(bill.ErrInclusion, "the bill is not in the log: the proof does not lead from it to entry %d of %d", p.Index, checkpoint.Size)
	} else {
		b.report.ok("log", fmt.Sprintf("entry %d of %d of %s", p.Index, checkpoint.Size, b.keys.log.Origin))
	}
	b.report.ok("cosignature", "the utility has cosigned this state of the log")
	return b.consistency(checkpoint)
}

// logError reports why a checkpoint is not accepted.
func (b *besideBill) logError(err error) error {
	switch {
	case errors.Is(err, transparency.ErrCheckpoint):
		b.report.fail(bill.ErrCheckpoint, "the checkpoint is not signed by the log %s", b.keys.log.Origin)
	case errors.Is(err, transparency.ErrNotCosigned):
		b.report.fail(bill.ErrCosignature, "the utility has not cosigned the checkpoint")
	default:
		return err
	}
	return nil
}

// consistency checks that the log is the one that was seen before.
func (b *besideBill) consistency(checkpoint transparency.Checkpoint) error {
	const what = "consistency"
	if b.seenFile == "" {
		b.report.skip(what, "that the log continues the one that you saw before takes --older-checkpoint")
		return nil
	}
	data, err := readInput(b.stdin, b.seenFile)
	if err != nil {
		return fmt.Errorf("--older-checkpoint: %w", err)
	}
	seen, err := bill.ParseSeen(data)
	if err != nil {
		return fmt.Errorf("--older-checkpoint %s: %w", b.seenFile, err)
	}
	earlier, err := b.keys.log.Open(seen.Checkpoint)
	switch {
	case errors.Is(err, transparency.ErrCheckpoint):
		b.report.fail(bill.ErrCheckpoint, "the earlier checkpoint in %s is not signed by the log %s", b.seenFile, b.keys.log.Origin)
		return nil
	case errors.Is(err, transparency.ErrNotCosigned):
		b.report.fail(bill.ErrCosignature, "the utility has not cosigned the earlier checkpoint in %s", b.seenFile)
		return nil
	case err != nil:
		return err
	}
	err = transparency.OneLog(checkpoint, earlier, seen.Consistency)
	switch {
	case errors.Is(err, transparency.ErrUnproven):
		b.report.skip(what, fmt.Sprintf("the checkpoints have %d and %d entries, and %s has no proof that one continues the other: ask the TTP for one", earlier.Size, checkpoint.Size, b.seenFile))
	case errors.Is(err, transparency.ErrForked):
		b.report.fail(bill.ErrConsistency, "the TTP has shown two logs: two states of %d entries differ. Keep both checkpoints, they prove it", checkpoint.Size)
	case err != nil:
		b.report.fail(bill.ErrConsistency, "the proof in %s does not lead from the one log to the other, of %d and %d entries: ask the TTP for another. Two logs are not proven by that", b.seenFile, earlier.Size, checkpoint.Size)
	default:
		b.report.ok(what, fmt.Sprintf("the log of %d entries and the one of %d are one", earlier.Size, checkpoint.Size))
	}
	return nil
}

// period checks of what time the bill is.
func (b *besideBill) period() error {
	if b.verifyBill.period == "" {
		return nil
	}
	from, to, err := wantedPeriod(b.verifyBill.period, b.shown.Timezone)
	if err != nil {
		return err
	}
	has, until, err := b.shown.times()
	if err != nil {
		return err
	}
	if !has.Equal(from) || !until.Equal(to) {
		b.report.fail(bill.ErrPeriod, "the bill is of another period: from %s to %s, not of %s", b.shown.From, b.shown.To, b.verifyBill.period)
		return nil
	}
	b.report.ok("period", b.verifyBill.period)
	return nil
}

// tariff checks that the bill names the tariff that is given.
func (b *besideBill) tariff() error {
	const what = "tariff"
	if b.tariffFile == "" {
		b.report.skip(what, "that the prices are the tariff's takes the tariff: give --tariff")
		return nil
	}
	data, err := readLimited(b.stdin, b.tariffFile, maxTariffInput)
	if err != nil {
		return fmt.Errorf("--tariff: %w", err)
	}
	terms, err := tariff.Parse(data)
	if err != nil {
		return fmt.Errorf("--tariff %s: %w", b.tariffFile, err)
	}
	if terms.Digest().String() != b.shown.TariffDigest {
		b.report.fail(bill.ErrTariff, "the bill is not by the tariff in %s: it names %s with digest %s, the file has %s with %s",
			b.tariffFile, b.shown.Tariff, b.shown.TariffDigest, terms.ID(), terms.Digest())
		return nil
	}
	b.terms = terms
	b.report.ok(what, fmt.Sprintf("%s, whose digest the bill names", terms.ID()))
	return nil
}

// readings computes the bill again.
func (b *besideBill) readings() error {
	const what = "readings"
	switch {
	case len(b.verifyBill.readings) == 0 && (b.secret != "" || len(b.series) > 0):
		return misuse("--secret and --series say more about readings: give these with --readings")
	case len(b.verifyBill.readings) == 0:
		b.report.skip(what, "that the meter measured this energy takes its readings: give --readings")
		return nil
	case b.tariffFile == "":
		return misuse("--readings needs the tariff that they are priced by: give --tariff")
	case b.terms == nil:
		b.report.skip(what, "they are priced by the bill's tariff, which is not the one given")
		return nil
	}
	in, err := b.input()
	if err != nil {
		return err
	}
	if !in.Readings.FromMeter() {
		b.report.skip(what, "readings not checked against the meter: they come from the TTP; what wattveil-meter export writes comes from the meter")
	}
	found, err := check.Recompute(in)
	switch {
	case errors.Is(err, check.ErrCannot):
		b.report.skip(what, err.Error())
		return nil
	case err != nil:
		b.report.fail(bill.ErrReadings, "%v", err)
		return nil
	}
	b.compared(found)
	return nil
}

// input is what the bill is computed from.
func (b *besideBill) input() (in check.Input, err error) {
	in = check.Input{Bill: b.placed(b.shown), Tariff: b.terms, Others: b.given}
	parts := make([]check.Readings, len(b.verifyBill.readings))
	for i, file := range b.verifyBill.readings {
		data, err := readLimited(b.stdin, file, check.MaxReadings)
		if err != nil {
			return in, fmt.Errorf("--readings: %w", err)
		}
		if parts[i], err = check.ParseReadings(data); err != nil {
			return in, fmt.Errorf("--readings %s: %w", file, err)
		}
	}
	if in.Readings, err = check.Join(parts...); err != nil {
		return in, fmt.Errorf("--readings: %w", err)
	}
	if in.Series, err = readSeries(b.stdin, b.series); err != nil {
		return in, err
	}
	if b.secret == "" {
		return in, nil
	}
	data, err := readInput(b.stdin, b.secret)
	if err != nil {
		return in, fmt.Errorf("--secret: %w", err)
	}
	opening, err := check.ParseOpening(data)
	if err != nil {
		return in, fmt.Errorf("--secret %s: %w", b.secret, err)
	}
	in.Opening = &opening
	return in, nil
}

// placed is a bill with its place in the log, where its proof holds.
func (b *besideBill) placed(s shownBill) check.Shown {
	out := check.Shown{Bill: s.Bill}
	if b.keys.log == nil || s.document == nil || s.document.Proof == nil {
		return out
	}
	entry, err := s.document.Entry()
	if err == nil && transparency.Proof(*s.document.Proof).Verify(transparency.Entry(entry), *b.keys.log) == nil {
		out.Place = &s.document.Proof.Index
	}
	return out
}

// compared reports what computing the bill again has shown.
func (b *besideBill) compared(found check.Report) {
	b.report.differences, b.report.days = found.Differences, found.Days
	for _, text := range found.Checked {
		b.report.rows = append(b.report.rows, reportRow{state: stateOK, text: text})
	}
	for _, d := range found.Differences {
		b.report.fail(bill.ErrReadings, "%v", d)
	}
	for _, day := range found.Days {
		if !day.Agree {
			b.report.fail(bill.ErrReadings, "day %s: the TTP has made the bill from other readings of it", day.Date)
		}
	}
	for _, text := range found.Unchecked {
		b.report.rows = append(b.report.rows, reportRow{state: stateSkipped, text: text})
	}
	for _, text := range found.Lacking {
		b.report.rows = append(b.report.rows, reportRow{state: stateSkipped, text: text + ": give --other"})
	}
}

// others checks how the bill stands to other bills of the meter.
func (b *besideBill) others() error {
	b.given = make(map[bill.Hash]check.Shown, len(b.verifyBill.others))
	hash := bill.HashOf(b.shown.jws)
	for _, file := range b.verifyBill.others {
		other, err := readShown(b.stdin, file, b.keys.bills)
		if err != nil {
			return fmt.Errorf("--other %w", err)
		}
		ok, err := b.ofMeter(other)
		if err != nil {
			return fmt.Errorf("--other %w", err)
		}
		if !ok {
			continue
		}
		if own := bill.HashOf(other.jws); own != hash {
			b.given[own] = b.placed(other)
		}
		if err := b.other(hash, other); err != nil {
			return err
		}
	}
	for _, named := range [...]struct{ what, hash, text string }{
		{"corrects", b.shown.Corrects, "it stands in the place of bill %s, which is not given"},
		{"carries", b.shown.Carries, "it counts a difference of bill %s, which is not given"},
	} {
		if h, err := bill.ParseHash(named.hash); err == nil && named.hash != "" {
			if _, ok := b.given[h]; !ok {
				b.report.skip(named.what, fmt.Sprintf(named.text+": give --other", named.hash))
			}
		}
	}
	if len(b.verifyBill.others) == 0 {
		b.report.skip("replaced", "whether a later bill stands in its place cannot be told from the bill: give later bills with --other")
	}
	return nil
}

// ofMeter tells whether another bill may be the same meter's: another meter's
// must count for nothing.
func (b *besideBill) ofMeter(other shownBill) (bool, error) {
	switch {
	case b.of == nil: // said of the bill itself
		return true, nil
	case other.document == nil:
		b.report.skip("subject", "whose the bill in "+other.file+" is takes its document, which has its salt")
		return true, nil
	}
	salt, err := other.salt()
	if err != nil {
		return false, fmt.Errorf("%s: %w", other.file, err)
	}
	if other.IsOf(salt, *b.of) != nil {
		b.report.fail(bill.ErrSubject, "the bill in %s is not of meter %v", other.file, b.of)
		return false, nil
	}
	return true, nil
}

// other compares the bill with another one of the meter.
func (b *besideBill) other(hash bill.Hash, other shownBill) error {
	overlap, err := b.overlaps(other)
	if err != nil {
		return err
	}
	corrected := bill.HashOf(other.jws)
	switch {
	case corrected == hash:
		b.report.skip("replaced", "the bill in "+other.file+" is this bill")
	case other.Corrects == hash.String():
		b.report.fail(bill.ErrReplaced, "the bill in %s stands in its place", other.file)
	case b.shown.Corrects == corrected.String():
		if other.From != b.shown.From || other.To != b.shown.To || other.TariffDigest != b.shown.TariffDigest {
			b.report.fail(bill.ErrPeriod, "it is to stand in the place of the bill in %s, which is of another period or tariff", other.file)
			return nil
		}
		b.report.ok("corrects", "it stands in the place of the bill in "+other.file)
	case overlap:
		b.report.fail(bill.ErrPeriod, "it shares time with the bill in %s, and neither corrects the other", other.file)
	case b.shown.Carries == corrected.String():
		b.report.ok("carries", "it counts a difference of the bill in "+other.file)
	default:
		b.report.ok("replaced", "the bill in "+other.file+" does not stand in its place")
	}
	return nil
}

func (b *besideBill) overlaps(other shownBill) (bool, error) {
	var at [4]time.Time
	var errs [2]error
	at[0], at[1], errs[0] = b.shown.times()
	at[2], at[3], errs[1] = other.times()
	return at[0].Before(at[3]) && at[2].Before(at[1]), errors.Join(errs[0], errs[1])
}
