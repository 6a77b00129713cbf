// Package aloud holds the words that every stage of Aloud shares: coded
// errors, typed ids, utterances and intents.
//
// Aloud turns what people say out loud, when they have agreed to it, into
// purchase intent that advertisers can act on. Read in this order, the folders
// tell the story:
//
//	consent   what a participant agreed to: receipts, grants, sessions
//	listen    speech becomes utterances, on the device, in memory
//	intent    utterances become findings; sensitive talk is suppressed here
//	signal    an intent and a grant become a signed signal that waits, then leaves
//	collector the server verifies, deduplicates and makes durable
//	identity  identifiers a participant gave lead to the participant
//	profile   signals and events become decaying weights
//	audience  profiles and rules become membership, by territory
//	campaign  advertisers, lines and creatives
//	bid       membership and campaigns answer an OpenRTB auction
//	erasure   withdrawal and erasure reach everything above
//	ledger    a commitment to each step goes into a transparency log
//	proof     anyone checks one impression's evidence, offline
//
// Imports point to earlier stages, to this package and to category, never to a
// later stage; internal/house tests that.
package aloud
