package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/wattveil/wattveil/internal/grid"
)

// billing is the stage after the grid's own.
const billing = grid.Stage("billing")

// progress shows how far the demo is: on a terminal as a bar for each stage,
// elsewhere as a line for each stage, and more lines where a stage takes long.
// One goroutine uses it.
type progress struct {
	out      io.Writer
	terminal bool
	stage    grid.Stage
	bar      *progressbar.ProgressBar // nil between stages, and without a terminal
	told     time.Time
}

// tellEvery is the time between two lines of one stage.
const tellEvery = 10 * time.Second

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// at tells that done of total are done; of readings these are times at which
// all meters read, else meters.
func (p *progress) at(s grid.Stage, done, total int64) {
	if s != p.stage {
		p.begin(s, total)
	}
	switch {
	case p.bar != nil:
		_ = p.bar.Set64(done)
	case !p.terminal && time.Since(p.told) >= tellEvery:
		p.told = time.Now()
		fmt.Fprintf(p.out, "%s: %d of %d\n", s, done, total)
	}
}

func (p *progress) begin(s grid.Stage, total int64) {
	p.end()
	p.stage, p.told = s, time.Now()
	of := "meter"
	if s == grid.Reading {
		of = "time"
	}
	what := fmt.Sprintf("%s %s", s, count(total, of))
	if !p.terminal {
		fmt.Fprintln(p.out, what)
		return
	}
	p.bar = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(p.out),
		progressbar.OptionSetDescription(fmt.Sprintf("%-25s", what)),
		progressbar.OptionSetWidth(25),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	_ = p.bar.RenderBlank()
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}
