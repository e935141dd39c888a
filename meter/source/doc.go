// Package source yields what a meter measures: the energy of each interval of
// a household, from a wide CSV file of measured homes or from a simulator.
//
// Everything is a [Load]: ask for the interval that starts at a Unix second,
// get its import and export in whole Wh. Two sources follow each other with
// [Then]. [Registers] turns a load into the pair of registers that a meter's
// metrology would show, base plus cumulative energy modulo 2^40, which is what
// the meter's agent reads.
//
// A load answers the same question with the same numbers every time, so a run
// can be repeated, and a meter that starts again can go on where it stopped.
//
// [Household] is the demo's default input. Its model is in household.go and
// the files beside it: traits.go says who lives there and cites the published
// facts, day.go and appliance.go what they switch on, heat.go what heating and
// the car draw, sun.go what the roof feeds in.
//
// Energy is private. What holds it redacts itself when it is printed, and an
// error about a file names line and column but does not repeat a number.
package source
