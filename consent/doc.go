// Package consent is what a participant agreed to, made checkable.
//
// In: a notice, the choices made on it, and a person at a terminal. Out:
//
//   - a Receipt, signed by the device and countersigned by the server: who
//     agreed to which purposes, on which exact text, until when;
//   - a Grant, the proof in memory that one purpose is in force: only this
//     package makes one, out of a receipt whose signatures it checked, and
//     every stage that needs permission demands one;
//   - a Session, the right to open a microphone for a while: only this package
//     makes one, out of a Grant and a phrase that a person typed at the
//     terminal (see ConfirmAtTerminal);
//   - a Withdrawal of one purpose and an Erasure of everything, as tokens that
//     the device signs.
//
// The zero Grant and the zero Session are refused everywhere. The package keeps
// no state and reads no file but the controlling terminal. It never holds a
// name, an address or anything that was said: a participant is a pseudonym that
// the device made.
//
// The receipt carries the fields of ISO/IEC TS 27560 (consent record
// information structure) and of the Kantara Initiative's Consent Receipt
// Specification 1.1; each field says which. It is one JSON object in the JWS
// General JSON Serialization (RFC 7515 §7.2.1) with two signatures over the same
// payload. Package jws says how strictly it is read.
package consent
