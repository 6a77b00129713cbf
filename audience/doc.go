// Package audience keeps who is in which audience, current in seconds.
//
// In: the stream of envelopes, and rules (a category, stages, a window, a
// territory). Out: membership, in the database and in memory for bidders, and
// the records that the ledger commits to.
//
// The Keeper reads the stream in order and applies each member of each group
// once: identity, profile, then membership, in one transaction that also holds
// the sequence. A replay from the start makes the same tables. The Index is
// what a bidder asks: the whole membership in memory, which says nothing at all
// once nobody has kept it current for 3 seconds.
//
// A member exists only because of a signal: there is no way to add one. No
// audience under 50 people is usable, nobody is inside a territory whose whole
// cell is not, and a rule can't name an identifier.
package audience
