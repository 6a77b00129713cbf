// Package signal turns an intent and a grant into the only thing that may leave
// a device: a signed token of closed enums and numbers.
//
// In: an aloud.Intent, a consent.Grant for sharing signals, and a coarse place
// if the participant chose one. Out: a Pending that can be seen and vetoed, and
// when its wait is over a token, a compact JWS of type "aloud-signal+jwt" signed
// by the device key. On the server: a token becomes an Unverified, and with the
// device key on record a Signal.
//
// It never holds a word that was said, a name, an address, or a place finer than
// an S2 cell of level 12 (3 to 6 km²). Free text has no field: every member is
// an enum, a number of bounded precision, or an id whose length is fixed. Folder
// outbox keeps what waits on disk; folder uplink speaks to the server.
package signal
