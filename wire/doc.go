// Package wire encodes and decodes every message of the protocol: the frames
// of the meter network, the bodies between collector, utility and TTP, the
// keys that protect them, and the block of readings inside a data message.
//
// A data message as the meter sends it (spec/protocol.md section 6):
//
//	0        1          9       10        14            14+24k   30+24k
//	+--------+----------+-------+---------+-------------+--------+--------+
//	| 0x01   | ID_SM    | epoch | counter | ciphertext  | GCM    | UC     |
//	|        |          | low   |         | of block    | tag    | tag    |
//	+--------+----------+-------+---------+-------------+--------+--------+
//	|<----- header, 14 bytes ------------>|             |        |
//	|<---------- covered by the UC tag -------------------------->|
//
// The utility checks the UC tag with a [Tagger], writes the pseudonym over
// ID_SM with [Rewrite] and drops the tag. The GCM tag covers the header with
// the pseudonym in it, so the meter seals for the header that the TTP will see.
//
// This package seals and never opens: package wire/open does, and only the TTP
// may import it. Decoders are strict: they refuse trailing bytes, values out
// of range and non-canonical forms, and what they accept encodes to the same
// bytes again. They never panic and never keep a reference to their input
// unless they say so.
package wire
