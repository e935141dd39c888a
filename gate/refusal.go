package gate

import (
	"fmt"
	"strings"
	"time"
)

// Rule names a rule of the gate. Rules are themselves errors, for use with
// [errors.Is].
type Rule string

// The rules, in the order in which they are checked (spec/gate.md section 3).
const (
	TooOld           Rule = "too-old"
	NotOver          Rule = "not-over"
	Overlap          Rule = "overlap"
	CorrectsNothing  Rule = "corrects-nothing"
	CorrectedAlready Rule = "corrected-already"
	CorrectionEarly  Rule = "correction-early"
	CorrectionLate   Rule = "correction-late"
	TenancyEnded     Rule = "tenancy-ended"
	TariffEnded      Rule = "tariff-ended"
	Registered       Rule = "registered"
	BillsPerYear     Rule = "bills-per-year"
	Short            Rule = "short"
	ShortPerYear     Rule = "short-per-year"
	DemandAgain      Rule = "demand-again"
	DemandWindow     Rule = "demand-window"
	DemandCount      Rule = "demand-count"
	Quantities       Rule = "quantities"
	Price            Rule = "price"
	Reveal           Rule = "reveal"
)

var ruleTexts = map[Rule]string{
	TooOld:           "the period reaches back further than bills can be made or corrected",
	NotOver:          "the period is not over",
	Overlap:          "another bill tells of part of the period, and only a correction of that bill may",
	CorrectsNothing:  "no bill of this meter has this period and tariff, so nothing can be corrected",
	CorrectedAlready: "the bill was corrected before",
	CorrectionEarly:  "late readings may still come: it is too soon to correct the bill",
	CorrectionLate:   "the bill is too old to be corrected",
	TenancyEnded:     "a bill said that it is the last of the tenancy",
	TariffEnded:      "a bill said that it is the last under this tariff",
	Registered:       "the tariff was registered after the period began",
	BillsPerYear:     "there are too many bills in a year",
	Short:            "the period is too short, and neither the first nor the last of a tenancy or tariff",
	ShortPerYear:     "there are too many short bills in a year",
	DemandAgain:      "a demand figure of this window and month was told before",
	DemandWindow:     "the demand window holds too little time",
	DemandCount:      "there are too many demand figures in a month",
	Quantities:       "the bill would tell too many quantities",
	Price:            "a price is so high that its sum could spell out single quantities",
	Reveal:           "all answers together would tell too much of a short time",
}

// Error is the rule in words.
func (r Rule) Error() string {
	if text, ok := ruleTexts[r]; ok {
		return text
	}
	return "gate: rule " + string(r)
}

// Refusal says which rule a bill or a quantity of it fails. It holds no energy.
type Refusal struct {
	Rule     Rule
	Quantity string // where one quantity is refused
	From, To int64  // Unix seconds: the bill's period, or for Reveal the time that would be told
	Detail   string // limit and value, or empty
}

// Error is one line.
func (r *Refusal) Error() string {
	var b strings.Builder
	b.WriteString("gate: ")
	b.WriteString(string(r.Rule))
	if r.Quantity != "" {
		fmt.Fprintf(&b, " of %s", r.Quantity)
	}
	fmt.Fprintf(&b, ": %s: %s to %s", r.Rule.Error(), stamp(r.From), stamp(r.To))
	if r.Detail != "" {
		fmt.Fprintf(&b, " (%s)", r.Detail)
	}
	return b.String()
}

// Unwrap is the rule, so that errors.Is(err, gate.Overlap) holds.
func (r *Refusal) Unwrap() error { return r.Rule }

func stamp(t int64) string { return time.Unix(t, 0).UTC().Format(time.RFC3339) }
