// Package bid decides whether to bid for an ad impression, for how much, and
// keeps account of it.
//
// In: a request that names a participant by an identifier that Aloud issued,
// the membership in memory, the campaigns and the audiences' rules. Out: a bid
// with notice addresses, or one Reason why there is none; then, when the
// exchange says so, a won and a billed impression, and a record of it for the
// ledger.
//
// Candidates come from the participant's own memberships: nothing is scanned.
// Money is reserved before it is bid, out of slices of the daily budget that
// are leased from the database, so that no budget is overspent however many
// bids are open. A reservation that nobody bills returns when it is old (Hold).
//
// What is durable when: a bid is written down in batches within some 20 ms
// after it was made. Its billing waits for that write, so an impression that was
// billed always has its record; a bid that a crash took before it was written
// can't be billed, because it could not be proved. Billing moves the money, once,
// in one transaction; then the impression's record goes to the ledger's outbox,
// and if a crash comes between, the next start sends it.
//
// The package never bids when it can't know of a withdrawal (no heartbeat for 3
// seconds), never below an audience's minimum, and never hands a participant's
// pseudonym to an exchange.
package bid
