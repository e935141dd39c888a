package invoice

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// Lengths on paper, in mm; A4 is 210 by 297.
const (
	margin    = 20.0
	width     = 210.0 - 2*margin
	bottom    = 297.0 - 22.0
	lineMM    = 5.0
	barMM     = 5.6
	columnsMM = 28.0
	pageMM    = 25.0 // for the number of the page
)

// colour is of ink.
type colour [3]int

var (
	ink    = colour{0x1b, 0x24, 0x30}
	soft   = colour{0x5b, 0x67, 0x76}
	rule   = colour{0xd8, 0xde, 0xe6}
	wash   = colour{0xf2, 0xf5, 0xf9}
	debit  = colour{0x7c, 0x96, 0xb8}
	own    = colour{0x1f, 0x5f, 0xa8}
	credit = colour{0x2e, 0x8b, 0x62}
)

// paper draws a sheet.
type paper struct {
	*fpdf.Fpdf
	s *sheet
}

// fileName is that of the signed bill that comes with an invoice.
const fileName = "bill.json"

// PDF is the invoice as a PDF of A4 pages, with the signed bill as an attached
// file. Its date is the end of the bill's period, so that the same invoice is
// the same file.
func (l *Language) PDF(v *Invoice) ([]byte, error) {
	if err := CheckURL(v.URL); err != nil {
		return nil, fmt.Errorf("page that checks bills: %w", err)
	}
	s, err := l.sheet(v)
	if err != nil {
		return nil, err
	}
	end, err := periodOf(v.Bill)
	if err != nil {
		return nil, err
	}
	p := &paper{fpdf.New("P", "mm", "A4", ""), s}
	p.SetCreationDate(end.to.UTC())
	p.SetModificationDate(end.to.UTC())
	p.SetCatalogSort(true)
	p.SetTitle(s.Title+" – "+s.Facts[0][1], true)
	p.SetAuthor(strings.Join(v.Sender[:min(1, len(v.Sender))], ""), true)
	p.SetLang(s.Lang)
	p.SetAttachments([]fpdf.Attachment{{Content: s.Check.File, Filename: fileName, Description: s.Check.Attached}})
	p.AddUTF8FontFromBytes("go", "", goregular.TTF)
	p.AddUTF8FontFromBytes("go", "B", gobold.TTF)
	p.SetMargins(margin, margin, margin)
	p.SetCellMargin(0)
	p.SetAutoPageBreak(false, 0)
	p.AliasNbPages("")
	p.SetFooterFunc(p.footer)
	p.draw()
	var out bytes.Buffer
	if err := p.Output(&out); err != nil {
		return nil, fmt.Errorf("invoice as PDF: %w", err)
	}
	return out.Bytes(), nil
}

func (p *paper) draw() {
	p.AddPage()
	p.addresses()
	p.top()
	p.table()
	p.notes()
	p.bars()
	p.columns()
	p.check()
}

// ink sets font and colour.
func (p *paper) ink(style string, size float64, c colour) {
	p.SetFont("go", style, size)
	p.SetTextColor(c[0], c[1], c[2])
}

func (p *paper) fill(c colour, x, y, w, h float64) {
	p.SetFillColor(c[0], c[1], c[2])
	p.Rect(x, y, w, h, "F")
}

func (p *paper) line(c colour, weight float64) {
	p.SetDrawColor(c[0], c[1], c[2])
	p.SetLineWidth(weight)
	p.Line(margin, p.GetY(), margin+width, p.GetY())
}

// text writes in a box without wrapping; what is too long is cut to fit.
func (p *paper) text(x, w float64, align, text string) {
	text = drawn(text)
	if p.GetStringWidth(text) > w {
		runes := []rune(text)
		for len(runes) > 1 && p.GetStringWidth(string(runes)+"…") > w {
			runes = runes[:len(runes)-1]
		}
		text = string(runes) + "…"
	}
	p.SetX(x)
	p.CellFormat(w, lineMM, text, "", 0, align, false, 0, "")
}

