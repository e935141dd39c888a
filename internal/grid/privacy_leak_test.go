package grid

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/tariff"
	"github.com/wattveil/wattveil/wire"
)

// plant is a leak and the pair of runs that must show it.
type plant struct {
	name  string
	world *world       // that of the test if nil
	vary  func(*world) // what the party may not learn
	extra func(*world) // done to both runs, after vary
	leak  leak
	view  func(*testing.T, *played) view
	where []string // sections that must differ
}

// TestPlantedLeaks shows that the comparisons of [TestPairedRuns] are worth
// something: with a leak in both runs each of them fails.
func TestPlantedLeaks(t *testing.T) {
	w := newWorld(t, 1, 2)
	t.Run("none", func(t *testing.T) { // or the others would prove nothing
		w := w.with(func(w *world) { w.trouble, w.outage = true, true })
		runs := play(t, w, w.with(otherLoads))
		mustEqual(t, utilityView(t, runs[0]), utilityView(t, runs[1]))
		plantInStores(t, runs...)
	})
	for _, l := range slices.Concat(leaksOfReadings(t), leaksOfPseudonyms(), leaksOfIdentities()) {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			base := cmp.Or(l.world, w)
			one, other := base.with(func(*world) {}), base.with(l.vary)
			for _, w := range []*world{one, other} {
				if l.extra != nil {
					l.extra(w)
				}
				w.leak = l.leak
			}
			runs := play(t, one, other)
			for _, where := range l.where {
				mustDiffer(t, l.view(t, runs[0]), l.view(t, runs[1]), where)
			}
		})
	}
}

// leaksOfReadings are leaks of readings to the collectors and the utility.
func leaksOfReadings(t *testing.T) []plant {
	return []plant{
		{
			name: "deltas of variable width", vary: otherLoads, view: utilityView,
			leak:  leak{link: newWideMeter, beforeTap: narrow},
			where: []string{"traffic collector meter", "traffic collector-1 utility", "queue collector-1", "files collector-1"},
		},
		{
			name: "a meter that sends when its load changes", vary: otherLoads, view: utilityView,
			leak:  leak{link: newQuietMeter},
			where: []string{"traffic collector meter", "traffic ttp utility"},
		},
		{
			name: "a reading in an error text of the TTP", vary: otherLoads, view: utilityView,
			leak:  leak{behindTap: explainWithReading},
			where: []string{"traffic ttp utility"}, // package peer keeps it out of the log
		},
		{
			name: "a reading in the logs of utility and TTP", vary: otherLoads,
			view: func(t *testing.T, p *played) view { return utilityView(t, p).merge(p.logsOf(TTPOrg)) },
			leak: leak{behindTap: logReadings}, where: []string{"log utility", "log ttp"},
		},
		{
			name: "a bill line more", vary: otherLoads, view: utilityView,
			extra: func(w *world) {
				var err error
				if w.terms, err = finer(w.terms); err != nil {
					t.Fatal(err)
				}
			},
			where: []string{"bills", "store utility.db bills", "traffic ttp utility"},
		},
		{
			name:  "the estimated energy in an answer and a log, a day on an invoice",
			world: newWorld(t, 1, 16).with(func(w *world) { w.late, w.bills = true, []int{7, 16} }), vary: otherLoads,
			view:  func(t *testing.T, p *played) view { return utilityView(t, p).merge(p.logsOf(TTPOrg)) },
			leak:  leak{behindTap: tellEstimates, invoice: printDay},
			where: []string{"traffic ttp utility", "log ttp", "invoices"},
		},
		{ // by design: spec/threats.md section 5
			name: "more than 65,535 Wh in an interval", vary: otherLoads, view: utilityView,
			extra: func(w *world) {
				w.loads = slices.Clone(w.loads)
				w.loads[2] = slices.Clone(w.loads[2])
				for k := range w.loads[2] {
					w.loads[2][k].imp *= 2
				}
			},
			where: []string{"traffic collector meter"},
		},
	}
}

// leaksOfPseudonyms are leaks of an-IDs to the collectors.
func leaksOfPseudonyms() []plant {
	return []plant{
		{
			name: "an an-ID in an error text of the utility", vary: otherPseudonyms, view: collectorsView,
			leak:  leak{behindTap: explainWithPseudonym},
			where: []string{"traffic collector-1 utility"},
		},
		{
			name: "downlinks in the order of an-IDs", vary: otherPseudonyms, view: collectorsView,
			leak: leak{behindTap: orderDownlinks}, where: []string{"traffic collector-"},
		},
	}
}

