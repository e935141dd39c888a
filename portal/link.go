package portal

import (
	"context"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
)

// Links lets others look at time ranges of meters.
type Links interface {
	AddLink(ctx context.Context, m wattveil.Meter, token consumer.TokenHash, l consumer.Link) error
	Links(ctx context.Context, m wattveil.Meter) ([]consumer.Link, error)
	Revoke(ctx context.Context, m wattveil.Meter, ref string) error
	Linked(ctx context.Context, token consumer.TokenHash) (wattveil.Meter, consumer.Link, error)
}

var sharedPage = page{name: "shared", texts: texts{
	"title":     {"Shared use", "Geteilter Verbrauch"},
	"lead":      {"Somebody has shared the use of one meter over these days with you. You see this and nothing else of it.", "Jemand teilt den Verbrauch eines Zählers in diesen Tagen mit Ihnen. Sie sehen das und sonst nichts davon."},
	"ends":      {"The link ends on %s.", "Der Link gilt bis %s."},
	"import":    {"From the grid", "Bezug"},
	"export":    {"To the grid", "Einspeisung"},
	"estimated": {"%s of it is estimated: readings are missing, and only the sum over the gap was measured.", "%s davon sind geschätzt: Messwerte fehlen, und nur die Summe über die Lücke ist gemessen."},
	"missing":   {"For %s nothing is known. This is not drawn as zero.", "Für %s ist nichts bekannt. Das ist nicht als Null gezeichnet."},
	"nothing":   {"There are no readings of these days.", "Von diesen Tagen gibt es keine Messwerte."},
	"chart":     {"Energy over time", "Energie über die Zeit"},
}}

// linkTimes are how long a link may hold.
var linkTimes = []linkTime{{1, "lasts-1"}, {7, "lasts-7"}, {30, "lasts-30"}, {90, "lasts-90"}}

type linkTime struct {
	Days int
	Text string // key
}

// addLink makes a link and shows it once.
func addLink(v *visit) error {
	if err := v.needConfirmed(); err != nil {
		return err
	}
	zone, err := v.s.cfg.TTP.Zone(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	days, err := parseDays(url.Values{"from": {v.r.PostFormValue("from")}, "to": {v.r.PostFormValue("to")}}, zone, consumer.LinkDays)
	if err != nil {
		return err
	}
	lasts, err := parseLasts(v.r.PostFormValue("lasts"))
	if err != nil {
		return err
	}
	token := consumer.NewToken()
	err = v.s.cfg.TTP.AddLink(v.r.Context(), v.meter.Name, token.Hash(), consumer.Link{From: days.from, To: days.to, Ends: v.s.cfg.Now().Add(lasts)})
	if err != nil {
		return err
	}
	return v.showPrivacy(v.s.URL() + "/shared/" + base64.RawURLEncoding.EncodeToString(token[:]))
}

func parseLasts(given string) (time.Duration, error) {
	for _, l := range linkTimes {
		if given == strconv.Itoa(l.Days) {
			return time.Duration(l.Days) * 24 * time.Hour, nil
		}
	}
	return 0, badRequest{"lasts", text{"1, 7, 30 or 90 days", "1, 7, 30 oder 90 Tage"}}
}

func revokeLink(v *visit) error {
	if err := v.s.cfg.TTP.Revoke(v.r.Context(), v.meter.Name, v.r.PostFormValue("ref")); err != nil {
		return err
	}
	return v.redirect("/m/" + v.meter.Ref + "/privacy#links")
}

type sharedView struct {
	Title     string
	Ends      string
	Use       consumer.Use
	Chart     chart
	Any       bool
	Estimated string
	Missing   string
}

// shared shows a range to whoever has its link.
func shared(v *visit) error {
	m, l, days, err := v.linked()
	if err != nil {
		return err
	}
	p := days.period()
	u, err := v.s.cfg.TTP.Use(v.r.Context(), m, consumer.Query{From: l.From, To: l.To, Step: p.step()})
	if err != nil {
		return err
	}
	bare(&u)
	shown := sharedView{Title: days.title(v.locale), Ends: v.locale.date(l.Ends.In(u.Zone)), Use: u, Chart: v.chartOf(p, &u, nil, false), Any: u.Total.Known()}
	shown.Chart.Source = v.r.URL.Path + "/use.json"
	if u.Total.Estimated > 0 {
		shown.Estimated = v.locale.kWh(int64(u.Total.EstimatedImport))
	}
	if u.Total.Missing > 0 {
		shown.Missing = v.duration(time.Duration(u.Total.Missing) * time.Second)
	}
	return v.render(200, &sharedPage, shown)
}

// sharedJSON answers the chart's data: of the whole range, or of a part of it.
func sharedJSON(v *visit) error {
	m, l, days, err := v.linked()
	if err != nil {
		return err
	}
	asked := consumer.Query{From: l.From, To: l.To, Step: days.period().step()}
	if q := v.r.URL.Query(); q.Get("from") != "" || q.Get("to") != "" {
		if asked, err = parseZoom(q); err != nil {
			return err
		}
		asked.From, asked.To = later(asked.From, l.From), earlier(asked.To, l.To)
		if !asked.From.Before(asked.To) {
			return badRequest{"from", text{"a time within the shared range", "eine Zeit im geteilten Zeitraum"}}
		}
		asked.Step = zoomStep(asked.To.Unix() - asked.From.Unix())
	}
	u, err := v.s.cfg.TTP.Use(v.r.Context(), m, asked)
	if err != nil {
		return err
	}
	bare(&u)
	return v.writeJSON(200, dataOf(&u, nil, false))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// linked is what the path's token lets its bearer see.
func (v *visit) linked() (m wattveil.Meter, l consumer.Link, days dayRange, err error) {
	var token consumer.Token
	raw, err := base64.RawURLEncoding.Strict().DecodeString(v.r.PathValue("token"))
	if err != nil || len(raw) != len(token) {
		return m, l, days, consumer.LinkOver
	}
	copy(token[:], raw)
	if m, l, err = v.s.cfg.TTP.Linked(v.r.Context(), token.Hash()); err != nil {
		return m, l, days, err
	}
	zone, err := v.s.cfg.TTP.Zone(v.r.Context(), m)
	return m, l, dayRange{l.From.In(zone), l.To.In(zone)}, err
}

// bare leaves nothing of a use but its energy: neither tariff nor costs.
func bare(u *consumer.Use) {
	u.Tariff, u.Currency, u.Bands = "", "", nil
	strip := func(b *consumer.Bucket) {
		b.Costed = false
		b.Shares = []consumer.Share{{Band: consumer.NoBand, Import: b.Import, Export: b.Export}}
	}
	for i := range u.Buckets {
		strip(&u.Buckets[i])
	}
	strip(&u.Total)
}
