package main

import (
	"fmt"
	"io"
	"time"
)

// statusLong ends the help of the commands status.
const statusLong = `

If no server runs in the folder, that is said ("running": false in JSON), and what
the folder holds is shown without what is counted since the start.`

// printStatus prints how a party does: what is known of its folder, and what its
// server has done since it was started. If started is nil none runs.
func (p *party) printStatus(out io.Writer, started *time.Time, known, did [][]string) error {
	if started == nil {
		fmt.Fprintf(out, "no server runs in %[1]s; start it with: wattveil %[2]s serve --dir %[1]s\n\n", p.dir, p.name)
		return printTable(out, known...)
	}
	rows := append(known, []string{"started", moment(started)})
	for _, row := range did {
		rows = append(rows, []string{row[0], row[1] + " since the start"})
	}
	return printTable(out, rows...)
}

// verdictRows are what was said on frames or messages.
func verdictRows(counts map[string]uint64) (rows [][]string) {
	for _, verdict := range []string{"durable", "later", "rekey", "never"} {
		rows = append(rows, []string{verdict, fmt.Sprint(counts[verdict])})
	}
	return rows
}
