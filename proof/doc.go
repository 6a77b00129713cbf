// Package proof checks, offline, that one billed impression had everything
// behind it that Aloud promises: a voice signal, a consent, the territory, and a
// place in the transparency log for each.
//
// In: the evidence of one impression, as GET /v1/evidence/{bid} gives it, and
// what the verifier trusts: the server's keys and the log's. Out: a Report that
// says each step in words, or an error that says which step failed and why.
//
// Evidence is one line of JSON in one spelling:
//
//	{"evidence":{
//	   "format":"aloud-evidence/1",
//	   "impression":RECORD,                        what was bid, for whom, under which rule, at what price
//	   "membership":RECORD,                        since when the participant was in that audience
//	   "signal":{"token":JWS,"record":RECORD},     what the device signed
//	   "receipt":{"signed":RECEIPT,"record":RECORD}, what the participant agreed to, countersigned
//	   "renewed":{…},                               the receipt at the time of the bid, if it was renewed since
//	   "checkpoint":NOTE},                         the log's signed checkpoint (C2SP tlog-checkpoint)
//	 "protected":…,"signature":…}                  the server's JWS over all of the above
//
// RECORD is {"kind","fields":[{"name","value","salt"}…],"leaf","path":[…]}: the
// facts, the salts that hid them (package ledger says how), the number of the
// leaf that holds their commitment, and the hashes that lead from it to the
// checkpoint's root. Hashes and salts are unpadded base64url.
//
// Every byte is signed, committed to, or fixed by the form, so a file in which
// one was changed is refused. The package needs no network and no clock, and
// compiles to WebAssembly. It never decides for itself whom to trust.
package proof