// room begins a page if the rest of this one is too short.
func (p *paper) room(height float64) bool {
	if p.GetY()+height <= bottom {
		return false
	}
	p.AddPage()
	p.SetY(margin)
	return true
}

func (p *paper) footer() {
	p.SetY(-15)
	p.ink("", 8, soft)
	p.text(margin, width-pageMM, "L", p.s.Title+" · "+p.s.Facts[0][1])
	// The number of pages takes the place of the longer alias.
	p.SetX(margin + width - pageMM + p.GetStringWidth("{nb}") - p.GetStringWidth("1"))
	p.CellFormat(pageMM, lineMM, fmt.Sprintf(p.s.page, p.PageNo()), "", 0, "R", false, 0, "")
}

// addresses puts the customer where windows of envelopes are.
func (p *paper) addresses() {
	p.SetY(margin)
	for i, l := range p.s.Sender {
		style, c := "", soft
		if i == 0 {
			style, c = "B", ink
		}
		p.ink(style, 9, c)
		p.text(margin, width, "R", l)
		p.Ln(4.2)
	}
	from := p.GetY()
	if len(p.s.Customer) > 0 {
		p.SetY(50)
		p.ink("", 10.5, ink)
		for _, l := range p.s.Customer {
			p.text(margin, 90, "L", l)
			p.Ln(lineMM)
		}
		from = max(from, 88)
	}
	p.SetY(from + 8)
}

// top is the title, the facts, and what is to be paid.
func (p *paper) top() {
	p.ink("B", 17, ink)
	p.text(margin, width, "L", p.s.Title)
	p.Ln(11)
	y := p.GetY()
	const box = 58.0
	p.fill(wash, margin+width-box, y, box, 19)
	p.SetY(y + 2.5)
	p.ink("", 9, soft)
	p.text(margin+width-box+4, box-8, "R", p.s.TotalLabel)
	p.SetY(y + 9.5)
	p.ink("B", 16, ink)
	p.text(margin+width-box+4, box-8, "R", p.s.TotalMoney)
	p.SetY(y)
	for _, f := range p.s.Facts {
		p.ink("", 9, soft)
		p.text(margin, 38, "L", f[0])
		room := width - 38
		if p.GetY() < y+19 {
			room -= box + 4
		}
		p.fact(margin+38, room, f[1])
	}
	p.SetY(max(p.GetY(), y+19) + 6)
}

// fact writes a text of which nothing may be cut: where it is too long for its
// line it is smaller, or takes more lines.
func (p *paper) fact(x, w float64, text string) {
	text = drawn(text)
	const size, least = 9.0, 7.0
	for now := size; now >= least; now -= 0.5 {
		p.ink("", now, ink)
		if p.GetStringWidth(text) <= w {
			p.text(x, w, "L", text)
			p.Ln(lineMM)
			return
		}
	}
	p.ink("", size, ink)
	if slices.ContainsFunc(strings.Fields(text), func(word string) bool { return p.GetStringWidth(word) > w }) {
		p.ink("", least, ink)
	}
	for _, line := range p.SplitText(text, w) {
		p.text(x, w, "L", strings.TrimSpace(line))
		p.Ln(lineMM)
	}
}

// stops are where the columns of the table begin and how wide they are.
var stops = [4][2]float64{{margin, 74}, {margin + 74, 34}, {margin + 108, 36}, {margin + 144, 26}}

func (p *paper) cells(cells [4]string) {
	for i, c := range cells {
		align := "R"
		if i == 0 {
			align = "L"
		}
		p.text(stops[i][0], stops[i][1], align, c)
	}
	p.Ln(lineMM)
}

