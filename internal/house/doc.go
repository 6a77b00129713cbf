// Package house tests how Aloud is built: who may import whom, and what every
// folder owes its reader.
//
// In: the source files under a folder. Out: for each rule in the table of
// rules.go the places where it is broken, with the reason for the rule. It runs
// nothing and changes nothing, and nothing of the story may import it: it
// exists for its test, which applies the rules to this repository and, to show
// that they can fail, to a small broken house in testdata.
package house
