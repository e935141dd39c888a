package check

import (
	"fmt"

	"github.com/wattveil/wattveil/bill"
	"github.com/wattveil/wattveil/rating"
)

// carried is the difference that a bill counts for an earlier one: what that
// would say now, less what it said. The chain ends, because a bill names
// another by the hash of its text.
func (c *recomputation) carried(b bill.Bill) ([]rating.Energy, error) {
	if b.Carries == "" {
		return nil, nil
	}
	hash, err := bill.ParseHash(b.Carries)
	if err != nil {
		return nil, err
	}
	earlier, ok := c.Others[hash]
	if !ok {
		return nil, fmt.Errorf("%w: the bill counts a difference of bill %s, which is not given", ErrCannot, b.Carries)
	}
	now, err := c.now(earlier.Bill)
	if err != nil {
		return nil, fmt.Errorf("the bill whose difference is counted: %w", err)
	}
	said, err := energies(earlier.Bill)
	if err != nil {
		return nil, fmt.Errorf("the bill whose difference is counted: %w", err)
	}
	difference := make([]rating.Energy, 0, len(now))
	for _, e := range now {
		s := said[e.Band]
		difference = append(difference, rating.Energy{Band: e.Band, Import: e.Import - s.Import, Export: e.Export - s.Export})
	}
	return difference, nil
}

// now is the energy by band that an earlier bill would tell now.
func (c *recomputation) now(earlier bill.Bill) ([]rating.Energy, error) {
	if earlier.TariffDigest != c.Bill.TariffDigest {
		return nil, fmt.Errorf("it is by another tariff, %s", earlier.Tariff)
	}
	g, err := gridOf(earlier)
	if err != nil {
		return nil, err
	}
	edited, err := c.Readings.edit(g, Options(c.Tariff))
	if err != nil {
		return nil, err
	}
	carry, err := c.carried(earlier)
	if err != nil {
		return nil, err
	}
	rated, err := priced(c.request(g, edited.filled, carry))
	return rated.Energy, err
}

// energies are what a bill says of each band.
func energies(b bill.Bill) (map[string]rating.Energy, error) {
	sums := make(map[string]rating.Energy)
	for _, l := range b.Lines {
		if l.Kind != rating.KindImport && l.Kind != rating.KindExport {
			continue
		}
		wh, err := rating.ParseKWh(l.Quantity)
		if err != nil {
			return nil, fmt.Errorf("the energy of %s: %w", l.Label(), err)
		}
		e := sums[l.Band]
		if l.Kind == rating.KindImport {
			e.Import += wh
		} else {
			e.Export += wh
		}
		sums[l.Band] = e
	}
	return sums, nil
}
