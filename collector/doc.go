// Package collector is where messages from devices and behavioural events
// become durable.
//
// In: signed receipts, signals, withdrawals and erasures, and Segment events.
// Out: envelopes on the stream, grouped by partition within a few
// milliseconds, and an answer to the sender that is given only after its group
// is on disk.
//
// Everything is verified here: signatures, the grant in force, the wait of
// invariant 5, the sender's clock, and that a jti counts once. A message leaves
// for the stream only as ciphertext: each participant has a key per purpose
// (Keyring), so that withdrawing a purpose or erasing a person makes what the
// stream holds unreadable.
//
// The package never takes audio or free text, never logs an identifier, and
// never answers "accepted" for what a crash could still lose.
package collector
