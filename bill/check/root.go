package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wattveil/wattveil/bill"
)

// Opening opens the readings_root of a bill: the bill's secret, and the leaf
// hashes of its days where the TTP has told them. They say on which day
// readings differ; the root alone says only that they do.
type Opening struct {
	Secret bill.Secret
	Leaves []bill.Hash // may be empty
}

// maxOpening bounds the written form; a period of bills is at most some years.
const maxOpening = 256 << 10

// ParseOpening reads a secret as [bill.Secret.Text] writes it, or a JSON object
// of "secret" and, if they are known, "leaves".
func ParseOpening(data []byte) (Opening, error) {
	if len(data) > maxOpening {
		return Opening{}, fmt.Errorf("bill secret: %d bytes, at most %d are allowed", len(data), maxOpening)
	}
	text := strings.TrimSpace(string(data))
	if !strings.HasPrefix(text, "{") {
		secret, err := bill.ParseSecret(text)
		return Opening{Secret: secret}, err
	}
	var in struct {
		Leaves []bill.Hash `json:"leaves"`
		Secret string      `json:"secret"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return Opening{}, fmt.Errorf(`bill secret: want the secret, or a JSON object of "secret" and "leaves": %w`, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Opening{}, errors.New("bill secret: there is text after the object")
	}
	secret, err := bill.ParseSecret(in.Secret)
	return Opening{Secret: secret, Leaves: in.Leaves}, err
}

// root compares the readings_root, and where its leaves are known, each day.
func (c *recomputation) root(e edited) {
	if c.Opening == nil {
		c.skip("readings root: that the TTP has made the bill from these readings takes the bill's secret")
		return
	}
	days := bill.NewDays(c.Tariff.Zone(), c.grid.from, c.grid.to)
	var root bill.Intervals
	root.Start(days, c.Opening.Secret)
	for _, i := range e.intervals {
		root.Add(i.Interval, uint8(i.Quality))
	}
	leaves, err := root.Leaves()
	if err != nil {
		c.differ(Difference{Member: "readings_root", Bill: c.Bill.ReadingsRoot, Why: err.Error()})
		return
	}
	if got := bill.RootOf(leaves).String(); got != c.Bill.ReadingsRoot {
		c.differ(Difference{Member: "readings_root", Bill: c.Bill.ReadingsRoot, Computed: got})
	} else {
		c.agree("readings root: the TTP has made the bill from exactly these readings")
	}
	c.leaves(days, leaves)
}

// leaves compares the days with the leaves that the TTP has told, if these are
// the bill's.
func (c *recomputation) leaves(days bill.Days, computed []bill.Hash) {
	told := c.Opening.Leaves
	switch {
	case len(told) == 0:
		return
	case len(told) != days.Len() || bill.RootOf(told).String() != c.Bill.ReadingsRoot:
		c.differ(Difference{Member: "leaves", Bill: c.Bill.ReadingsRoot, Computed: bill.RootOf(told).String(), Why: "the leaves given are not this bill's"})
		return
	}
	for i := range days.Len() {
		c.report.Days = append(c.report.Days, Day{Date: days.Date(i), Agree: told[i] == computed[i]})
	}
}
