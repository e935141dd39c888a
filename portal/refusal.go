package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/wattveil/wattveil/consumer"
)

// The refusals of spec/portal.md section 5 that the portal gives itself.
const (
	classNoProof     consumer.Class = "no-proof"
	classSignedOut   consumer.Class = "signed-out"
	classEnded       consumer.Class = "session-ended"
	classReplayed    consumer.Class = "assertion-replayed"
	classInvalid     consumer.Class = "assertion-invalid"
	classConfirm     consumer.Class = "confirm"
	classCrossSite   consumer.Class = "cross-site"
	classExporting   consumer.Class = "exporting"
	classNotFound    consumer.Class = "not-found"
	classUnavailable consumer.Class = "unavailable"
)

// refusal is how a class is answered.
type refusal struct {
	status int
	text   text
}

// refusals is the table of answers.
var refusals = map[consumer.Class]refusal{
	consumer.Malformed: {http.StatusUnprocessableEntity, text{
		"This is no claim code: its length or its last character does not fit. Compare it with the meter's display; it has three groups of seven characters.",
		"Das ist kein Zugangscode: Länge oder letztes Zeichen stimmen nicht. Vergleichen Sie ihn mit der Anzeige des Zählers; er hat drei Gruppen zu sieben Zeichen."}},
	consumer.Unknown: {http.StatusUnprocessableEntity, text{
		"No meter with this code is known here. A new meter may need a day until it is; yours may also report to another trusted third party. If the code is typed right and the meter has shown one for more than a day, its utility may have given it another number than the one we know: ask whoever runs this portal, or the regulator.",
		"Hier ist kein Zähler mit diesem Code bekannt. Bei einem neuen Zähler kann es einen Tag dauern; vielleicht meldet Ihrer auch an eine andere Vertrauensstelle. Ist der Code richtig eingegeben und zeigt der Zähler seit mehr als einem Tag einen an, hat ihm der Versorger vielleicht eine andere Nummer gegeben als die, die wir kennen: Fragen Sie den Betreiber dieses Portals oder die Regulierungsbehörde."}},
	consumer.EarlierEpoch: {http.StatusUnprocessableEntity, text{
		"This code was right, and the meter has changed its keys since. Show the code on the meter again and type the new one.",
		"Dieser Code war richtig, aber der Zähler hat seither neue Schlüssel. Lassen Sie sich den Code am Zähler neu anzeigen und geben Sie ihn ein."}},
	consumer.Interception: {http.StatusUnprocessableEntity, text{
		"Possible interception: the meter is known, and it does not share these keys with us. If you typed the code as the meter shows it, somebody between the meter and us may be reading along. Try once more; if it happens again, tell your consumer protection agency or regulator. Nothing was changed.",
		"Mögliches Abhören: Der Zähler ist bekannt, teilt aber diese Schlüssel nicht mit uns. Wenn der Code so auf dem Zähler steht, liest vielleicht jemand zwischen dem Zähler und uns mit. Versuchen Sie es noch einmal; geschieht es wieder, wenden Sie sich an Verbraucherschutz oder Regulierungsbehörde. Es wurde nichts geändert."}},
	consumer.Busy: {http.StatusTooManyRequests, text{
		"Too many are asking at once. Wait a minute and try again.",
		"Gerade fragen zu viele zugleich. Warten Sie eine Minute und versuchen Sie es noch einmal."}},
	consumer.Limited: {http.StatusTooManyRequests, text{
		"Too many wrong codes for this meter within an hour. The right code still works.",
		"Zu viele falsche Codes für diesen Zähler in einer Stunde. Der richtige Code geht weiterhin."}},
	consumer.Claimed: {http.StatusConflict, text{
		"This meter is in another account. Sign in with one of its passkeys, or begin a takeover.",
		"Dieser Zähler gehört zu einem anderen Konto. Melden Sie sich mit einem seiner Passkeys an oder beginnen Sie eine Übernahme."}},
	consumer.Waiting: {http.StatusConflict, text{
		"Somebody has claimed this meter already, and that claim waits for its 7 days. Only one can wait at a time.",
		"Jemand hat diesen Zähler bereits beansprucht, und die 7 Tage laufen noch. Es kann nur ein Anspruch zugleich warten."}},
	consumer.NotYours: {http.StatusNotFound, text{
		"No meter of your account has this address.",
		"Unter dieser Adresse gibt es keinen Zähler Ihres Kontos."}},
	consumer.NoBill: {http.StatusNotFound, text{
		"This meter has no such bill or file.",
		"Dieser Zähler hat keine solche Rechnung oder Datei."}},
	consumer.LastPasskey: {http.StatusConflict, text{
		"This is your last passkey: without it you could not sign in. Add another one first, or delete the account.",
		"Das ist Ihr letzter Passkey: Ohne ihn könnten Sie sich nicht anmelden. Fügen Sie erst einen weiteren hinzu, oder löschen Sie das Konto."}},
	consumer.TooMany: {http.StatusConflict, text{
		"An account has at most 20 passkeys and 50 meters. Remove one first.",
		"Ein Konto hat höchstens 20 Passkeys und 50 Zähler. Entfernen Sie zuerst einen."}},
	consumer.Counter: {http.StatusForbidden, text{
		"This passkey has counted backwards, as a copy of it would. Use another one and remove this one.",
		"Dieser Passkey hat rückwärts gezählt, wie es eine Kopie täte. Benutzen Sie einen anderen und entfernen Sie diesen."}},
	consumer.NotBilled: {http.StatusConflict, text{
		"These readings are not finally billed yet, so they stay.",
		"Diese Messwerte sind noch nicht endgültig abgerechnet, darum bleiben sie."}},
	consumer.LinkOver: {http.StatusNotFound, text{
		"This link shows nothing: it is over, was revoked, or never was. Ask whoever gave it to you for another one.",
		"Dieser Link zeigt nichts: Er ist abgelaufen, wurde widerrufen, oder es gab ihn nie. Bitten Sie den, von dem Sie ihn haben, um einen neuen."}},
	classExporting: {http.StatusTooManyRequests, text{
		"Two exports of your account are under way, or many others are. Wait until one is done, then try again.",
		"Zwei Exporte Ihres Kontos laufen gerade, oder viele andere. Warten Sie, bis einer fertig ist, und versuchen Sie es dann noch einmal."}},
	classNoProof: {http.StatusForbidden, text{
		"No claim code of this browser is open: it was used, or is older than 15 minutes. Type the code again.",
		"Für diesen Browser ist kein Zugangscode offen: Er wurde benutzt oder ist älter als 15 Minuten. Geben Sie den Code noch einmal ein."}},
	classEnded: {http.StatusUnauthorized, text{
		"Your session is over. Sign in again.",
		"Ihre Sitzung ist zu Ende. Melden Sie sich neu an."}},
	classReplayed: {http.StatusForbidden, text{
		"This sign-in was used before, or took longer than 5 minutes. Begin again.",
		"Diese Anmeldung wurde schon benutzt oder hat länger als 5 Minuten gedauert. Beginnen Sie neu."}},
	classInvalid: {http.StatusForbidden, text{
		"This passkey does not sign in here. It may have been removed from its account.",
		"Mit diesem Passkey geht keine Anmeldung. Vielleicht wurde er aus seinem Konto entfernt."}},
	classConfirm: {http.StatusForbidden, text{
		"Confirm first that it is you: use your passkey once more.",
		"Bestätigen Sie zuerst, dass Sie es sind: Benutzen Sie Ihren Passkey noch einmal."}},
	consumer.BadRequest: {http.StatusBadRequest, text{
		"Something in this address or form makes no sense.",
		"Etwas in dieser Adresse oder diesem Formular ergibt keinen Sinn."}},
	classCrossSite: {http.StatusForbidden, text{
		"This request came from another site and was not carried out.",
		"Diese Anfrage kam von einer anderen Website und wurde nicht ausgeführt."}},
	classNotFound: {http.StatusNotFound, text{
		"There is no such page.",
		"Diese Seite gibt es nicht."}},
	classUnavailable: {http.StatusServiceUnavailable, text{
		"This cannot be answered now. Try again in a few minutes; nothing was lost.",
		"Das geht gerade nicht. Versuchen Sie es in einigen Minuten noch einmal; es ist nichts verloren."}},
}

// badRequest refuses a parameter by its name. The text is for the page's
// reader.
type badRequest struct {
	name string
	want text
}

func (b badRequest) Error() string { return fmt.Sprintf("%s: want %s", b.name, b.want.EN) }
func (b badRequest) Unwrap() error { return consumer.BadRequest }

// retryAfter is in how many seconds it is worth while to ask again.
var retryAfter = map[consumer.Class]string{consumer.Busy: "60", consumer.Limited: "3600", classExporting: "60"}

// classOf is the class that an error is answered with.
func classOf(err error) consumer.Class {
	class := classUnavailable
	if errors.As(err, &class) {
		if _, ok := refusals[class]; ok {
			return class
		}
	}
	return classUnavailable
}

// refusalOf is the class of an error and how it is answered. It sets what the
// answer's head says of it.
func (v *visit) refusalOf(err error) (consumer.Class, refusal) {
	class := classOf(err)
	if wait, ok := retryAfter[class]; ok {
		v.w.Header().Set("Retry-After", wait)
	}
	return class, refusals[class]
}

// isGone tells whether the browser has left.
func isGone(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
