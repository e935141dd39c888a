package source_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wattveil/wattveil/meter/source"
)

const file = `local_start,H1,H2
2026-01-01T00:00,0.250,1.2
2026-01-01T00:15,0.100,-0.35
2026-01-01T00:30,0,0.004
`

func ExampleReadCSV() {
	homes, err := source.ReadCSV(strings.NewReader(file), "homes.csv", source.CSVOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(homes)
	_, fedIn, _ := homes.Load("H2").Energy(homes.Start + 900)
	fmt.Println(int64(fedIn), "Wh; printed without a conversion:", fedIn)
	// Output:
	// homes.csv: 2 homes, 3 intervals of 15m0s from 2026-01-01T00:00:00Z
	// 350 Wh; printed without a conversion: [redacted]
}

func ExampleReadCSV_error() {
	broken := strings.Replace(file, "0.100", "0.10x", 1)
	_, err := source.ReadCSV(strings.NewReader(broken), "homes.csv", source.CSVOptions{})
	fmt.Println(err)
	// Output:
	// read homes.csv: line 3, column 2 (H1): is no number; write kWh as 0.123, with digits and one point only
}

func ExampleRegisters() {
	homes, err := source.ReadCSV(strings.NewReader(file), "homes.csv", source.CSVOptions{Columns: []string{"H2"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	registers := source.NewRegisters(homes.Load("H2"), homes.Resolution, homes.Start, 5000, 0)
	for t := homes.Start; ; t += int64(homes.Resolution) {
		reading, err := registers.At(t)
		if errors.Is(err, source.ErrEnded) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(uint64(reading.Import), uint64(reading.Export))
	}
	// Output:
	// 5000 0
	// 6200 0
	// 6200 350
	// 6204 350
}

func ExampleNewHousehold() {
	for n := range 4 {
		h := source.NewHousehold(2026, n, time.UTC, 900)
		_, _, ok := h.Energy(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).Unix())
		fmt.Println(h.Describe(), ok)
	}
	// Output:
	// 1 person, electric water heating true
	// 2 persons, electric water heating true
	// 2 persons true
	// 1 person true
}

func ExampleThen() {
	homes, err := source.ReadCSV(strings.NewReader(file), "homes.csv", source.CSVOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	household := source.NewHousehold(1, 0, time.UTC, homes.Resolution)
	load := source.Then(homes.Load("H1"), homes.End, household)
	_, _, ok := load.Energy(homes.End + 900)
	fmt.Println(ok)
	// Output: true
}
