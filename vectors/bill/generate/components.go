package main

import (
	"crypto/sha256"
	"strings"

	vectors "github.com/wattveil/wattveil/vectors/bill"
)

// seriesDigest is a digest of a price series.
func seriesDigest() string {
	sum := sha256.Sum256([]byte("the price series of the vectors"))
	return b64(sum[:])
}

// tiered is a line of a tier.
func tiered(l line, tier int) line {
	l.tier = tier
	return l
}

// components is a bill with lines of every kind.
func components() content {
	c := march()
	c.tax = ""
	c.lines = []line{
		tiered(imports("flat", "100.000", "0.0933"), 1),
		tiered(imports("flat", "110.407", "0.0747"), 2),
		{kind: "import", band: "spot", quantity: "33.100", unit: "kWh", series: seriesDigest(), amount: "-1.17"},
		exports("flat", "2.000", "0.08"),
		{kind: "export", band: "spot", quantity: "12.004", unit: "kWh", series: seriesDigest(), amount: "0.30"},
		{kind: "standing", quantity: "1", unit: "month", price: "15.91"},
		{kind: "grid", name: "meter", quantity: "31", unit: "day", price: "0.11"},
		{kind: "grid", name: "network", quantity: "243.507", unit: "kWh", price: "0.0921"},
		{kind: "levy", name: "renewables", quantity: "243.507", unit: "kWh", price: "0.023"},
		{kind: "demand", name: "flat", month: "2018-03", minutes: 15, quantity: "4.100", unit: "kW", price: "7.76"},
		{kind: "demand", name: "peak", month: "2018-03", minutes: 60, note: "longer-interval+ratchet", quantity: "2.000", unit: "kW", price: "5", tier: 1},
		{kind: "demand", name: "peak", month: "2018-03", minutes: 60, note: "longer-interval+ratchet", quantity: "1.250", unit: "kW", price: "9.5", tier: 2},
		{kind: "minimum", quantity: "1", unit: "month", price: "150"},
		{kind: "credit", name: "climate", quantity: "1", unit: "month", price: "12.50"},
	}
	c.taxes = []line{
		{name: "city", price: "0.05", on: "import,grid,demand"},
		{name: "vat", price: "0.081"},
	}
	return c
}

// partOfMonths ends and starts in the middle of a month.
func partOfMonths() content {
	c := march()
	c.tax = ""
	c.from, c.to = "2018-03-15T00:00:00+01:00", "2018-04-11T00:00:00+02:00"
	c.lines = []line{
		imports("all", "90.000", "0.20"),
		{kind: "standing", quantity: "0.88172043", unit: "month", price: "15.91"},
		{kind: "demand", name: "all", month: "2018-03", minutes: 30, quantity: "4.100", unit: "kW", price: "7.76", share: "0.54838710"},
		{kind: "demand", name: "all", month: "2018-04", minutes: 30, note: "ratchet", quantity: "3.280", unit: "kW", price: "7.76", share: "0.33333333"},
	}
	return c
}

// withheld is a bill that tells amounts and not the energy that they are for.
func withheld() content {
	c := march()
	c.lines = []line{
		{kind: "import", band: "spot", unit: "kWh", series: seriesDigest(), amount: "61.17", withheld: "reveal"},
		{kind: "export", band: "spot", unit: "kWh", series: seriesDigest(), amount: "-3.08", withheld: "quantities"},
		{kind: "grid", name: "network", quantity: "243.507", unit: "kWh", price: "0.0921"},
	}
	return c
}

// goodComponents must be accepted.
func goodComponents(k key) []vectors.Bill {
	return []vectors.Bill{
		{Name: "components", Why: "lines of every kind: tiers, price series with a negative cost, fees, demand, a minimum, a credit, two taxes", JWS: k.sign(components().payload())},
		{Name: "withheld", Why: "with hourly prices the amount alone is told, and so no sum of the energies", JWS: k.sign(withheld().payload())},
		{Name: "part-of-months", Why: "27 days of two months: a number of months with decimals, and shares of demand", JWS: k.sign(partOfMonths().payload())},
	}
}

