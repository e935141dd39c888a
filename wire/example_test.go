package wire_test

import (
	"fmt"
	"log"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
)

// A meter seals a quarter's reading; its utility checks the tag and puts the
// pseudonym in the place of the meter's name, without learning the reading.
func ExampleSealer() {
	const (
		id        = wattveil.MeterID(0x1122334455667788)
		pseudonym = wattveil.Pseudonym(0x8877665544332211)
	)
	secret := wire.NewSecret() // installed in the meter, known to the utility
	keys, err := wire.ParseSessionKeys(make([]byte, wire.SessionKeysSize))
	if err != nil {
		log.Fatal(err)
	}

	// The meter.
	sealer := wire.NewSealer(id, wattveil.Meter{UC: 7, Pseudonym: pseudonym}, 1, &keys.Up, secret.DataTagKey())
	readings := []wattveil.Reading{{Time: 1767225600, Import: 52_300, Export: 1_200}}
	block, err := wire.AppendBlock(nil, 900, readings)
	if err != nil {
		log.Fatal(err)
	}
	msg := sealer.Append(nil, 0, block)
	fmt.Println("published:", len(msg), "bytes")

	// The utility.
	kind, from, err := wire.ParsePrefix(msg)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("received:", kind, "of meter", from)
	fmt.Println("authentic:", wire.NewTagger().Check(secret.DataTagKey(), msg))
	sent := wire.Rewrite(msg, pseudonym)
	header, err := wire.ParseHeader(sent)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("sent on:", len(sent), "bytes of", wattveil.Pseudonym(header.ID))
	// Output:
	// published: 70 bytes
	// received: data of meter 1122334455667788
	// authentic: true
	// sent on: 54 bytes of 8877665544332211
}

// The meter shows the code; its owner types it at the TTP, roughly.
func ExampleClaimCode() {
	meter := wattveil.Meter{UC: 7, Pseudonym: 0x8877665544332211}
	var claim [32]byte // k_claim of the epoch
	copy(claim[:], "not a true key, but 32 bytes all")

	code := wire.NewClaimCode(meter, claim)
	fmt.Println("logged as", code)
	fmt.Println("shown as", code.Text())

	_, err := wire.ParseClaimCode("HNR5DSQ-Q883141-T74XB5C")
	fmt.Println("typed with a slip:", err != nil)
	typed, err := wire.ParseClaimCode("hnr5dsq q88314i t74xb5b")
	fmt.Println("typed well:", err == nil && typed == code)
	fmt.Println("finds the meter:", typed.Locator == wire.Locator(meter))
	// Output:
	// logged as [secret]
	// shown as HNR5DSQ-Q883141-T74XB5B
	// typed with a slip: true
	// typed well: true
	// finds the meter: true
}
