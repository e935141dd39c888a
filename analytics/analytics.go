// Package analytics tells what a meter's intervals say beside their sum: what a
// home's energy shows, and what is to come of it. It is pure: the same intervals
// always give the same answer. It prices nothing.
//
// Figures of what was look at measured energy alone and say how much of it there
// was: what is estimated would show the estimate, and what is missing shows
// nothing.
package analytics
