package transparency

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
)

const origin = "ttp.example/bills"

func entry(n int) Entry { return sha256.Sum256(fmt.Appendf(nil, "bill %d", n)) }

func entries(from, to int) (out []Entry) {
	for n := from; n < to; n++ {
		out = append(out, entry(n))
	}
	return out
}

func openLog(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(t.Context(), dir, origin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func openWitness(t *testing.T, dir string, l *Log) *Witness {
	t.Helper()
	key, err := l.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	w, err := OpenWitness(dir, "utility.example", origin, key)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func add(t *testing.T, l *Log, list []Entry) []uint64 {
	t.Helper()
	indices, err := l.Add(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	return indices
}

// cosign lets the witness look at the newest checkpoint.
func cosign(t *testing.T, l *Log, w *Witness) string {
	t.Helper()
	size, err := w.Size()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := l.Checkpoint(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := w.Cosign([]byte(signed.Text), size, signed.Consistency)
	if err != nil {
		t.Fatal(err)
	}
	return string(cosigned)
}

func prove(t *testing.T, l *Log, checkpoint string, indices ...uint64) []Proof {
	t.Helper()
	cp, _, _, err := log.ParseCheckpoint([]byte(checkpoint), origin, l.verifier)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := l.Inclusion(t.Context(), cp.Size, indices)
	if err != nil {
		t.Fatal(err)
	}
	proofs := make([]Proof, len(indices))
	for i, index := range indices {
		proofs[i] = Proof{Index: index, Hashes: hashes[i], Checkpoint: checkpoint}
	}
	return proofs
}

func keysOf(t *testing.T, l *Log, w *Witness) Keys {
	t.Helper()
	key, err := l.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return Keys{Origin: origin, Log: key, Witness: w.PublicKey()}
}

func TestEveryBillIsProven(t *testing.T) {
	l := openLog(t, t.TempDir())
	w := openWitness(t, t.TempDir(), l)
	first := add(t, l, entries(0, 300))
	cosign(t, l, w)
	indices := slices.Concat(first, add(t, l, entries(300, 777)))
	checkpoint := cosign(t, l, w)
	keys := keysOf(t, l, w)
	for n, p := range prove(t, l, checkpoint, indices...) {
		if err := p.Verify(entry(n), keys); err != nil {
			t.Fatalf("entry %d: %v", n, err)
		}
		if err := p.Verify(entry(n+1), keys); !errors.Is(err, ErrNotIncluded) {
			t.Fatalf("another bill with the proof of %d: %v", n, err)
		}
	}
}

func TestTheLogOutlivesAStop(t *testing.T) {
	dir, witnessDir := t.TempDir(), t.TempDir()
	l := openLog(t, dir)
	w := openWitness(t, witnessDir, l)
	before := add(t, l, entries(0, 5))
	cosign(t, l, w)
	keys := keysOf(t, l, w)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, dir)
	w = openWitness(t, witnessDir, l)
	after := add(t, l, entries(5, 9))
	if again := keysOf(t, l, w); again != keys {
		t.Errorf("keys changed: %v, were %v", again, keys)
	}
	if after[0] != before[4]+1 {
		t.Errorf("entries go on at %d after %d", after[0], before[4])
	}
	for _, p := range prove(t, l, cosign(t, l, w), before...) {
		if err := p.Verify(entry(int(p.Index)), keys); err != nil {
			t.Error(err)
		}
	}
}

func TestTwoLogsAreNotBothCosigned(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	w := openWitness(t, t.TempDir(), l)
	add(t, l, entries(0, 6))
	cosign(t, l, w)

	// The TTP shows another history under the same key.
	other := t.TempDir()
	copyKey(t, dir, other)
	forked := openLog(t, other)
	add(t, forked, entries(100, 109))
	signed, err := forked.Checkpoint(t.Context(), 6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Cosign([]byte(signed.Text), 6, signed.Consistency); !errors.Is(err, ErrInconsistent) || errors.Is(err, ErrForked) {
		t.Errorf("forked log, which is longer: %v", err)
	}

	// A shorter one, and one of the same size.
	for _, n := range []int{3, 6} {
		short := t.TempDir()
		copyKey(t, dir, short)
		rolled := openLog(t, short)
		add(t, rolled, entries(200, 200+n))
		signed, err := rolled.Checkpoint(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Cosign([]byte(signed.Text), 6, nil); !errors.Is(err, ErrInconsistent) || errors.Is(err, ErrForked) != (n == 6) {
			t.Errorf("log of %d other entries: %v", n, err)
		}
	}
	// What is proven from an earlier checkpoint does not pass for either.
	for _, l := range []*Log{l, forked} {
		add(t, l, entries(300, 301))
		signed, err := l.Checkpoint(t.Context(), 3)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Cosign([]byte(signed.Text), 3, signed.Consistency); !errors.Is(err, ErrOvertaken) {
			t.Errorf("proof from an earlier checkpoint: %v", err)
		}
	}
	// The honest log still goes on.
	add(t, l, entries(6, 8))
	cosign(t, l, w)
}

// What was overtaken is held against what was cosigned, too.
func TestFollows(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir)
	w := openWitness(t, t.TempDir(), l)
	add(t, l, entries(0, 6))
	early, err := l.Checkpoint(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, entries(6, 9))
	late := cosign(t, l, w)
	proof, err := l.Consistency(t.Context(), 6, 9)
	if err != nil {
		t.Fatal(err)
	}
	fork := func(n int) string {
		other := t.TempDir()
		copyKey(t, dir, other)
		forked := openLog(t, other)
		add(t, forked, entries(100, 100+n))
		signed, err := forked.Checkpoint(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return signed.Text
	}
	for name, c := range map[string]struct {
		overtaken string
		proof     [][]byte
		want      error
	}{
		"honest":         {early.Text, proof, nil},
		"the same":       {late, nil, nil},
		"proven twice":   {late, proof, nil},
		"unproven":       {early.Text, nil, ErrInconsistent},
		"a shorter fork": {fork(6), proof, ErrInconsistent},
		"a fork":         {fork(9), nil, ErrForked},
		"a longer fork":  {fork(12), nil, ErrInconsistent},
		"nobody's":       {strings.Replace(early.Text, "\n6\n", "\n7\n", 1), proof, ErrCheckpoint},
		"none":           {"", nil, ErrCheckpoint},
	} {
		if err := w.Follows([]byte(c.overtaken), c.proof); !errors.Is(err, c.want) || errors.Is(err, ErrForked) != (c.want == ErrForked) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// Checkpoints of one log fit together in either order, those of two do not.
func TestOneLog(t *testing.T) {
	dir, witnessDir := t.TempDir(), t.TempDir()
	l := openLog(t, dir)
	w := openWitness(t, witnessDir, l)
	keys := keysOf(t, l, w)
	open := func(text string) Checkpoint {
		t.Helper()
		c, err := keys.Open(text)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	add(t, l, entries(0, 5))
	early := open(cosign(t, l, w))
	add(t, l, entries(5, 12))
	late := open(cosign(t, l, w))
	newest, err := l.Checkpoint(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	copyKey(t, dir, other)
	forked := openLog(t, other)
	w2dir := t.TempDir()
	key, err := os.ReadFile(filepath.Join(witnessDir, witnessKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w2dir, witnessKey), key, 0o600); err != nil {
		t.Fatal(err)
	}
	add(t, forked, entries(100, 112))
	fork := open(cosign(t, forked, openWitness(t, w2dir, forked)))
	none := Checkpoint{}
	for name, c := range map[string]struct {
		a, b  Checkpoint
		proof [][]byte
		want  error
	}{
		"same":            {late, late, nil, nil},
		"rising":          {early, late, newest.Consistency, nil},
		"falling":         {late, early, newest.Consistency, nil},
		"from nothing":    {none, late, nil, nil},
		"no proof":        {early, late, nil, ErrUnproven},
		"fork":            {late, fork, nil, ErrForked},
		"fork with proof": {late, fork, newest.Consistency, ErrForked},
		"fork of another": {early, fork, newest.Consistency, ErrInconsistent},
		"changed proof":   {early, late, newest.Consistency[1:], ErrInconsistent},
		"far too long":    {early, late, make([][]byte, 1000), ErrInconsistent},
	} {
		if err := OneLog(c.a, c.b, c.proof); !errors.Is(err, c.want) || errors.Is(err, ErrForked) != (c.want == ErrForked) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	l := openLog(t, t.TempDir())
	w := openWitness(t, t.TempDir(), l)
	indices := add(t, l, entries(0, 4))
	good := prove(t, l, cosign(t, l, w), indices[2])[0]
	keys := keysOf(t, l, w)
	uncosigned, err := l.Checkpoint(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	strange := openLog(t, t.TempDir())
	strangeKeys := keysOf(t, strange, openWitness(t, t.TempDir(), strange))
	for name, c := range map[string]struct {
		change func(*Proof, *Keys)
		want   error
	}{
		"not cosigned":      {func(p *Proof, _ *Keys) { p.Checkpoint = uncosigned.Text }, ErrNotCosigned},
		"other witness":     {func(_ *Proof, k *Keys) { k.Witness = strangeKeys.Witness }, ErrNotCosigned},
		"other log":         {func(_ *Proof, k *Keys) { k.Log = strangeKeys.Log }, ErrCheckpoint},
		"other origin":      {func(_ *Proof, k *Keys) { k.Origin = "elsewhere" }, ErrCheckpoint},
		"no checkpoint":     {func(p *Proof, _ *Keys) { p.Checkpoint = "" }, ErrCheckpoint},
		"changed size":      {func(p *Proof, _ *Keys) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n4\n", "\n5\n", 1) }, ErrCheckpoint},
		"other index":       {func(p *Proof, _ *Keys) { p.Index = 1 }, ErrNotIncluded},
		"index past end":    {func(p *Proof, _ *Keys) { p.Index = 4 }, ErrNotIncluded},
		"changed hash":      {func(p *Proof, _ *Keys) { p.Hashes[0][0] ^= 1 }, ErrNotIncluded},
		"missing hash":      {func(p *Proof, _ *Keys) { p.Hashes = p.Hashes[1:] }, ErrNotIncluded},
		"far too many":      {func(p *Proof, _ *Keys) { p.Hashes = make([][]byte, 1000) }, ErrNotIncluded},
		"hash of no length": {func(p *Proof, _ *Keys) { p.Hashes[1] = nil }, ErrNotIncluded},
	} {
		p, k := good, keys
		p.Hashes = nil
		for _, h := range good.Hashes {
			p.Hashes = append(p.Hashes, slices.Clone(h))
		}
		c.change(&p, &k)
		if err := p.Verify(entry(2), k); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := good.Verify(entry(2), keys); err != nil {
		t.Error(err)
	}
}

func copyKey(t *testing.T, from, to string) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(from, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, keyFile), key, 0o600); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkAdd(b *testing.B) {
	l, err := Open(b.Context(), b.TempDir(), origin)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if _, err := l.Add(b.Context(), entries(n*1000, n*1000+1000)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "entries/s")
}
