// Package meter is the agent on a smart meter. It reads the registers at each
// interval's end, keeps the readings in a ring, seals them for the TTP and
// publishes them to a collector, which cannot read them and neither can the
// utility behind it (spec/protocol.md sections 2, 4, 5.4 and 6).
//
// An [Agent] needs a link to its collectors, a source of readings, a vault for
// its secrets and a ring for its readings:
//
//	          provision.Record
//	                 │
//	Source ──▶ ┌───────────┐ ──▶ Link.Publish
//	 registers │   Agent   │      M1, M3, registration request, data
//	           └───────────┘ ◀── Link.Receive
//	              │     │         M2, registration answer, rekey notice, receipt
//	            Vault  Ring
//
// and goes through these states:
//
//	unregistered ── valid answer ──▶ registered ── start ──▶ exchanging ── M2 ──▶ keyed
//	                                                            ▲                   │
//	                                                            └──── rekey due ────┘
//
// [Agent.Step] does all that is due at one moment and is what tests and
// simulations call; [Agent.Run] calls it whenever something is due.
//
// # What is never lost, and what is never done twice
//
// A reading stays in the ring until newer ones need its place, 40 days later
// unless set otherwise. It is pending until the collector has acknowledged the
// message that carries it, and pending again when a rekey notice says that the
// TTP could not open that message, or a receipt that it has not got it. A
// sealed message is sent again with the same bytes only. Counters are reserved
// in the vault before they are used, and after a start nothing is sealed under
// an epoch of the start before: the agent negotiates a new one first.
//
// A ring on a disk (package meter/ring) keeps over a stop what was not sent,
// the message that was on its way, and what the collectors have acknowledged.
// Without one the ring is in memory: what a meter had not sent when it stopped
// is gone then. Since it sends registers and not intervals, no energy is.
package meter
