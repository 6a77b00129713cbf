package bid

// Reason says in a word why there is no bid. It names no person: an exchange
// learns the same for someone who never enrolled and someone in no audience.
type Reason string

// The reasons, from those found first to those found last. If several offers
// fail, the one that came furthest gives the reason.
const (
	Regs           Reason = "regs"             // coppa, gdpr without consent, an opt-out, a device that asks not to be tracked
	Test           Reason = "test"             // a test request: nobody would pay
	Auction        Reason = "auction"          // a currency or a kind of auction that is not taken
	Suppressed     Reason = "suppressed"       // the page is about a sensitive subject, beside which no such ad runs
	NoMatch        Reason = "no_match"         // the request names no participant, or one in no audience
	NoConsent      Reason = "no_consent"       // a withdrawal or an erasure is under way
	Stale          Reason = "stale"            // a withdrawal might not be known yet
	BelowMinimum   Reason = "below_minimum"    // only in audiences of fewer than 50 people
	NoCampaign     Reason = "no_campaign"      // nobody advertises to these audiences now
	OutOfTerritory Reason = "out_of_territory" // the device says it is elsewhere now
	Blocked        Reason = "blocked"          // the publisher blocks the advertiser
	Size           Reason = "size"             // no creative fits
	Floor          Reason = "floor"            // the publisher wants more
	Cap            Reason = "cap"              // the person saw it often enough today
	Budget         Reason = "budget"           // the day's money is spent or reserved
	Timeout        Reason = "timeout"          // the answer would come too late
	Unavailable    Reason = "unavailable"      // bids can't be written down now
)

// Reasons lists all of them, in order.
func Reasons() []Reason {
	return []Reason{
		Regs, Test, Auction, Suppressed, NoMatch, NoConsent, Stale, BelowMinimum, NoCampaign, OutOfTerritory,
		Blocked, Size, Floor, Cap, Budget, Timeout, Unavailable,
	}
}

// furthest keeps the reason that was found last on the way to a bid.
func furthest(a, b Reason) Reason {
	for _, r := range Reasons() {
		if r == a {
			return b
		}
		if r == b {
			return a
		}
	}
	return b
}
