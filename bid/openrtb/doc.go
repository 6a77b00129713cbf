// Package openrtb speaks OpenRTB 2.6 for package bid.
//
// In: the bytes of a bid request. Out: the bytes of a bid response, or the
// reason why there is none. It reads what a bid needs and leaves the rest alone:
// unknown fields, other kinds of inventory and extensions don't matter, while a
// field it needs that is not as the specification says is an error that names it.
//
// Who the request is about comes from user.buyeruid, and from the ids in
// user.eids, also in user.ext.eids where older exchanges put them. What the
// exchange says about regulations is obeyed, not weighed: coppa, an opt-out by
// us_privacy, dnt or lmt mean no bid, and so does gdpr without a consent string
// that allows personalised ads.
//
// It never keeps or logs a request, and its response names no participant.
package openrtb
