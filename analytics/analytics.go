// Package analytics tells what a home's energy shows, from nothing but its
// intervals. Its functions are pure. They look at measured energy alone and say
// how much of it there was: what is estimated would show the estimate, and what
// is missing shows nothing.
package analytics
