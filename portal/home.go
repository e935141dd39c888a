package portal

var homePage = page{name: "home", texts: texts{
	"title":   {"Your meter, and nobody else's business", "Ihr Zähler geht nur Sie etwas an"},
	"lead":    {"See what you use, what it costs and what is told about it. No name, no e-mail address, no customer number.", "Sehen Sie, was Sie verbrauchen, was es kostet und was davon weitergesagt wird. Ohne Namen, E-Mail-Adresse und Kundennummer."},
	"claim":   {"First time here", "Zum ersten Mal hier"},
	"claim-t": {"Your meter shows a claim code when you press its button. It proves that the meter is yours, and that nobody reads along on the way.", "Ihr Zähler zeigt auf Knopfdruck einen Zugangscode. Er beweist, dass es Ihr Zähler ist und dass unterwegs niemand mitliest."},
	"claim-b": {"Type or scan the code", "Code eingeben oder scannen"},
	"sign":    {"Back again", "Wieder da"},
	"sign-t":  {"Your passkey is all that you need. Your device keeps it.", "Sie brauchen nur Ihren Passkey. Ihr Gerät bewahrt ihn auf."},
	"sign-b":  {"Sign in", "Anmelden"},
	"empty":   {"There is no meter in your account. Type the claim code of one, or wait until a takeover takes effect.", "In Ihrem Konto ist kein Zähler. Geben Sie einen Zugangscode ein, oder warten Sie, bis eine Übernahme wirksam wird."},
	"waits":   {"A takeover takes effect on %s.", "Eine Übernahme wird am %s wirksam."},
}}

// home is the start: of whoever is signed in, the first meter.
func home(v *visit) error {
	if m := v.shown(); m != nil {
		return v.redirect("/m/" + m.Ref + "/now")
	}
	if v.session == nil {
		return v.render(200, &homePage, nil)
	}
	due, err := v.s.cfg.TTP.Takeovers(v.r.Context(), v.session.Account)
	if err != nil {
		return err
	}
	var waits []string
	for _, at := range due {
		waits = append(waits, v.locale.date(at))
	}
	return v.render(200, &homePage, waits)
}

var aboutPage = page{name: "about", texts: texts{
	"title":     {"What is kept here", "Was hier gespeichert wird"},
	"lead":      {"This portal belongs to a trusted third party: it has your meter's readings under a random number, and does not know whose they are. Your utility knows who you are, and never sees a reading.", "Dieses Portal gehört einer Vertrauensstelle: Sie hat die Messwerte Ihres Zählers unter einer Zufallszahl und weiß nicht, wessen sie sind. Ihr Versorger weiß, wer Sie sind, und sieht nie einen Messwert."},
	"kept":      {"Kept", "Gespeichert"},
	"kept-1":    {"A random number for your account, and the day on which it was made", "Eine Zufallszahl für Ihr Konto und der Tag, an dem es entstand"},
	"kept-2":    {"Your passkeys' public keys, with the days of creation and last use", "Die öffentlichen Schlüssel Ihrer Passkeys, mit den Tagen von Entstehung und letztem Gebrauch"},
	"kept-3":    {"Which meters are in your account, and since which day", "Welche Zähler in Ihrem Konto sind, und seit welchem Tag"},
	"kept-4":    {"Your sessions, until they end", "Ihre Sitzungen, bis sie enden"},
	"kept-5":    {"Alerts that you set, and for 90 days what they raised", "Meldungen, die Sie gesetzt haben, und 90 Tage lang, was sie gemeldet haben"},
	"never":     {"Never asked for, kept or logged", "Nie gefragt, gespeichert oder protokolliert"},
	"never-1":   {"Names, postal and e-mail addresses, phone and customer numbers", "Namen, Post- und E-Mail-Adressen, Telefon- und Kundennummern"},
	"never-2":   {"Network addresses and the names of browsers", "Netzadressen und die Namen von Browsern"},
	"never-3":   {"Which pages you look at, and when", "Welche Seiten Sie ansehen, und wann"},
	"network-h": {"Your network address", "Ihre Netzadresse"},
	"network-t": {"Whoever runs a server sees the network address of those who are connected to it. Ours is not written down. If you want to be sure, use Tor Browser: then there is none to see.", "Wer einen Server betreibt, sieht die Netzadresse derer, die mit ihm verbunden sind. Unsere wird nicht aufgeschrieben. Wenn Sie sichergehen wollen, benutzen Sie den Tor-Browser: Dann ist keine zu sehen."},
	"others":    {"Other sites", "Andere Seiten"},
	"others-t":  {"Pages here load nothing from anywhere else, and have no trackers.", "Die Seiten hier laden nichts von anderswo und haben keine Tracker."},
}}

// about says what is kept.
func about(v *visit) error { return v.render(200, &aboutPage, nil) }

// preferences keeps language and theme in the browser.
func preferences(v *visit) error {
	if lang := v.r.PostFormValue("language"); isLanguage(lang) {
		v.set(cookieLanguage, lang, settingsCookie)
	} else if lang != "" {
		return badRequest{"language", text{"en or de", "en oder de"}}
	}
	if theme := v.r.PostFormValue("theme"); isTheme(theme) {
		v.set(cookieTheme, theme, settingsCookie)
	} else if theme != "" {
		return badRequest{"theme", text{"auto, light or dark", "auto, light oder dark"}}
	}
	return v.redirect(next(v.r.PostFormValue("next")))
}
