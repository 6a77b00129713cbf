// Package intent holds what the intent engine is trained on and judged by: talk
// that was written for it by hand, and nothing else.
//
// In: the files beside it. train/ has exchanges for each category of the
// catalogue, with and without an intent; talk/ has everyday talk in which nobody
// buys; sensitive/ has talk about what invariant 4 protects, and what only
// sounds like it; validation/ has whole conversations that judge, written by
// another hand and never trained on. Out: Blocks, for whoever trains, and the
// tests that keep the files sound. README.md has the form and the counts.
//
// Nothing of it is in the binary, and it never reads the evaluation data that
// lies beside the repository.
package intent
