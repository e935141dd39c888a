package grid

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/utility"
)

// view is what a party has seen, as lines in named sections, with all that the
// specification calls random or ciphertext replaced by its length.
type view map[string][]string

func (v view) add(section, format string, args ...any) {
	v[section] = append(v[section], fmt.Sprintf(format, args...))
}

// merge takes over the sections of others.
func (v view) merge(others ...view) view {
	for _, o := range others {
		for name, lines := range o {
			v[name] = append(v[name], lines...)
		}
	}
	return v
}

// differences compares line by line and names the first difference of each
// section.
func differences(a, b view) []string {
	names := make(map[string]bool)
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	var out []string
	for name := range names {
		x, y := a[name], b[name]
		for i := range max(len(x), len(y)) {
			one, other := lineAt(x, i), lineAt(y, i)
			if one != other {
				out = append(out, fmt.Sprintf("%s: line %d of %d and %d:\n  %s\n  %s", name, i+1, len(x), len(y), one, other))
				break
			}
		}
	}
	sort.Strings(out)
	return out
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

func mustEqual(t *testing.T, a, b view) {
	t.Helper()
	if len(a) == 0 {
		t.Fatal("the view is empty")
	}
	for _, d := range differences(a, b) {
		t.Error(d)
	}
}

// mustDiffer demands a difference in a section whose name begins with where.
func mustDiffer(t *testing.T, a, b view, where string) {
	t.Helper()
	found := differences(a, b)
	for _, d := range found {
		if strings.HasPrefix(d, where) {
			t.Log("found", d)
			return
		}
	}
	t.Errorf("the planted leak is not seen in %q; differences: %q", where, found)
}

// collectorsView is what collectors and outsiders on the meter network see.
func collectorsView(t *testing.T, p *played) view {
	v := make(view).merge(p.queues, p.counts.only("counts collector"))
	p.traffic(v, func(from, to string) bool { return from != TTPOrg && to != TTPOrg })
	for i := range worldCollectors {
		name := fmt.Sprintf("collector-%d", i+1)
		p.logs(v, name)
		p.files(t, v, name)
	}
	return v
}

// utilityView is what the utility and its collectors see.
func utilityView(t *testing.T, p *played) view {
	v := collectorsView(t, p).merge(p.counts.only("counts utility"))
	p.traffic(v, func(from, to string) bool { return from == TTPOrg || to == TTPOrg })
	p.logs(v, UtilityOrg)
	p.files(t, v, UtilityOrg)
	p.database(t, v, UtilityOrg, "utility.db")
	p.invoices(t, v)
	for _, b := range p.billed {
		v.add("bills", "%s %s to %s: import %s export %s, %v, total %s %s, %s",
			b.Pseudonym, b.From, b.To, b.ImportKWh, b.ExportKWh, b.Lines, b.Total, b.Currency, plainJWS(b.JWS))
	}
	return v
}

// ttpView is what the TTP sees.
func ttpView(t *testing.T, p *played) view {
	v := make(view).merge(p.stored, p.counts.only("counts ttp"))
	p.traffic(v, func(from, to string) bool { return from == TTPOrg || to == TTPOrg })
	p.logs(v, TTPOrg)
	p.files(t, v, TTPOrg)
	p.database(t, v, TTPOrg, "ttp.db")
	return v
}

func (v view) only(prefix string) view {
	out := make(view)
	for name, lines := range v {
		if strings.HasPrefix(name, prefix) {
			out[name] = lines
		}
	}
	return out
}

// traffic adds the messages of each connection in their order, with the
// platform's time.
func (p *played) traffic(v view, sees func(from, to string) bool) {
	asked := make(map[string][]byte) // last request of a connection
	for _, r := range p.records {
		if !sees(r.From, r.To) {
			continue
		}
		ends := []string{r.From, r.To}
		sort.Strings(ends)
		connection := strings.Join(ends, " ")
		at := r.Time.Sub(p.start())
		if r.From == "meter" || r.To == "meter" {
			v.add("traffic "+connection+" "+r.Route, "%v %s to %s: %s", at, r.From, r.To, plainFrame(r.Body))
			continue
		}
		if r.Status == 0 {
			asked[connection] = r.Body
		}
		v.add("traffic "+connection, "%v %s to %s %s %d %s: %s", at, r.From, r.To, r.Route, r.Status,
			plainHeader(r.Header), plainBody(r.Route, r.Status, r.Body, asked[connection]))
	}
}

// logs adds a party's lines, those of one time in alphabetical order, without
// what the engines of the stores tell a developer about their own work.
func (p *played) logs(v view, party string) {
	var lines []string
	for _, l := range p.lines {
		if l.party != party || strings.HasPrefix(l.text, `level=DEBUG msg="engine of the `) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %s", l.at.UTC().Format("2006-01-02T15:04:05"), l.text))
	}
	sort.Strings(lines)
	v["log "+party] = append(v["log "+party], lines...)
}

// files lists a party's folder. The length of a certificate varies with its
// signature.
func (p *played) files(t *testing.T, v view, party string) {
	t.Helper()
	root := filepath.Join(p.dir, party)
	var engineLogs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if isEngineLog(path) {
			engineLogs = append(engineLogs, path)
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		size := fmt.Sprintf("%d bytes", info.Size())
		switch {
		case d.IsDir(), strings.HasSuffix(name, ".crt"):
			size = "-"
		case name == "roster":
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			v.add("files "+party, "roster: %s", plainRoster(content))
		}
		v.add("files "+party, "%s %v %s", name, info.Mode(), size)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v.engineLogs(t, "files "+party, root, engineLogs)
}

// database adds every table of a party's registry, row by row in the order in
// which the database gives them, with each value's type.
func (p *played) database(t *testing.T, v view, party, file string) {
	t.Helper()
	db := p.openDatabase(t, party, file)
	var tables []string
	for _, row := range queryAll(t, db, `SELECT type, name, sql FROM sqlite_master ORDER BY type, name`) {
		v.add("store "+file, "%v", row)
		if row[0].value == "table" {
			tables = append(tables, row[1].value.(string))
		}
	}
	for _, table := range tables {
		for _, row := range queryAll(t, db, fmt.Sprintf(`SELECT * FROM %q`, table)) {
			var cells []string
			for _, c := range row {
				cells = append(cells, c.column+"="+plainCell(file, c))
			}
			v.add("store "+file+" "+table, "%s", strings.Join(cells, " "))
		}
	}
}

// openDatabase opens a party's registry without touching it.
func (p *played) openDatabase(t *testing.T, party, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(p.dir, party, file)+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// cell is a value of a database as it lies there.
type cell struct {
	column string
	value  any
}

func queryAll(t *testing.T, db *sql.DB, query string) [][]cell {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]cell
	for rows.Next() {
		row, ptrs := make([]cell, len(columns)), make([]any, len(columns))
		for i, c := range columns {
			row[i].column, ptrs[i] = c, &row[i].value
		}
		if err := rows.Scan(ptrs...); err != nil {
			t.Fatal(err)
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// lookIntoQueues notes what collectors hold between two posts.
func (p *played) lookIntoQueues() error {
	for _, c := range p.grid.collectors {
		items, err := c.queue.Items(0, 1<<20, 1<<30)
		if err != nil {
			return err
		}
		for _, item := range items {
			p.queues.add("queue "+c.name, "%v %d of %v: %s", p.now().Sub(p.start()), item.Seq, item.ID, plainFrame(item.Frame))
		}
	}
	return nil
}

// look notes what can be seen while the parties run only: the TTP's readings
// and what the roles count.
func (p *played) look(ctx context.Context) error {
	g := p.grid
	if p.compact {
		if err := g.store().Compact(ctx); err != nil {
			return err
		}
	}
	for _, c := range g.collectors {
		kept, discarded := c.queue.Quarantined()
		p.counts.add("counts "+c.name, "%+v, %d quarantined, %d discarded", c.role.Stats(), kept, discarded)
	}
	p.counts.add("counts utility", "%v", g.utilityRole().Refused())
	p.counts.add("counts ttp", "%v", g.ttpRole().Refused())
	var err error
	if p.kept, _, err = g.utilityRole().Bills(ctx, utility.BillQuery{Limit: 1000}); err != nil {
		return err
	}
	if p.keys, err = g.ttpRole().BillKeys(); err != nil {
		return err
	}
	pseudonyms := slices.Clone(p.pseudonyms)
	slices.Sort(pseudonyms)
	for _, name := range pseudonyms {
		if err := p.lookAtReadings(ctx, wattveil.Meter{UC: g.ttpRole().NumberOf(UtilityOrg), Pseudonym: name}); err != nil {
			return err
		}
	}
	return nil
}

func (p *played) lookAtReadings(ctx context.Context, m wattveil.Meter) error {
	store := p.grid.store()
	folded, err := store.Read(ctx, m, 0, 1<<32-1)
	if err != nil {
		return err
	}
	section := "readings " + m.String()
	for _, run := range folded.Runs {
		for _, r := range run.Readings {
			p.stored.add(section, "series %d at %d: import %d export %d status %d",
				run.Series, r.Time, uint64(r.Import), uint64(r.Export), uint16(r.Status))
		}
	}
	for _, c := range folded.Conflicts {
		p.stored.add(section, "conflict in series %d at %d", c.Series, c.Kept.Time)
	}
	for epoch := range wattveil.Epoch(16) {
		last, any, err := store.LastCounter(ctx, m, epoch)
		if err != nil {
			return err
		}
		if !any {
			continue
		}
		for counter := range last + 1 {
			digests, err := store.Digests(ctx, m, epoch, counter)
			if err != nil {
				return err
			}
			p.stored.add(section, "epoch %d counter %d: %d digests", epoch, counter, len(digests))
		}
	}
	return nil
}
