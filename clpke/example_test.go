package clpke_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/kgc"
)

// exampleCenter is a utility's key generation center with the public key that
// its statements verify under.
func exampleCenter() (*kgc.KGC, *ecdsa.PublicKey) {
	master, err := kgc.NewMasterKey()
	if err != nil {
		log.Fatal(err)
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	center, err := kgc.New(kgc.Config{Master: master, Signer: signer, UC: 7})
	if err != nil {
		log.Fatal(err)
	}
	return center, &signer.PublicKey
}

// A sender takes the owner's key from a verified statement, prepares it once,
// and encrypts.
func ExampleRecipient_Encrypt() {
	center, signer := exampleCenter()
	owner, err := clpke.NewUserKey()
	if err != nil {
		log.Fatal(err)
	}
	id := clpke.MeterIdentity(wattveil.Meter{UC: 7, Pseudonym: 0x0123456789abcdef})
	signed, _, err := center.Issue(id, owner.Public(), 1, 1_700_000_000, 1_800_000_000)
	if err != nil {
		log.Fatal(err)
	}

	statement, err := clpke.VerifyStatement(signed, signer)
	if err != nil {
		log.Fatal(err)
	}
	recipient, err := statement.PublicKey().Prepare()
	if err != nil {
		log.Fatal(err)
	}
	ciphertext, err := recipient.Encrypt("wattveil1 M2", []byte("sixteen bytes it"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(statement.Identity(), "valid:", statement.ValidAt(1_750_000_000))
	fmt.Println(len(ciphertext), "bytes")
	// Output:
	// meter 7/0123456789abcdef valid: true
	// 81 bytes
}

// The owner of a key checks the half that it is given.
func ExampleNewPrivateKey() {
	center, signer := exampleCenter()
	owner, err := clpke.NewUserKey()
	if err != nil {
		log.Fatal(err)
	}
	id := clpke.TTPIdentity(7, "ttp.example")
	signed, partial, err := center.Issue(id, owner.Public(), 1, 1_700_000_000, 1_800_000_000)
	if err != nil {
		log.Fatal(err)
	}

	statement, err := clpke.VerifyStatement(signed, signer)
	if err != nil {
		log.Fatal(err)
	}
	key, err := clpke.NewPrivateKey(owner, partial, id, statement.Master)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key, "is the statement's:", key.PublicKey() == statement.PublicKey())
	// Output:
	// [redacted] is the statement's: true
}

// A key generation center that signs two keys under one serial is found out.
func ExampleCompareStatements() {
	center, signer := exampleCenter()
	id := clpke.MeterIdentity(wattveil.Meter{UC: 7, Pseudonym: 0x0123456789abcdef})
	var issued [2]clpke.SignedStatement
	for i := range issued {
		owner, err := clpke.NewUserKey()
		if err != nil {
			log.Fatal(err)
		}
		issued[i], _, err = center.Issue(id, owner.Public(), 1, 1_700_000_000, 1_800_000_000)
		if err != nil {
			log.Fatal(err)
		}
	}

	_, err := clpke.CompareStatements(issued[0], issued[1], signer)
	fmt.Println(err)
	// Output:
	// two different statements of meter 7/0123456789abcdef with serial 1 are signed; keep both as evidence against the key generation center
}
