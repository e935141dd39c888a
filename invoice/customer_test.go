package invoice

import (
	"fmt"
	"strings"
	"testing"
)

func TestReadCustomers(t *testing.T) {
	list, err := ReadCustomers(strings.NewReader("\uFEFFmeter,name,address1,address2,tariff\r\n0f3a5c7e91b2d4f6,\"Müller, Anna\",,3008 Bern,x\r\n0f3a5c7e91b2d4f7,B,,,\r\n"))
	if got, want := fmt.Sprintf("%q", list), `map["0f3a5c7e91b2d4f6":["Müller, Anna" "3008 Bern"] "0f3a5c7e91b2d4f7":["B"]]`; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestReadCustomersRefuses(t *testing.T) {
	const id = "0f3a5c7e91b2d4f6,"
	for _, tt := range []struct{ rows, want string }{
		{"", "there are no customers in it"},
		{"1,A,\n", "line 2: meter: "},
		{id + ",x\n", "line 2: name is empty"},
		{id + "A,\n" + id + "B,\n", "line 3: meter 0f3a5c7e91b2d4f6 is there twice"},
		{id + "\"A\nB\",\n", `line 2: the line "A\nB" has characters that cannot be printed, or is not UTF-8`},
		{id + "M\xfcller,\n", `line 2: the line "M\xfcller" has characters that cannot be printed, or is not UTF-8`},
		{id + strings.Repeat("a", 101) + ",\n", `line 2: the line "aaaaaaaaaaaaaaaaaaaa"… has 101 characters, at most 100 are printed`},
	} {
		if _, err := ReadCustomers(strings.NewReader("meter,name,address1\n" + tt.rows)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.rows, err, tt.want)
		}
	}
}

// Whatever address is read can be printed.
func FuzzReadCustomers(f *testing.F) {
	v := invoiceOf(f, "flat")
	l := language(f, "de-CH")
	f.Add("meter,name\n0f3a5c7e91b2d4f6,Łucja 陳 🏠\n")
	f.Add("name,address6,meter\r\n\"a \\) (\",b,0f3a5c7e91b2d4f6\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadCustomers(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, lines := range list {
			v.Customer = lines
			if _, err := l.PDF(v); err != nil {
				t.Errorf("%q: %v", lines, err)
			}
			if _, err := l.HTML(v); err != nil {
				t.Errorf("%q: %v", lines, err)
			}
		}
	})
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ decimal, en, de, ch string }{
		{"0", "0", "0", "0"},
		{"-0.05", "−0.05", "−0,05", "−0.05"},
		{"999.999", "999.999", "999,999", "999.999"},
		{"1234567.5", "1,234,567.5", "1.234.567,5", "1’234’567.5"},
		{"-1000", "−1,000", "−1.000", "−1’000"},
	} {
		for tag, want := range map[string]string{"en": tt.en, "de": tt.de, "de-CH": tt.ch} {
			if got := language(t, tag).number(tt.decimal); got != want {
				t.Errorf("%s in %s is %s, want %s", tt.decimal, tag, got, want)
			}
		}
	}
}
