// Package outbox keeps what a device is about to send, on its disk, where the
// participant can see it and stop it.
//
// In: signals made under a grant, vetoes, withdrawals, an erasure. Out: batches
// of signed tokens to the server, and a list for the participant. A signal goes
// through these states, each on disk before anything follows from it:
//
//	waiting   it can be seen and vetoed; there is no token yet
//	signed    its wait is over and its one token exists; sent until answered
//	accepted  the server has it; the entry stays for the participant to see
//	refused   it won't be sent (again), and the entry says why
//
// So a crash at any point loses nothing that Add returned for and never signs a
// signal twice: what is sent again is the same token, which the server counts
// once. A withdrawal deletes what it covers in the same transaction that records
// it, and is itself sent until the server answers.
//
// It never holds an utterance, never signs without a grant in force, and never
// grows without bound: Add refuses when it is full, and what is over is kept in
// bounded number. Several processes may use one outbox at once.
package outbox
