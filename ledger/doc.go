// Package ledger is what the transparency log holds: salted commitments and
// nothing else (invariant 8).
//
// In: the named facts of one step of the story, each with a salt of its own.
// Out: a commitment, and the leaf of the log that carries it.
//
//	field hash  = SHA-256("aloud/field/1" 0x00 ‖ salt ‖ len(name) ‖ name ‖ value)
//	commitment  = SHA-256("aloud/commitment/1" 0x00 ‖ len(kind) ‖ kind ‖ count ‖ field hashes in order)
//	leaf        = version 1 ‖ kind number ‖ commitment, 34 bytes
//
// Lengths and counts are two bytes, big endian. Because each field has its own
// salt, a fact can be shown without the others: whoever has the hash of a field
// that is withheld still recomputes the commitment.
//
// A leaf never holds a fact, a pseudonym or a time. The package is pure, knows
// no storage, and compiles to WebAssembly; folder tiles writes the log.
package ledger