// badComponents must be refused.
func badComponents(k key) []vectors.Bill {
	var bills []vectors.Bill
	add := func(payload string, edits []edit) {
		for _, e := range edits {
			if strings.Count(payload, e.old) != 1 {
				panic("the place of " + e.name + " is not there once: " + e.old)
			}
			bills = append(bills, vectors.Bill{Name: e.name, Why: e.why, Class: e.class, JWS: k.sign(strings.Replace(payload, e.old, e.new, 1))})
		}
	}
	add(components().payload(), []edit{
		{"tier-text", "member", "a tier that is a string", `"quantity":"100.000","tier":1`, `"quantity":"100.000","tier":"1"`},
		{"tier-zero", "canonical", "a tier 0, which is left out", `"kind":"standing","price":"15.91","quantity":"1","unit"`, `"kind":"standing","price":"15.91","quantity":"1","tier":0,"unit"`},
		{"tier-high", "field", "a tier that no tariff has", `"quantity":"100.000","tier":1`, `"quantity":"100.000","tier":11`},
		{"tier-on-fee", "field", "a tier of a standing charge", `"kind":"standing","price":"15.91","quantity":"1"`, `"kind":"standing","price":"15.91","quantity":"1","tier":1`},
		{"tier-missing", "lines", "the first tier has no number", `"quantity":"100.000","tier":1`, `"quantity":"100.000"`},
		{"tiers-swapped", "lines", "tiers in falling order", `"quantity":"2.000","tier":1,"unit":"kW"`, `"quantity":"2.000","tier":3,"unit":"kW"`},
		{"series-and-price", "field", "a price beside a series", `"quantity":"33.100","series"`, `"price":"0.2","quantity":"33.100","series"`},
		{"price-missing", "field", "neither a price nor a series", `"price":"0.0747",`, ``},
		{"series-short", "field", "a digest of another length", `"quantity":"33.100","series":"`, `"quantity":"33.100","series":"AAAA`},
		{"series-for-nothing", "amount", "no energy, and a cost", `"amount":"-1.17","band":"spot","kind":"import","quantity":"33.100"`, `"amount":"-1.17","band":"spot","kind":"import","quantity":"0.000"`},
		{"name-missing", "field", "a levy without a name", `"name":"renewables",`, ``},
		{"name-on-standing", "field", "a standing charge with a name", `"kind":"standing"`, `"kind":"standing","name":"meter"`},
		{"name-twice", "lines", "two grid fees of one name", `"name":"network"`, `"name":"meter"`},
		{"month-outside", "field", "a month that the period does not touch", `"month":"2018-03","name":"flat"`, `"month":"2018-04","name":"flat"`},
		{"month-on-fee", "field", "a month on a levy", `"kind":"levy"`, `"kind":"levy","month":"2018-03"`},
		{"minutes-missing", "field", "demand over no time", `"minutes":15,`, ``},
		{"note-unknown", "field", "a note that is not known", `"minutes":15,"month":"2018-03","name":"flat"`, `"minutes":15,"month":"2018-03","name":"flat","note":"at 18:15"`},
		{"share-of-all", "field", "a share of 1, which is left out", `"quantity":"4.100","unit"`, `"quantity":"4.100","share":"1.00000000","unit"`},
		{"energy-by-month", "field", "energy is counted in months", `"quantity":"33.100","series":"` + seriesDigest() + `","unit":"kWh"`, `"quantity":"33.100","series":"` + seriesDigest() + `","unit":"month"`},
		{"whole-with-decimals", "field", "a whole month with decimals", `"kind":"standing","price":"15.91","quantity":"1"`, `"kind":"standing","price":"15.91","quantity":"1.00000000"`},
		{"too-many-months", "standing", "more months than the period has", `"amount":"15.91","kind":"standing","price":"15.91","quantity":"1"`, `"amount":"31.82","kind":"standing","price":"15.91","quantity":"2"`},
		{"demand-amount", "amount", "one centime too much", `"amount":"31.82","kind":"demand"`, `"amount":"31.83","kind":"demand"`},
		{"minimum-amount", "amount", "a minimum that does not count what is due already", `"kind":"minimum","price":"150"`, `"kind":"minimum","price":"151"`},
		{"minimum-not-due", "amount", "a minimum below what is due already", `"kind":"minimum","price":"150"`, `"kind":"minimum","price":"50"`},
		{"credit-costs", "amount", "a credit that raises the bill", `"amount":"-12.50"`, `"amount":"12.50"`},
		{"tax-kinds", "tax", "a tax names other kinds than it is on", `"on":"import,grid,demand"`, `"on":"import,grid"`},
		{"tax-kind-unknown", "field", "a tax on a kind that there is not", `"on":"import,grid,demand"`, `"on":"import,gift"`},
		{"tax-kinds-order", "field", "kinds out of order", `"on":"import,grid,demand"`, `"on":"grid,import,demand"`},
		{"tax-on-tax", "field", "a tax on a tax", `"on":"import,grid,demand"`, `"on":"import,tax"`},
		{"tax-name-missing", "lines", "one of two taxes has no name", `"kind":"tax","name":"vat"`, `"kind":"tax"`},
	})
	add(withheld().payload(), []edit{
		{"withheld-rule", "field", "withheld for a reason that is no rule of the gate", `"withheld":"reveal"`, `"withheld":"secret"`},
		{"withheld-empty", "canonical", "a reason that is empty", `"withheld":"reveal"`, `"withheld":""`},
		{"withheld-and-told", "field", "a quantity is withheld and told", `"amount":"61.17","band":"spot","kind":"import"`, `"amount":"61.17","band":"spot","kind":"import","quantity":"210.000"`},
		{"withheld-price", "field", "a quantity is withheld where a price is known", `"series":"` + seriesDigest() + `","unit":"kWh","withheld":"reveal"`, `"price":"0.20","unit":"kWh","withheld":"reveal"`},
		{"withheld-fee", "field", "the energy of a fee is withheld", `"price":"0.0921","quantity":"243.507","unit":"kWh"`, `"price":"0.0921","unit":"kWh","withheld":"reveal"`},
		{"withheld-sum", "energy", "the sum of what is withheld is told", `"intervals"`, `"import_kwh":"210.000","intervals"`},
	})
	add(partOfMonths().payload(), []edit{
		{"months-too-many", "standing", "a hundred-millionth of a month too much", `"0.88172043"`, `"0.88172044"`},
		{"share-missing", "standing", "the whole of a month of which the period has a part", `"quantity":"3.280","share":"0.33333333"`, `"quantity":"3.280"`},
		{"share-decimals", "field", "a share with two decimals", `"0.33333333"`, `"0.33"`},
	})
	return bills
}
