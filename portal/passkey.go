package portal

import (
	"encoding/base32"
	"fmt"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/wattveil/wattveil/consumer"
)

// ceremonies creates and checks passkeys. What a ceremony was begun with is
// kept in memory until it is answered once, or its time is over.
type ceremonies struct {
	web  *webauthn.WebAuthn
	open *pending[ceremony]
}

// ceremony is one that a browser has begun.
type ceremony struct {
	purpose purpose
	account consumer.Account // for whom a passkey is created or asked for
	data    webauthn.SessionData
}

// purpose keeps an answer to one question from being used for another.
type purpose int

const (
	toSignIn purpose = iota
	toConfirm
	toAdd
	toClaim
)

const (
	ceremonyLasts  = 5 * time.Minute
	openCeremonies = 1 << 16
)

func newCeremonies(at *url.URL) (*ceremonies, error) {
	timeout := webauthn.TimeoutConfig{Timeout: ceremonyLasts, TimeoutUVD: ceremonyLasts}
	web, err := webauthn.New(&webauthn.Config{
		RPID: at.Hostname(), RPDisplayName: "wattveil", RPOrigins: []string{at.String()},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	open, err := newPending[ceremony](ceremonyLasts, openCeremonies)
	return &ceremonies{web, open}, err
}

// holder is an account as the library sees one.
type holder struct {
	account consumer.Account
	keys    []consumer.Passkey
}

func (h holder) WebAuthnID() []byte { return h.account[:] }

// WebAuthnName is what the authenticator shows beside the passkey.
func (h holder) WebAuthnName() string {
	return "Meter " + base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").EncodeToString(h.account[:])[:4]
}

func (h holder) WebAuthnDisplayName() string { return h.WebAuthnName() }

func (h holder) WebAuthnCredentials() []webauthn.Credential {
	list := make([]webauthn.Credential, len(h.keys))
	for i, k := range h.keys {
		list[i] = webauthn.Credential{
			ID: k.ID, PublicKey: k.PublicKey, Authenticator: webauthn.Authenticator{SignCount: k.Count},
			Flags: webauthn.CredentialFlags{
				BackupEligible: k.Flags&consumer.BackupEligible != 0, BackupState: k.Flags&consumer.BackedUp != 0,
			},
		}
	}
	return list
}

func (h holder) exclusions() []protocol.CredentialDescriptor {
	list := make([]protocol.CredentialDescriptor, len(h.keys))
	for i, k := range h.keys {
		list[i] = protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: k.ID}
	}
	return list
}

// keep opens a ceremony for this browser.
func (v *visit) keep(c ceremony) {
	v.set(cookieBrowser, v.s.passkeys.open.begin(c, v.s.cfg.Now()), browserCookie)
}

// redeem closes this browser's ceremony and gives it with the authenticator's
// answer.
func (v *visit) redeem(p purpose) (ceremony, []byte, error) {
	c, ok := v.s.passkeys.open.end(v.cookie(cookieBrowser), v.s.cfg.Now())
	if !ok || c.purpose != p {
		return ceremony{}, nil, classReplayed
	}
	v.clear(cookieBrowser)
	answer, err := v.readBody()
	return c, answer, err
}

// offerCreation begins the creation of a passkey.
func (v *visit) offerCreation(p purpose, h holder) error {
	creation, data, err := v.s.passkeys.web.BeginRegistration(h,
		webauthn.WithExclusions(h.exclusions()),
		webauthn.WithCredentialParameters([]protocol.CredentialParameter{
			{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
			{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
			{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
		}))
	if err != nil {
		return fmt.Errorf("begin to create a passkey: %w", err)
	}
	v.keep(ceremony{p, h.account, *data})
	return v.writeJSON(200, creation)
}

// finishCreation checks a created passkey.
func (v *visit) finishCreation(p purpose) (consumer.Passkey, error) {
	c, answer, err := v.redeem(p)
	if err != nil {
		return consumer.Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return consumer.Passkey{}, fmt.Errorf("%w: %w", classInvalid, err)
	}
	made, err := v.s.passkeys.web.CreateCredential(holder{account: c.account}, c.data, parsed)
	if err != nil {
		return consumer.Passkey{}, fmt.Errorf("%w: %w", classInvalid, err)
	}
	return consumer.Passkey{
		Account: c.account, ID: made.ID, PublicKey: made.PublicKey, Count: made.Authenticator.SignCount, Flags: flagsOf(made.Flags),
	}, nil
}

func flagsOf(f webauthn.CredentialFlags) (flags byte) {
	if f.BackupEligible {
		flags |= consumer.BackupEligible
	}
	if f.BackupState {
		flags |= consumer.BackedUp
	}
	return flags
}

// offerAssertion asks for a passkey: any, or one of an account.
func (v *visit) offerAssertion(p purpose, h *holder) error {
	c := ceremony{purpose: p}
	var asked *protocol.CredentialAssertion
	var data *webauthn.SessionData
	var err error
	if h == nil {
		asked, data, err = v.s.passkeys.web.BeginDiscoverableLogin()
	} else {
		c.account = h.account
		asked, data, err = v.s.passkeys.web.BeginLogin(*h)
	}
	if err != nil {
		return fmt.Errorf("ask for a passkey: %w", err)
	}
	c.data = *data
	v.keep(c)
	return v.writeJSON(200, asked)
}

// finishAssertion checks an assertion and notes it.
func (v *visit) finishAssertion(p purpose) (consumer.Passkey, error) {
	c, answer, err := v.redeem(p)
	if err != nil {
		return consumer.Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return consumer.Passkey{}, fmt.Errorf("%w: %w", classInvalid, err)
	}
	kept, found, err := v.s.cfg.TTP.Passkey(v.r.Context(), parsed.RawID)
	if err != nil {
		return consumer.Passkey{}, err
	}
	if !found || p == toConfirm && kept.Account != c.account {
		return consumer.Passkey{}, fmt.Errorf("%w: not a passkey of the account", classInvalid)
	}
	owner := holder{kept.Account, []consumer.Passkey{kept}}
	made, err := v.s.passkeys.validate(owner, c, parsed)
	if err != nil {
		return consumer.Passkey{}, fmt.Errorf("%w: %w", classInvalid, err)
	}
	err = v.s.cfg.TTP.UsePasskey(v.r.Context(), kept.ID, parsed.Response.AuthenticatorData.Counter, flagsOf(made.Flags))
	return kept, err
}

func (c *ceremonies) validate(owner holder, begun ceremony, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
	if begun.purpose == toConfirm {
		return c.web.ValidateLogin(owner, begun.data, parsed)
	}
	_, made, err := c.web.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return owner, nil }, begun.data, parsed)
	return made, err
}