// leaksOfIdentities are leaks of ID_SM, collectors and customers to the TTP.
func leaksOfIdentities() []plant {
	var list []plant
	for _, l := range []struct {
		name string
		m    meddler
	}{
		{"messages in the order of collectors", groupByCollector},
		{"one request for each collector", splitByCollector},
		{"a collector's name in a header", nameCollector},
		{"the time of receipt in a request", tellReceipt},
		{"an ID_SM in a request", tellMeter},
		{"bills in the order of customers", billByCustomer},
	} {
		list = append(list, plant{
			name: l.name, vary: otherIdentities, view: ttpView,
			leak: leak{beforeTap: l.m}, where: []string{"traffic ttp utility"},
		})
	}
	return append(list, plant{ // by design: spec/threats.md section 5
		name: "a collector that hears no answer", vary: otherIdentities, view: ttpView,
		extra: func(w *world) { w.outage = true }, where: []string{"traffic ttp utility"},
	})
}

// plantInStores puts a reading where the stores of two runs would show it.
func plantInStores(t *testing.T, runs ...*played) {
	for _, p := range runs {
		reading := p.flowAt(0, p.start().Add(12*testResolution.Duration())).imp
		db, err := sql.Open("sqlite", "file:"+filepath.Join(p.dir, UtilityOrg, "utility.db"))
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{`PRAGMA journal_mode = DELETE`, `UPDATE meters SET last_time = last_time + ` + fmt.Sprint(reading)} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.dir, "collector-2", "notes"), make([]byte, reading), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, second := utilityView(t, runs[0]), utilityView(t, runs[1])
	mustDiffer(t, first, second, "store utility.db meters")
	mustDiffer(t, first, second, "files collector-2")
}

// explainWithReading has the TTP explain once why it cannot take a batch.
func explainWithReading(c *call) (int, []byte, error) {
	status, answer, err := c.send(c.body)
	if !c.is(TTPOrg, "POST /v1/messages") || !c.played.noon() {
		return status, answer, err
	}
	text := "unavailable:"
	for i := range worldHomes {
		text += fmt.Sprintf(" %d", c.played.flowAt(i, c.played.now()).imp)
	}
	return http.StatusServiceUnavailable, []byte(text), err
}

// logReadings has both servers write down what they have dealt with.
func logReadings(c *call) (int, []byte, error) {
	if c.is(TTPOrg, "POST /v1/messages") && c.played.noon() {
		for _, party := range []string{UtilityOrg, TTPOrg} {
			c.played.logger(party).Info("batch", "wh", c.played.flowAt(0, c.played.now()).imp, "more", c.played.flowAt(2, c.played.now()).imp)
		}
	}
	return c.send(c.body)
}

// finer is a tariff with one band cut in two, so that a bill has a line more.
func finer(terms *tariff.Tariff) (*tariff.Tariff, error) {
	text, err := terms.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var d tariff.Document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	first := &d.Energy.Windows[0]
	rest := *first
	first.Band, first.To, rest.From = "morning", "11:00", "11:00"
	d.Energy.Bands["morning"] = d.Energy.Bands[rest.Band]
	d.Energy.Windows = append(d.Energy.Windows, rest)
	return tariff.New(d)
}

// explainWithPseudonym has the utility explain once why it refuses a post.
func explainWithPseudonym(c *call) (int, []byte, error) {
	status, answer, err := c.send(c.body)
	if !c.is(UtilityOrg, "POST /v1/forward") || !c.played.noon() {
		return status, answer, err
	}
	in, err := wire.ParseForward(c.body)
	if err != nil {
		return 0, nil, err
	}
	_, id, err := wire.ParsePrefix(in.Frames[0])
	return http.StatusBadRequest, fmt.Appendf(nil, "malformed: message of %v", c.played.pseudonymOf(id)), err
}

// orderDownlinks sorts the downlinks of an answer by an-ID.
func orderDownlinks(c *call) (int, []byte, error) {
	status, answer, err := c.send(c.body)
	if err != nil || !c.is(UtilityOrg, "POST /v1/forward") {
		return status, answer, err
	}
	in, err := wire.ParseForward(c.body)
	if err != nil {
		return 0, nil, err
	}
	a, err := wire.ParseForwardAnswer(answer, len(in.Frames))
	if err != nil {
		return 0, nil, err
	}
	slices.SortStableFunc(a.Downlinks, func(x, y wire.Downlink) int {
		return cmp.Compare(c.played.pseudonymOf(x.ID), c.played.pseudonymOf(y.ID))
	})
	return status, a.Append(nil), nil
}

