package gate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Quantity is one number that a bill would tell: a sum of energies over its
// period, each with its weight. What follows from other quantities of the bill,
// such as a line's amount from its energy and price, is none.
type Quantity struct {
	Name string // 1 to 64 bytes, such as "import peak"; for refusals
	// Priced: its weights are prices of a kWh in units of 10^-8 of the
	// currency. Else they are 0, 1 or -1.
	Priced bool
	// Required: without it there is no bill. Others are left out where they
	// would tell too much, in the order in which they stand from the last.
	Required bool
}

// Class is a set of weights, one for each quantity of the bill. A missing list
// is all zero.
type Class struct {
	Import, Export []int64
}

// Span is a stretch of the period in which every interval has one class. It
// starts where the one before ends.
type Span struct {
	End   int64 // Unix seconds
	Class int   // place in Classes
}

// Answers is what a bill would tell, for a meter without gaps. An interval
// belongs to the span in which it starts, so spans begin on the meter's grid.
type Answers struct {
	From       int64 // start of the period; the last span ends it
	Decimals   int   // of the currency's minor unit
	Quantities []Quantity
	Classes    []Class
	Spans      []Span
}

// Limits of a shape.
const (
	maxQuantities = 64
	maxSpans      = 1 << 17
	maxClasses    = 1<<16 - 1
	maxTime       = 1 << 33
	maxPrice      = 1_000_000 * 100_000_000
	maxName       = 64
	maxPeriod     = 800 * secondsPerDay
)

// Digest names a shape: SHA-256 of "wattveil1 gate shape" and its bytes.
type Digest [sha256.Size]byte

// String is 64 hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// run is a stretch with one class.
type run struct {
	end   int64
	class int
}

// class is exact weights, one list a channel.
type class [channels][]*big.Rat

// The channels of a meter.
const (
	imports = iota
	exports
	channels
)

// Shape is what a bill tells, in exact weights over registers. It is immutable
// and safe for concurrent use. It holds no energy, but that of a meter with
// gaps holds ratios of energies, and is as private as readings.
type Shape struct {
	gate       *Gate // that made it; nil if it was parsed
	from, to   int64 // period
	lo         int64 // start of the first run: from, or where a gap begins before
	decimals   int
	quantities []Quantity // of a parsed shape only their number is known
	classes    []class    // by first use
	runs       []run      // neighbours differ
	// group numbers, per channel and class, classes with equal weights, by
	// first use from 1; 0 are those with none.
	group  [channels][]int
	bytes  []byte
	digest Digest
	alone  verdict // on a meter on which nothing else overlaps
}

// Format prints the period only: the weights of a meter with gaps are private.
func (s Shape) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "shape of %s to %s", stamp(s.from), stamp(s.to))
}

// From is the start of the period.
func (s *Shape) From() int64 { return s.from }

// To is the end of the period.
func (s *Shape) To() int64 { return s.to }

// Quantities names what the shape tells, in order. A parsed shape has no names.
func (s *Shape) Quantities() []string {
	names := make([]string, len(s.quantities))
	for i, q := range s.quantities {
		names[i] = q.Name
	}
	return names
}

// Digest names the shape.
func (s *Shape) Digest() Digest { return s.digest }

// Bytes is the shape's encoding, for [ParseShape] (spec/gate.md section 6). The
// caller must not change it.
func (s *Shape) Bytes() []byte { return s.bytes }

func (s *Shape) hi() int64 { return s.runs[len(s.runs)-1].end }

// NewShape checks what a bill would tell and prepares it. It is made once for a
// tariff and period, and takes milliseconds where prices change every hour. More
// quantities than any setting allows are a [*Refusal].
func (g *Gate) NewShape(a Answers) (*Shape, error) {
	if n := len(a.Quantities); n > maxQuantities && len(a.Spans) > 0 {
		return nil, &Refusal{Rule: Quantities, From: a.From, To: a.Spans[len(a.Spans)-1].End, Detail: fmt.Sprintf("%d, at most %d", n, g.s.Quantities)}
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("gate: answers: %w", err)
	}
	to := a.Spans[len(a.Spans)-1].End
	s := &Shape{gate: g, from: a.From, to: to, lo: a.From, decimals: a.Decimals}
	s.quantities = append([]Quantity(nil), a.Quantities...)
	weights := make([]class, len(a.Classes))
	for i, c := range a.Classes {
		weights[i] = class{rats(c.Import, len(a.Quantities)), rats(c.Export, len(a.Quantities))}
	}
	runs := make([]run, len(a.Spans))
	for i, span := range a.Spans {
		runs[i] = run{span.End, span.Class}
	}
	if err := s.settle(weights, runs); err != nil {
		return nil, err
	}
	s.alone = g.judge(s, nil)
	return s, nil
}

func rats(weights []int64, n int) []*big.Rat {
	out := make([]*big.Rat, n)
	for i := range out {
		out[i] = new(big.Rat)
		if i < len(weights) {
			out[i].SetInt64(weights[i])
		}
	}
	return out
}

