// Package wattveil holds the nouns that every other package shares: who a
// meter is to each party, what a register and a reading are, and how long an
// interval lasts.
//
// # One reading's journey
//
// A household's energy register advances. Then:
//
//  1. package meter reads the register at the interval's end, keeps the
//     [Reading] in its ring, packs it into a block and seals it (package wire)
//     under the session key that it shares with the TTP alone. It adds a tag
//     under the key that it shares with its utility.
//  2. package link carries the message over MQTT 5 to package collector, which
//     makes it durable, acknowledges it, and posts it with the interval's
//     batch over mutual TLS (package peer).
//  3. package utility checks the tag, puts the [Pseudonym] in the place of the
//     [MeterID], orders the pooled messages by pseudonym and posts them on. It
//     holds no key that opens them.
//  4. package ttp opens the message (package wire/open), decodes the block and
//     appends it to the store (package readings), durable before it answers
//     one verdict byte per message. The collector deletes what is durable.
//  5. When the utility asks for a bill, the TTP differences the registers into
//     each [Interval], prices them (packages tariff and rating) and signs the
//     result (package bill).
//
// The utility knows the [MeterID] and the customer and never a reading; the
// TTP knows the pair [Meter] of utility and pseudonym and every reading of it,
// and never whose it is. Types that carry energy redact themselves wherever
// they are printed, logged or marshalled: getting at the number takes an
// explicit conversion.
//
// The normative text is in spec/, published test vectors are in vectors/, and
// decisions/ says why things are as they are.
package wattveil