func (p *paper) table() {
	head := func() {
		p.ink("", 8.5, soft)
		p.cells(p.s.Heads)
		p.line(rule, 0.2)
		p.Ln(1)
	}
	head()
	for _, r := range p.s.Rows {
		p.ink("", 8, soft)
		details := p.SplitText(drawn(r.Detail), 140)
		if p.room(lineMM + 2 + 4*float64(len(details))) {
			head()
		}
		p.ink("", 9.5, ink)
		p.cells([4]string{r.Item, r.Quantity, r.Price, r.Amount})
		p.ink("", 8, soft)
		for _, d := range details {
			p.SetY(p.GetY() - 0.8)
			p.text(margin, 140, "L", d)
			p.Ln(4.6)
		}
		p.Ln(0.5)
		p.line(rule, 0.2)
		p.Ln(0.5)
	}
	p.room(lineMM + 3)
	p.Ln(0.5)
	p.ink("B", 10, ink)
	p.cells([4]string{p.s.SumLabel, "", "", p.s.Sum})
	p.Ln(0.5)
	p.line(ink, 0.4)
}

func (p *paper) heading(text string, needs float64) {
	if !p.room(needs + 14) {
		p.Ln(7)
	}
	p.ink("B", 11, ink)
	p.text(margin, width, "L", text)
	p.Ln(7)
}

func (p *paper) notes() {
	for i, n := range p.s.Notes {
		if i == 0 {
			p.heading(p.s.NotesTitle, 10)
		}
		p.ink("", 9.5, ink)
		n = drawn(n)
		p.room(lineMM * float64(len(p.SplitText(n, width))))
		p.MultiCell(width, lineMM, n, "", "L", false)
		p.Ln(1)
	}
}

// bars draws the bill's lines from left to right.
func (p *paper) bars() {
	p.heading(p.s.Lines.Title, barMM*float64(len(p.s.Lines.Bars)))
	const label, value = 62.0, 26.0
	const scale = (width - label - value) / 100
	for _, b := range p.s.Lines.Bars {
		p.ink("", 9, ink)
		p.text(margin, label-3, "L", b.Label)
		p.text(margin+width-value, value, "R", b.Value)
		p.fill(b.ink(true), margin+label+b.Start*scale, p.GetY()+0.7, max(b.Size*scale, 0.2), lineMM-1.4)
		p.Ln(barMM)
	}
}

func (b *bar) ink(strong bool) colour {
	switch {
	case b.Credit:
		return credit
	case strong:
		return own
	default:
		return debit
	}
}

// columns draws totals of bills beside each other.
func (p *paper) columns() {
	if len(p.s.History.Bars) == 0 {
		return
	}
	p.heading(p.s.History.Title, columnsMM+12)
	n := float64(len(p.s.History.Bars))
	each := min(width/n, 24)
	y := p.GetY()
	for i, b := range p.s.History.Bars {
		x := margin + float64(i)*each
		high := max(b.Size*columnsMM/100, 0.2)
		p.fill(b.ink(b.Own), x+each*0.12, y+columnsMM-b.Start*columnsMM/100-high, each*0.76, high)
		style := ""
		if b.Own {
			style = "B"
		}
		p.SetY(y + columnsMM + 0.5)
		p.ink(style, 7, ink)
		p.text(x, each, "C", b.Value)
		p.SetY(y + columnsMM + 4)
		p.ink("", 7, soft)
		p.text(x, each, "C", b.Label)
	}
	p.SetY(y + columnsMM + 10)
}

// check draws the code beside the text that says what it is.
func (p *paper) check() {
	c := p.s.Check
	size := c.CodeMM
	p.heading(c.Title, max(size, 30))
	y := p.GetY()
	at := margin
	if c.Code != nil {
		p.RegisterImageOptionsReader("code", fpdf.ImageOptions{ImageType: "PNG"}, bytes.NewReader(c.Code))
		p.ImageOptions("code", margin, y, size, size, false, fpdf.ImageOptions{ImageType: "PNG"}, 0, c.Target)
		at += size + 8
	}
	p.SetLeftMargin(at)
	p.SetXY(at, y+2)
	p.ink("", 9.5, ink)
	p.MultiCell(margin+width-at, lineMM, c.Text, "", "L", false)
	p.Ln(2)
	p.MultiCell(margin+width-at, lineMM, c.Attached, "", "L", false)
	p.Ln(2)
	p.ink("", 9.5, soft)
	p.Write(lineMM, c.Address+" ")
	p.ink("", 9.5, own)
	p.WriteLinkString(lineMM, c.URL, c.Target)
	p.SetLeftMargin(margin)
}
