package portal

import (
	"strconv"

	"github.com/wattveil/wattveil/consumer"
)

var settingsPage = page{name: "settings", texts: texts{
	"title":        {"Settings", "Einstellungen"},
	"passkeys":     {"Passkeys", "Passkeys"},
	"passkeys-t":   {"Each of them signs in. Have two on different devices, so that a lost one costs nothing.", "Jeder davon meldet an. Haben Sie zwei auf verschiedenen Geräten, damit der Verlust eines einzelnen nichts kostet."},
	"number":       {"Passkey %d", "Passkey %d"},
	"this-one":     {"signed in with it now", "gerade damit angemeldet"},
	"synced":       {"kept by your devices' provider", "vom Anbieter Ihrer Geräte gesichert"},
	"single":       {"on one device", "auf einem Gerät"},
	"created":      {"created", "erstellt"},
	"used":         {"last used", "zuletzt benutzt"},
	"add":          {"Add a passkey", "Passkey hinzufügen"},
	"remove":       {"Remove", "Entfernen"},
	"meters":       {"Meters", "Zähler"},
	"since":        {"in your account since", "in Ihrem Konto seit"},
	"give-up":      {"Give up", "Abgeben"},
	"claim":        {"Claim another meter", "Weiteren Zähler beanspruchen"},
	"waits":        {"A takeover that you began takes effect on %s.", "Eine Übernahme, die Sie begonnen haben, wird am %s wirksam."},
	"looks":        {"Language and appearance", "Sprache und Darstellung"},
	"looks-t":      {"Kept in this browser, not here.", "Wird in diesem Browser gespeichert, nicht hier."},
	"sessions":     {"Sign out everywhere", "Überall abmelden"},
	"sessions-t":   {"Ends your sessions in all browsers, this one too.", "Beendet Ihre Sitzungen in allen Browsern, auch in diesem."},
	"sessions-b":   {"Sign out everywhere", "Überall abmelden"},
	"delete":       {"Delete the account", "Konto löschen"},
	"delete-t":     {"Forgets your passkeys, sessions and which meters are yours, at once and for good. The meter's readings and bills stay under its number; whoever has the claim code can claim it anew.", "Vergisst Ihre Passkeys, Sitzungen und welche Zähler Ihnen gehören, sofort und endgültig. Messwerte und Rechnungen bleiben unter der Nummer des Zählers; wer den Zugangscode hat, kann ihn neu beanspruchen."},
	"delete-check": {"I want to delete this account", "Ich will dieses Konto löschen"},
	"delete-b":     {"Delete", "Löschen"},
	"confirm":      {"Adding, removing and deleting need your passkey once more.", "Hinzufügen, Entfernen und Löschen brauchen noch einmal Ihren Passkey."},
	"confirm-b":    {"Confirm with your passkey", "Mit Passkey bestätigen"},
	"confirmed":    {"Confirmed for the next minutes.", "Für die nächsten Minuten bestätigt."},
}}

type settingsView struct {
	Confirmed   bool
	ConfirmPath string
	Passkeys    []passkeyView
	Waits       []string
}

type passkeyView struct {
	consumer.Passkey
	Current, Synced bool
}

func settings(v *visit) error {
	keys, err := v.s.cfg.TTP.Passkeys(v.r.Context(), v.session.Account)
	if err != nil {
		return err
	}
	due, err := v.s.cfg.TTP.Takeovers(v.r.Context(), v.session.Account)
	if err != nil {
		return err
	}
	shown := settingsView{Confirmed: v.confirmed(), ConfirmPath: confirmPath("/settings")}
	for _, k := range keys {
		shown.Passkeys = append(shown.Passkeys, passkeyView{k, string(k.ID) == string(v.session.Passkey), k.Flags&consumer.BackedUp != 0})
	}
	for _, at := range due {
		shown.Waits = append(shown.Waits, v.locale.date(at))
	}
	return v.render(200, &settingsPage, shown)
}

func addPasskeyOptions(v *visit) error {
	if err := v.needConfirmed(); err != nil {
		return err
	}
	keys, err := v.s.cfg.TTP.Passkeys(v.r.Context(), v.session.Account)
	if err != nil {
		return err
	}
	if len(keys) >= consumer.MaxPasskeys {
		return consumer.TooMany
	}
	return v.offerCreation(toAdd, holder{v.session.Account, keys})
}

func addPasskeyFinish(v *visit) error {
	if err := v.needConfirmed(); err != nil {
		return err
	}
	created, err := v.finishCreation(toAdd)
	if err != nil {
		return err
	}
	if created.Account != v.session.Account {
		return classReplayed
	}
	if err := v.s.cfg.TTP.AddPasskey(v.r.Context(), created); err != nil {
		return err
	}
	return v.writeJSON(200, goOn{"/settings"})
}

func removePasskey(v *visit) error {
	if err := v.needConfirmed(); err != nil {
		return err
	}
	number, err := strconv.Atoi(v.r.PostFormValue("number"))
	if err != nil {
		return badRequest{"number", text{"the number of a passkey", "die Nummer eines Passkeys"}}
	}
	if err := v.s.cfg.TTP.RemovePasskey(v.r.Context(), v.session.Account, number); err != nil {
		return err
	}
	return v.redirect("/settings")
}

func signOutEverywhere(v *visit) error {
	if err := v.s.cfg.TTP.EndSessions(v.r.Context(), v.session.Account); err != nil {
		return err
	}
	v.clear(cookieSession)
	return v.redirect("/")
}

func giveUp(v *visit) error {
	if err := v.needConfirmed(); err != nil {
		return err
	}
	if err := v.s.cfg.TTP.GiveUp(v.r.Context(), v.session.Account, v.meter.Ref); err != nil {
		return err
	}
	return v.redirect("/settings")
}

func deleteAccount(v *visit) error {
	if err := v.needConfirmed(); err != nil {
		return err
	}
	if v.r.PostFormValue("sure") != "yes" {
		return badRequest{"sure", text{"a tick in the box beside it", "ein Häkchen im Kästchen daneben"}}
	}
	if err := v.s.cfg.TTP.DeleteAccount(v.r.Context(), v.session.Account); err != nil {
		return err
	}
	v.clear(cookieSession)
	return v.redirect("/")
}