func (a *Answers) check() error {
	switch {
	case len(a.Quantities) < 1 || len(a.Quantities) > maxQuantities:
		return fmt.Errorf("%d quantities, want 1 to %d", len(a.Quantities), maxQuantities)
	case len(a.Spans) < 1 || len(a.Spans) > maxSpans:
		return fmt.Errorf("%d spans, want 1 to %d", len(a.Spans), maxSpans)
	case a.Decimals < 0 || a.Decimals > 8:
		return fmt.Errorf("minor unit of %d decimals, want 0 to 8", a.Decimals)
	case a.From < 0:
		return errors.New("period begins before 1970")
	}
	at := a.From
	for i, s := range a.Spans {
		if s.End <= at || s.End > maxTime || s.End-a.From > maxPeriod {
			return fmt.Errorf("span %d ends at %d, want above %d and at most %d days after the period's start", i, s.End, at, maxPeriod/secondsPerDay)
		}
		if s.Class < 0 || s.Class >= len(a.Classes) {
			return fmt.Errorf("span %d is of class %d of %d", i, s.Class, len(a.Classes))
		}
		at = s.End
	}
	for i, c := range a.Classes {
		if err := a.weights(c); err != nil {
			return fmt.Errorf("class %d: %w", i, err)
		}
	}
	for i, q := range a.Quantities {
		if len(q.Name) < 1 || len(q.Name) > maxName {
			return fmt.Errorf("quantity %d has a name of %d bytes, want 1 to %d", i, len(q.Name), maxName)
		}
	}
	return nil
}

func (a *Answers) weights(c Class) error {
	for _, list := range [...][]int64{c.Import, c.Export} {
		if len(list) != 0 && len(list) != len(a.Quantities) {
			return fmt.Errorf("%d weights for %d quantities", len(list), len(a.Quantities))
		}
		for i, w := range list {
			most := int64(1)
			if a.Quantities[i].Priced {
				most = maxPrice
			}
			if w > most || w < -most {
				return fmt.Errorf("weight %d of %s is beyond %d", w, a.Quantities[i].Name, most)
			}
		}
	}
	return nil
}

// settle gives the shape its classes and runs in canonical form: classes in the
// order of their first use and all different, neighbouring runs of different
// class; and with them groups, bytes and digest.
func (s *Shape) settle(weights []class, runs []run) error {
	names := make([]string, len(weights)) // keys of classes, made when first used
	place := make(map[string]int)
	for _, r := range runs {
		if names[r.class] == "" {
			names[r.class] = weights[r.class].key()
		}
		k, ok := place[names[r.class]]
		if !ok {
			k = len(s.classes)
			place[names[r.class]] = k
			s.classes = append(s.classes, weights[r.class])
		}
		if n := len(s.runs); n > 0 && s.runs[n-1].class == k {
			s.runs[n-1].end = r.end
		} else {
			s.runs = append(s.runs, run{r.end, k})
		}
	}
	if len(s.classes) > maxClasses || len(s.runs) > maxSpans {
		return fmt.Errorf("gate: shape has %d classes and %d runs, at most %d and %d", len(s.classes), len(s.runs), maxClasses, maxSpans)
	}
	s.regroup()
	s.bytes = s.encode()
	s.digest = digestOf(s.bytes)
	return nil
}

// regroup numbers the classes with equal weights in each channel.
func (s *Shape) regroup() {
	for ch := range s.group {
		place := make(map[string]int)
		s.group[ch] = make([]int, len(s.classes))
		for i, c := range s.classes {
			k := 0
			if !zero(c[ch]) {
				var ok bool
				key := keyOf(c[ch])
				if k, ok = place[key]; !ok {
					k = len(place) + 1
					place[key] = k
				}
			}
			s.group[ch][i] = k
		}
	}
}

func zero(weights []*big.Rat) bool {
	for _, w := range weights {
		if w.Sign() != 0 {
			return false
		}
	}
	return true
}

func (c class) key() string { return keyOf(c[imports]) + "|" + keyOf(c[exports]) }

func keyOf(weights []*big.Rat) string {
	var b strings.Builder
	for _, w := range weights {
		b.WriteString(w.RatString())
		b.WriteByte(' ')
	}
	return b.String()
}

// keep is the shape that tells only some of its quantities.
func (s *Shape) keep(quantities []int) *Shape {
	if len(quantities) == len(s.quantities) {
		return s
	}
	out := &Shape{gate: s.gate, from: s.from, to: s.to, lo: s.lo, decimals: s.decimals}
	for _, q := range quantities {
		out.quantities = append(out.quantities, s.quantities[q])
	}
	weights := make([]class, len(s.classes))
	for i, c := range s.classes {
		for ch := range c {
			for _, q := range quantities {
				weights[i][ch] = append(weights[i][ch], c[ch][q])
			}
		}
	}
	// It has no more classes and runs than s, so it settles.
	_ = out.settle(weights, s.runs)
	return out
}

// encode writes the layout of spec/gate.md section 6.
func (s *Shape) encode() []byte {
	b := []byte{shapeVersion}
	b = appendTime(b, s.lo)
	b = appendTime(b, s.from)
	b = appendTime(b, s.to)
	b = append(b, byte(len(s.quantities)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.classes)))
	for _, c := range s.classes {
		for _, weights := range c {
			for _, w := range weights {
				b = appendRat(b, w)
			}
		}
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.runs)))
	at := s.lo
	for _, r := range s.runs {
		b = binary.BigEndian.AppendUint32(b, uint32(r.end-at))
		b = binary.BigEndian.AppendUint16(b, uint16(r.class))
		at = r.end
	}
	return b
}
