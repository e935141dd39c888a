package kgc_test

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

// The utility issues a key to a meter that sent its user value.
func ExampleKGC_Issue() {
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
	meter, err := clpke.NewUserKey() // at the meter, which sends Public alone
	if err != nil {
		log.Fatal(err)
	}

	id := clpke.MeterIdentity(wattveil.Meter{UC: 7, Pseudonym: 0x0123456789abcdef})
	signed, partial, err := center.Issue(id, meter.Public(), 1, 1_700_000_000, 1_800_000_000)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(signed), "bytes of statement, and", partial)
	// Output:
	// 198 bytes of statement, and [redacted]
}
