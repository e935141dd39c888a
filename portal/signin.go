package portal

import "net/url"

var signInPage = page{name: "sign-in", texts: texts{
	"title":   {"Sign in", "Anmelden"},
	"lead":    {"Your device asks which passkey to use. It tells us a random number, and nothing of you.", "Ihr Gerät fragt, welchen Passkey Sie benutzen wollen. Es nennt uns eine Zufallszahl und nichts über Sie."},
	"button":  {"Sign in with a passkey", "Mit Passkey anmelden"},
	"no-key":  {"No passkey, or lost it?", "Keinen Passkey, oder verloren?"},
	"claim":   {"Type the claim code of your meter", "Zugangscode des Zählers eingeben"},
	"claim-t": {"If the meter is in an account already, the new claim takes effect after 7 days, in which its present owner can refuse.", "Gehört der Zähler schon zu einem Konto, wird der neue Anspruch nach 7 Tagen wirksam; so lange kann der jetzige Inhaber ablehnen."},
}}

type signInView struct{ Next string }

func signIn(v *visit) error {
	return v.render(200, &signInPage, signInView{next(v.r.URL.Query().Get("next"))})
}

func signInOptions(v *visit) error { return v.offerAssertion(toSignIn, nil) }

// goOn tells a script where to go.
type goOn struct {
	Next string `json:"next"`
}

func signInFinish(v *visit) error {
	used, err := v.finishAssertion(toSignIn)
	if err != nil {
		return err
	}
	if err := v.begin(used.Account, used.ID); err != nil {
		return err
	}
	return v.writeJSON(200, goOn{next(v.r.URL.Query().Get("next"))})
}

func signOut(v *visit) error {
	if v.session != nil {
		if err := v.s.cfg.TTP.EndSession(v.r.Context(), v.token.Hash()); err != nil {
			return err
		}
	}
	v.clear(cookieSession)
	return v.redirect("/")
}

var confirmPage = page{name: "confirm", texts: texts{
	"title":  {"Confirm that it is you", "Bestätigen, dass Sie es sind"},
	"lead":   {"What you are about to do needs your passkey once more. It then holds for 5 minutes.", "Was Sie vorhaben, braucht noch einmal Ihren Passkey. Das gilt dann für 5 Minuten."},
	"button": {"Use my passkey", "Passkey benutzen"},
	"cancel": {"Cancel", "Abbrechen"},
}}

func confirm(v *visit) error {
	return v.render(200, &confirmPage, signInView{next(v.r.URL.Query().Get("next"))})
}

func confirmOptions(v *visit) error {
	keys, err := v.s.cfg.TTP.Passkeys(v.r.Context(), v.session.Account)
	if err != nil {
		return err
	}
	return v.offerAssertion(toConfirm, &holder{v.session.Account, keys})
}

func confirmFinish(v *visit) error {
	used, err := v.finishAssertion(toConfirm)
	if err != nil {
		return err
	}
	if used.Account != v.session.Account {
		return classInvalid
	}
	if err := v.s.cfg.TTP.ConfirmSession(v.r.Context(), v.token.Hash(), v.s.cfg.Now()); err != nil {
		return err
	}
	return v.writeJSON(200, goOn{next(v.r.URL.Query().Get("next"))})
}

// confirmPath is where a fresh assertion is given, before a page.
func confirmPath(then string) string { return "/confirm?" + url.Values{"next": {then}}.Encode() }

// needConfirmed refuses an act without a fresh assertion.
func (v *visit) needConfirmed() error {
	if !v.confirmed() {
		return classConfirm
	}
	return nil
}
