package portal

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/consumer"
	"github.com/wattveil/wattveil/export"
	"github.com/wattveil/wattveil/tariff"
)

// Exports gives all that is known of meters' energy, a piece at a time. What is
// given may not be kept.
type Exports interface {
	Intervals(ctx context.Context, m wattveil.Meter, from, to time.Time, each func(*consumer.Interval) error) error
	Readings(ctx context.Context, m wattveil.Meter, from, to time.Time, each func(wattveil.Series, wattveil.Reading) error) error
}

var exportPage = page{name: "export", texts: texts{
	"title":          {"Export", "Export"},
	"lead":           {"Take your data with you. A file has all that is known of these days at your meter's own resolution, and nothing that tells whose it is: no name, no meter number, no number that two files have in common.", "Nehmen Sie Ihre Daten mit. Eine Datei enthält alles, was von diesen Tagen bekannt ist, so fein wie Ihr Zähler misst, und nichts, was verrät, von wem es ist: keinen Namen, keine Zählernummer, keine Nummer, die zwei Dateien gemeinsam haben."},
	"from":           {"First day", "Erster Tag"},
	"to":             {"Last day", "Letzter Tag"},
	"format":         {"Form", "Form"},
	"download":       {"Download", "Herunterladen"},
	"csv":            {"Table (CSV)", "Tabelle (CSV)"},
	"csv-t":          {"For spreadsheets, and for checking bills.", "Für Tabellenkalkulationen und zum Prüfen von Rechnungen."},
	"registers":      {"Meter registers (CSV)", "Zählerstände (CSV)"},
	"registers-t":    {"The registers as they came, before anything was estimated.", "Die Zählerstände, wie sie kamen, bevor etwas geschätzt wurde."},
	"json":           {"JSON", "JSON"},
	"json-t":         {"For programs. With costs.", "Für Programme. Mit Kosten."},
	"parquet":        {"Parquet", "Parquet"},
	"parquet-t":      {"For data analysis. With costs.", "Für Datenanalysen. Mit Kosten."},
	"green-button":   {"Green Button (XML)", "Green Button (XML)"},
	"green-button-t": {"For energy services that read ESPI. With costs and bills.", "Für Energiedienste, die ESPI lesen. Mit Kosten und Rechnungen."},
	"notes":          {"Good to know", "Gut zu wissen"},
	"note-missing":   {"What is missing is left out, never written as zero. What is estimated is marked: quality 8 or 9.", "Was fehlt, ist ausgelassen und nie als Null geschrieben. Geschätztes ist gekennzeichnet: Qualität 8 oder 9."},
	"note-cost":      {"Costs are those of energy, without standing charges, fees and taxes. A credit is a negative cost.", "Kosten sind die der Energie, ohne Grundpreis, Abgaben und Steuern. Eine Gutschrift ist negativ."},
	"note-careful":   {"The file tells when you were at home. Whoever gets it can read that.", "Die Datei verrät, wann Sie zu Hause waren. Wer sie bekommt, kann das lesen."},
}}

// exportFormat is a form that is offered.
type exportFormat struct {
	Name, Hint string // as addresses have it and keys of texts
	file, kind string
}

// registers is the form that is not one of intervals.
const registers = "registers"

// exportFormats are the forms in the order of the page.
var exportFormats = []exportFormat{
	{"csv", "csv-t", "csv", "text/csv; charset=utf-8"},
	{"green-button", "green-button-t", "xml", "application/atom+xml"},
	{"json", "json-t", "json", "application/json"},
	{"parquet", "parquet-t", "parquet", "application/vnd.apache.parquet"},
	{registers, "registers-t", "csv", "text/csv; charset=utf-8"},
}

const mostExportDays = 3660

type exportView struct {
	From, To string
	Formats  []exportFormat
}

// exportForm offers this year so far.
func exportForm(v *visit) error {
	zone, err := v.s.cfg.TTP.Zone(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	now := v.s.cfg.Now().In(zone)
	return v.render(200, &exportPage, exportView{
		From: time.Date(now.Year(), 1, 1, 12, 0, 0, 0, zone).Format(dateForm), To: now.Format(dateForm), Formats: exportFormats,
	})
}

// exportFile sends a file while it is made.
func exportFile(v *visit) error {
	q := v.r.URL.Query()
	form, err := parseFormat(q)
	if err != nil {
		return err
	}
	zone, err := v.s.cfg.TTP.Zone(v.r.Context(), v.meter.Name)
	if err != nil {
		return err
	}
	days, err := parseDays(q, zone, mostExportDays)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("wattveil-%s-%s-%s.%s", form.Name, days.from.Format(dateForm), days.last().Format(dateForm), form.file)
	return v.download(form.kind, name, func(out io.Writer) error {
		return v.inTurn(func() error {
			if form.Name == registers {
				return v.writeRegisters(out, days.from, days.to)
			}
			return v.exportIntervals(out, export.Format(form.Name), days)
		})
	})
}

func parseFormat(q url.Values) (exportFormat, error) {
	for _, f := range exportFormats {
		if f.Name == q.Get("format") {
			return f, nil
		}
	}
	return exportFormat{}, badRequest{"format", text{"csv, green-button, json, parquet or registers", "csv, green-button, json, parquet oder registers"}}
}

func (v *visit) exportIntervals(out io.Writer, f export.Format, days dayRange) error {
	u, err := v.s.cfg.TTP.Use(v.r.Context(), v.meter.Name, consumer.Query{From: days.from, To: days.to, Step: consumer.Month})
	if err != nil {
		return err
	}
	header := export.Header{
		From: days.from, To: days.to, Zone: u.Zone, Seconds: max(1, int64(u.Resolution)), Currency: u.Currency, Feeds: u.Total.Export > 0, Made: v.s.cfg.Now(),
	}
	if f == export.FormatGreenButton {
		if header.Bills, err = v.billsWithin(days); err != nil {
			return err
		}
	}
	w, err := export.New(f, out, header)
	if err != nil {
		return err
	}
	if err := v.s.cfg.TTP.Intervals(v.r.Context(), v.meter.Name, days.from, days.to, w.Write); err != nil {
		return err
	}
	return w.Close()
}

// billsWithin are the bills that hold of periods within some days.
func (v *visit) billsWithin(days dayRange) (list []export.Bill, err error) {
	all, err := v.s.cfg.TTP.Bills(v.r.Context(), v.meter.Name)
	if err != nil {
		return nil, err
	}
	for i := range all {
		b := &all[i]
		if b.From.Before(days.from) || b.To.After(days.to) || correctionOf(b, all) != nil {
			continue
		}
		out := export.Bill{From: b.From, To: b.To, Currency: b.Content.Currency, Told: b.Content.ImportKWh != ""}
		if out.Total, err = tariff.ParseDecimal(b.Content.Total); err != nil {
			return nil, err
		}
		if out.Told {
			if out.Import, err = tariff.ParseDecimal(b.Content.ImportKWh); err != nil {
				return nil, err
			}
		}
		list = append(list, out)
	}
	return list, nil
}

// writeRegisters writes the registers from one time to another, both included.
func (v *visit) writeRegisters(out io.Writer, from, to time.Time) error {
	w, err := export.NewRegisters(out)
	if err != nil {
		return err
	}
	return v.s.cfg.TTP.Readings(v.r.Context(), v.meter.Name, from, to, w.Write)
}
