// Package campaign is who advertises what to which audience, for how much.
//
// In: advertisers and campaigns, as the operator enters them. Out: the Book, an
// immutable copy in memory in which a bidder finds the lines that may run for an
// audience now.
//
// Money is integers: a CPM is millionths of a dollar (micros) for a thousand
// impressions, so one impression costs as many billionths (Nanos) as the CPM has
// micros, and nothing is ever rounded. A campaign never names a person: it
// names audiences, and those have rules.
package campaign
