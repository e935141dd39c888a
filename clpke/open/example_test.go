package open_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/clpke"
	"github.com/wattveil/wattveil/clpke/open"
	"github.com/wattveil/wattveil/kgc"
)

// A meter opens what the TTP encrypted to it, under the label of its purpose
// and no other.
func ExampleOpen() {
	key, err := meterKey()
	if err != nil {
		log.Fatal(err)
	}
	recipient, err := key.PublicKey().Prepare()
	if err != nil {
		log.Fatal(err)
	}
	ciphertext, err := recipient.Encrypt("wattveil1 M2", []byte("session share"))
	if err != nil {
		log.Fatal(err)
	}

	msg, err := open.Open(key, "wattveil1 M2", ciphertext)
	fmt.Printf("%s, %v\n", msg, err)
	_, err = open.Open(key, "wattveil1 M1", ciphertext)
	fmt.Println(errors.Is(err, open.ErrOpen))
	// Output:
	// session share, <nil>
	// true
}

// meterKey makes a meter's key with a key generation center of its own.
func meterKey() (*clpke.PrivateKey, error) {
	master, err := kgc.NewMasterKey()
	if err != nil {
		return nil, err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	center, err := kgc.New(kgc.Config{Master: master, Signer: signer, UC: 7})
	if err != nil {
		return nil, err
	}
	user, err := clpke.NewUserKey()
	if err != nil {
		return nil, err
	}
	id := clpke.MeterIdentity(wattveil.Meter{UC: 7, Pseudonym: 0x0123456789abcdef})
	_, partial, err := center.Issue(id, user.Public(), 1, 1_700_000_000, 1_800_000_000)
	if err != nil {
		return nil, err
	}
	return clpke.NewPrivateKey(user, partial, id, master.Public())
}
