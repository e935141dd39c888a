// Package clpke encrypts to keys that need no certificate, and checks the
// statements that say whose a key is. The normative text is spec/clpke.md; the
// scheme is that of Baek, Safavi-Naini and Susilo (ISC 2005), with the owner's
// value bound into the partial key as Lai and Kou do (PKC 2007), on P-256.
//
// Two secrets open a message. The owner makes z and shows nobody; the
// utility's key generation center (package kgc) makes d for the owner's
// identity. So the utility, which knows x and every d, opens nothing, and a
// made-up owner without d opens nothing either:
//
//	owner                         key generation center
//	NewUserKey: z, μ = zG
//	              ── identity, μ ──▶
//	                              Issue: s, ω = sG, d = s + x·H1(identity, ω, μ, Y)
//	              ◀── signed Statement(identity, serial, ω, μ, Y), PartialKey(ω, d) ──
//	VerifyStatement, NewPrivateKey (checks dG = ω + H1·Y)
//
// A sender verifies the owner's [Statement], calls [PublicKey.Prepare] once and
// [Recipient.Encrypt] for each message. A ciphertext is
//
//	C1 33 │ M xor keystream, len(M) │ σ xor keystream, 32
//
// Decryption is in clpke/open, so that a program which must never decrypt can
// be shown not to contain it.
//
// A key generation center that signs two keys of one identity and serial leaves
// evidence: see [CompareStatements].
//
// Types that hold a secret print, log and marshal as "[redacted]", cannot be
// compared with ==, and give their bytes through an explicit Bytes alone.
package clpke
