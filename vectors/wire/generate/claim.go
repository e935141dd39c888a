package main

import (
	"fmt"
	"strings"

	plain "github.com/wattveil/wattveil/internal/plain/wire"
	vectors "github.com/wattveil/wattveil/vectors/wire"
)

func claim(name string, uc uint32, anID uint64, key []byte) vectors.ClaimCode {
	code := plain.ClaimCode(uc, anID, key)
	return vectors.ClaimCode{
		Name: name, Typed: code, Code: code, UC: uc, AnID: vectors.ID(anID), Claim: key, Locator: plain.Locator(uc, anID),
	}
}

// claimWith looks for a code that holds, or ends with, certain characters.
func claimWith(name string, suits func(code string) bool) vectors.ClaimCode {
	for i := 0; ; i++ {
		c := claim(name, utility, pseudonym(), draw(fmt.Sprint(name, " ", i), 32))
		if suits(c.Code) {
			return c
		}
	}
}

func claimCodes() []vectors.ClaimCode {
	good := claim("typical", utility, pseudonym(), draw("k_claim", 32))
	list := []vectors.ClaimCode{
		good,
		claim("secret of zeros", utility, pseudonym(), make([]byte, 32)),
		claim("secret of ones", utility, pseudonym(), []byte(strings.Repeat("\xff", 32))),
		claim("another utility", utility+1, pseudonym(), draw("k_claim", 32)),
		claim("another pseudonym", utility, pseudonym()+1, draw("k_claim", 32)),
	}
	for _, check := range []string{"*", "~", "$", "=", "U"} {
		list = append(list, claimWith("check symbol "+check, func(code string) bool { return strings.HasSuffix(code, check) }))
	}
	mixed := claimWith("typed as a person may", func(code string) bool {
		return strings.Count(code, "0") > 0 && strings.Count(code, "1") > 1 && strings.HasSuffix(code, "U")
	})
	mixed.Typed = strings.ToLower(strings.NewReplacer("0", "O", "-", " ").Replace(mixed.Code)) + " "
	mixed.Typed = strings.Replace(strings.Replace(mixed.Typed, "1", "i", 1), "1", "L", 1)
	list = append(list, mixed)
	bare := good
	bare.Name, bare.Typed = "without hyphens", strings.ReplaceAll(good.Code, "-", "")
	list = append(list, bare)
	return append(list, refusedClaims(good.Code)...)
}

func refusedClaims(code string) []vectors.ClaimCode {
	other := "0"
	if code[0] == '0' {
		other = "2"
	}
	check := "*"
	if strings.HasSuffix(code, check) {
		check = "~"
	}
	at := 0 // of two neighbours that differ
	for code[at] == code[at+1] {
		at++
	}
	swapped := code[:at] + string(code[at+1]) + string(code[at]) + code[at+2:]
	var list []vectors.ClaimCode
	for _, b := range []struct{ name, typed string }{
		{"nothing", ""},
		{"hyphens and spaces only", "--- -- "},
		{"one character short", code[:len(code)-1]},
		{"one character long", code + "0"},
		{"one character changed", other + code[1:]},
		{"two characters exchanged", swapped},
		{"another check symbol", code[:len(code)-1] + check},
		{"a check symbol in the middle", code[:3] + "U" + code[4:]},
		{"a sign in the middle", code[:3] + "*" + code[4:]},
		{"a tab between groups", strings.Replace(code, "-", "\t", 1)},
		{"a letter that only Unicode calls an S", "\u017f" + code[1:]},
		{"a letter that only Unicode calls an I", "\u0131" + code[1:]},
		{"digits of another script", strings.Repeat("\u0661", 7)},
		{"not UTF-8", "\xff" + code[1:]},
	} {
		list = append(list, vectors.ClaimCode{Name: b.name, Class: malformed, Typed: b.typed})
	}
	return list
}