// homeOf is the household of a message under its an-ID.
func (w *world) homeOf(msg []byte) int {
	h, err := wire.ParseHeader(msg)
	if err != nil {
		panic(err)
	}
	return w.home(wattveil.Pseudonym(h.ID))
}

// batches sends the messages of a batch as the groups that cut makes of their
// positions, and gives the verdicts in the order of the batch.
func batches(c *call, cut func(messages [][]byte) [][]int) (int, []byte, error) {
	if !c.is(TTPOrg, "POST /v1/messages") {
		return c.send(c.body)
	}
	messages, err := wire.ParseMessages(c.body)
	if err != nil {
		return 0, nil, err
	}
	all := wire.MessageAnswer{Verdicts: make([]wire.Verdict, len(messages))}
	for _, group := range cut(messages) {
		picked := make([][]byte, len(group))
		for i, at := range group {
			picked[i] = messages[at]
		}
		status, answer, err := c.send(wire.AppendMessages(nil, picked))
		if err != nil || status != http.StatusOK {
			return status, answer, err
		}
		got, err := wire.ParseMessageAnswer(answer, len(group))
		if err != nil {
			return 0, nil, err
		}
		for i, at := range group {
			all.Verdicts[at] = got.Verdicts[i]
		}
		all.Receipts = append(all.Receipts, got.Receipts...)
	}
	slices.SortFunc(all.Receipts, func(a, b wire.PassedReceipt) int { return cmp.Compare(a.Pseudonym, b.Pseudonym) })
	return http.StatusOK, all.Append(nil), nil
}

// byCollector is the positions of messages, collector after collector.
func (w *world) byCollector(messages [][]byte) [][]int {
	groups := make([][]int, worldCollectors)
	for i, msg := range messages {
		c := w.place[w.homeOf(msg)]
		groups[c] = append(groups[c], i)
	}
	return slices.DeleteFunc(groups, func(g []int) bool { return len(g) == 0 })
}

func groupByCollector(c *call) (int, []byte, error) {
	return batches(c, func(messages [][]byte) [][]int { return [][]int{slices.Concat(c.played.byCollector(messages)...)} })
}

func splitByCollector(c *call) (int, []byte, error) { return batches(c, c.played.byCollector) }

// firstHome is the household of a batch's first message.
func (c *call) firstHome() (int, bool) {
	messages, err := wire.ParseMessages(c.body)
	if err != nil || len(messages) == 0 || !c.is(TTPOrg, "POST /v1/messages") {
		return 0, false
	}
	return c.played.homeOf(messages[0]), true
}

func nameCollector(c *call) (int, []byte, error) {
	if home, ok := c.firstHome(); ok {
		c.req.Header.Set("X-Collector", fmt.Sprintf("collector-%d", c.played.place[home]+1))
	}
	return c.send(c.body)
}

// tellReceipt tells when the first message came, by its collector's clock.
func tellReceipt(c *call) (int, []byte, error) {
	if home, ok := c.firstHome(); ok {
		c.req.URL.RawQuery = fmt.Sprintf("received=%d", c.played.now().Unix()+int64(c.played.place[home]))
	}
	return c.send(c.body)
}

func tellMeter(c *call) (int, []byte, error) {
	if home, ok := c.firstHome(); ok && c.played.noon() {
		c.req.URL.RawQuery = "meter=" + c.played.ids[home].String()
	}
	return c.send(c.body)
}

// billByCustomer asks for bills in the order of the utility's customers.
func billByCustomer(c *call) (int, []byte, error) {
	if !c.is(TTPOrg, "POST /v1/bills") {
		return c.send(c.body)
	}
	rising := slices.Sorted(slices.Values(c.played.pseudonyms))
	listed := make([]string, worldHomes)
	positions := make([]int, worldHomes)
	for to, from := range c.played.order {
		listed[to] = c.played.pseudonyms[from].String()
		positions[slices.Index(rising, c.played.pseudonyms[from])] = to
	}
	var asked map[string]any
	if err := json.Unmarshal(c.body, &asked); err != nil {
		return 0, nil, err
	}
	asked["an_ids"] = listed
	body, err := json.Marshal(asked)
	if err != nil {
		return 0, nil, err
	}
	status, answer, err := c.send(body)
	if err != nil {
		return status, answer, err
	}
	var got wire.BillsAnswer
	if err := json.Unmarshal(answer, &got); err != nil {
		return 0, nil, err
	}
	sorted := make([]wire.BillAnswer, len(positions))
	for i, at := range positions {
		sorted[i] = got.Bills[at]
	}
	got.Bills = sorted
	answer, err = json.Marshal(got)
	return status, answer, err
}
