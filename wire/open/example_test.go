package open_test

import (
	"fmt"
	"log"

	"github.com/wattveil/wattveil"
	"github.com/wattveil/wattveil/wire"
	"github.com/wattveil/wattveil/wire/open"
)

// The whole way of two readings: sealed by the meter, checked and renamed by
// the utility, opened by the TTP.
func ExampleOpener() {
	const id = wattveil.MeterID(0x1122334455667788)
	meter := wattveil.Meter{UC: 7, Pseudonym: 0x8877665544332211}
	secret := wire.NewSecret()                                             // of meter and utility
	keys, err := wire.ParseSessionKeys(make([]byte, wire.SessionKeysSize)) // of meter and TTP
	if err != nil {
		log.Fatal(err)
	}

	// The meter.
	block, err := wire.AppendBlock(nil, 900, []wattveil.Reading{
		{Time: 1767225600, Import: 52_300, Export: 1_200},
		{Time: 1767226500, Import: 52_425, Export: 1_200},
	})
	if err != nil {
		log.Fatal(err)
	}
	msg := wire.NewSealer(id, meter, 1, &keys.Up, secret.DataTagKey()).Append(nil, 0, block)

	// The utility.
	if !wire.NewTagger().Check(secret.DataTagKey(), msg) {
		log.Fatal("not authentic")
	}
	sent := wire.Rewrite(msg, meter.Pseudonym)

	// The TTP.
	key, err := open.NewKey(meter, 1, &keys.Up)
	if err != nil {
		log.Fatal(err)
	}
	var opener open.Opener
	got, err := opener.Open(nil, key, sent)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(got.Readings), "readings every", got.Resolution, "as", got.Readings)
	fmt.Println("import between them, asked for explicitly:", int64(got.Readings[1].Import.Since(got.Readings[0].Import)), "Wh")

	// Output:
	// 2 readings every 15m0s as [[redacted] [redacted]]
	// import between them, asked for explicitly: 125 Wh
}
