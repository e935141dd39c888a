package portal

import (
	"errors"
	"time"

	"github.com/wattveil/wattveil/consumer"
)

var claimPage = page{name: "claim", texts: texts{
	"title":    {"Claim your meter", "Ihren Zähler beanspruchen"},
	"lead":     {"Press the button of the meter until it shows a code of three groups of seven characters. Nobody but the meter and we can know it.", "Drücken Sie die Taste des Zählers, bis er einen Code aus drei Gruppen zu sieben Zeichen zeigt. Niemand außer dem Zähler und uns kann ihn kennen."},
	"code":     {"Claim code", "Zugangscode"},
	"hint":     {"Upper or lower case, with or without hyphens. O counts as 0, I and L as 1.", "Groß oder klein, mit oder ohne Bindestriche. O gilt als 0, I und L als 1."},
	"button":   {"Check the code", "Code prüfen"},
	"scan":     {"Scan the meter's QR code", "QR-Code des Zählers scannen"},
	"scan-t":   {"Hold the meter's display before the camera. The picture stays on this device.", "Halten Sie die Anzeige des Zählers vor die Kamera. Das Bild bleibt auf diesem Gerät."},
	"scan-no":  {"The camera cannot be used. Type the code.", "Die Kamera lässt sich nicht benutzen. Geben Sie den Code ein."},
	"scan-end": {"Stop", "Beenden"},
	"once":     {"The code changes with the meter's keys, at least once a week.", "Der Code wechselt mit den Schlüsseln des Zählers, mindestens einmal in der Woche."},
}}

type claimView struct {
	Code  string
	Class string
	Error string
}

func claim(v *visit) error { return v.render(200, &claimPage, claimView{}) }

// claimCode checks a typed code. A right one goes on to the passkey.
func claimCode(v *visit) error {
	text := v.r.PostFormValue("code")
	m, err := v.s.cfg.TTP.CheckClaim(v.r.Context(), text)
	if errors.As(err, new(consumer.Class)) {
		class, answer := v.refusalOf(err)
		return v.render(answer.status, &claimPage, claimView{text, string(class), answer.text.in(v.locale.lang)})
	}
	if err != nil {
		return err
	}
	v.keepProof(m)
	return v.redirect("/claim/passkey")
}

var claimPasskeyPage = page{name: "claim-passkey", texts: texts{
	"title":     {"The code is right", "Der Code stimmt"},
	"confirmed": {"Your meter and we share the same keys: nobody between us reads along.", "Ihr Zähler und wir teilen dieselben Schlüssel: Niemand dazwischen liest mit."},
	"new":       {"Create a passkey. From now on it opens your pages; the code is needed no more. Your device keeps it and asks for your finger, face or PIN.", "Erstellen Sie einen Passkey. Er öffnet ab jetzt Ihre Seiten; den Code brauchen Sie nicht mehr. Ihr Gerät bewahrt ihn auf und fragt nach Finger, Gesicht oder PIN."},
	"new-b":     {"Create a passkey", "Passkey erstellen"},
	"add":       {"You are signed in. The meter can go into your account.", "Sie sind angemeldet. Der Zähler kann in Ihr Konto."},
	"add-b":     {"Put it into my account", "In mein Konto aufnehmen"},
	"own":       {"This meter is in your account already.", "Dieser Zähler ist schon in Ihrem Konto."},
	"own-b":     {"Go to the meter", "Zum Zähler"},
	"taken":     {"This meter is in another account", "Dieser Zähler gehört zu einem anderen Konto"},
	"taken-t":   {"If it is yours, sign in with one of its passkeys. If you have lost them, or moved in, begin a takeover: it takes effect after 7 days, in which the present owner is told and can refuse.", "Wenn es Ihr Konto ist, melden Sie sich mit einem seiner Passkeys an. Haben Sie sie verloren oder sind Sie eingezogen, beginnen Sie eine Übernahme: Sie wird nach 7 Tagen wirksam; so lange wird der jetzige Inhaber gewarnt und kann ablehnen."},
	"sign-in":   {"Sign in with a passkey", "Mit Passkey anmelden"},
	"later-b":   {"Begin a takeover with a new passkey", "Übernahme mit neuem Passkey beginnen"},
	"later-add": {"Begin a takeover to my account", "Übernahme in mein Konto beginnen"},
}}

// claimPasskeyView says how a proved meter stands to the visitor.
type claimPasskeyView struct {
	Own   bool // in the visitor's account
	Taken bool // in another's
}

func claimPasskey(v *visit) error {
	m, err := v.proved()
	if err != nil {
		return err
	}
	holder, held, err := v.s.cfg.TTP.Holder(v.r.Context(), m)
	if err != nil {
		return err
	}
	own := held && v.session != nil && holder == v.session.Account
	return v.render(200, &claimPasskeyPage, claimPasskeyView{Own: own, Taken: held && !own})
}

// claimOptions begins the creation of a new account's passkey.
func claimOptions(v *visit) error {
	if _, err := v.proved(); err != nil {
		return err
	}
	return v.offerCreation(toClaim, holder{account: consumer.NewAccount()})
}

// claimFinish makes the account and signs it in.
func claimFinish(v *visit) error {
	created, err := v.finishCreation(toClaim)
	if err != nil {
		return err
	}
	m, err := v.useProof()
	if err != nil {
		return err
	}
	later := v.r.URL.Query().Get("later") == "1"
	if _, err := v.s.cfg.TTP.NewAccount(v.r.Context(), created, m, later); err != nil {
		return err
	}
	if err := v.begin(created.Account, created.ID); err != nil {
		return err
	}
	return v.writeJSON(200, goOn{"/"})
}

// claimTake puts a proved meter into the account that is signed in.
func claimTake(v *visit) error {
	m, err := v.useProof()
	if err != nil {
		return err
	}
	var due time.Time
	due, err = v.s.cfg.TTP.Take(v.r.Context(), v.session.Account, m, v.r.PostFormValue("later") == "1")
	if err != nil {
		return err
	}
	if !due.IsZero() {
		return v.redirect("/settings")
	}
	return v.redirect("/")
}

// refuseTakeover keeps the meter where it is.
func refuseTakeover(v *visit) error {
	if err := v.needConfirmed(); err != nil {
		return err
	}
	if err := v.s.cfg.TTP.RefuseTakeover(v.r.Context(), v.session.Account, v.meter.Ref); err != nil {
		return err
	}
	return v.redirect("/settings")
}
