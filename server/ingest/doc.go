// Package ingest is the server's HTTP API: what devices, the advertisers' own
// sources, the operator and ad exchanges call.
//
// In: JSON, and nothing else. A device sends consent receipts, signals,
// withdrawals and erasures: signed tokens of closed fields, at most 4 kB a
// signal. A source sends Segment calls, an exchange OpenRTB bid requests, the
// operator audiences and campaigns. Out: JSON, or an RFC 9457 problem whose
// detail says what to do.
//
// Never: audio or a transcript. No route takes a media type other than JSON,
// no field of a device's body is free text, unknown fields are refused, and a
// test walks every route to hold that. The access log holds no body, address,
// identifier, token or key.
//
// A request's way in: [API.ServeHTTP] gives it an id, finds its [Route], and
// refuses it there if the server is busy or not ready, the caller has not
// proved who they are, the body is too large or of another type. Then the
// route's handler calls one stage. What the stages are is cmd's to say: this
// package only knows the small interfaces in [Config].
package ingest
