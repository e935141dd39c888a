// Package kgc is the key generation center: it issues the utility's half of
// each key and signs whose the key is. It is a library of the utility, which
// runs it apart from the rest; it is no role of its own. It never decrypts:
// what it holds opens nothing without the owner's half (package clpke).
package kgc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
)

// Config is what a [KGC] needs; every field but UC is required. It redacts
// itself.
type Config struct {
	redacted
	Master *MasterKey
	// Signer signs the statements, ECDSA on P-256. The utility's certificate
	// for it names it to the others.
	Signer *ecdsa.PrivateKey
	// UC is the only utility that the KGC issues keys for.
	UC wattveil.UCNumber
}

// KGC issues keys for one utility. It keeps no record of what it issued: that
// no serial is issued twice for an identity is the caller's to see to, and
// [clpke.CompareStatements] shows everybody if it fails. It is safe for
// concurrent use and redacts itself.
type KGC struct {
	redacted
	cfg Config
}

// New checks the keys of a configuration.
func New(cfg Config) (*KGC, error) {
	if cfg.Master == nil || cfg.Master.x == nil {
		return nil, errors.New("new KGC: no master key")
	}
	if cfg.Signer == nil || cfg.Signer.Curve != elliptic.P256() {
		return nil, errors.New("new KGC: signer is not an ECDSA key on P-256")
	}
	return &KGC{cfg: cfg}, nil
}

// Issue makes the partial key of an identity whose owner has the user value
// mu, and the signed statement of the whole key, valid from notBefore to
// notAfter (Unix seconds, both included). serial must be higher than that of
// any earlier key of the identity. A second call gives another key: keep the
// result until the owner has it, and then only the statement.
//
// It fails with [clpke.ErrMalformed] on a bad identity, point or validity, and
// on an identity of another utility.
func (k *KGC) Issue(id clpke.Identity, mu clpke.Point, serial uint32, notBefore, notAfter int64) (clpke.SignedStatement, *clpke.PartialKey, error) {
	if id.UC != k.cfg.UC {
		return nil, nil, fmt.Errorf("issue to %v: the key generation center is that of utility %v", id, k.cfg.UC)
	}
	partial, err := k.cfg.Master.partialKey(id, mu)
	if err != nil {
		return nil, nil, fmt.Errorf("issue to %v: %w", id, err)
	}
	signed, err := clpke.SignStatement(k.cfg.Signer, clpke.Statement{
		UC: id.UC, Role: id.Role, Name: id.Name, Serial: serial,
		Omega: partial.Omega(), Mu: mu, Master: k.cfg.Master.public,
		NotBefore: notBefore, NotAfter: notAfter,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("issue: %w", err)
	}
	return signed, partial, nil
}
