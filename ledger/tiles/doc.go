// Package tiles writes the transparency log: C2SP tlog-tiles in a folder, on
// Tessera's POSIX driver, with an Ed25519 signed checkpoint.
//
// In: the records that wait in the outbox of commitments (Outbox). Out: leaves,
// a checkpoint at most a second after there is something new, proofs of
// inclusion, and the files themselves over HTTP (Handler), which anyone may
// mirror.
//
// The drain takes records in order and is the log's only writer. A crash between
// the append and the mark can't lose a leaf, because what is not marked is given
// again; and can't write it twice, because a commitment is the same every time
// and the drain knows the leaves since the last mark (see Log.Drain).
//
// It never writes anything but ledger.Leaf, and never serves a file that is not
// part of the log's public form.
package tiles
