// Package mic opens a microphone.
//
// In: a listening session that a person confirmed (consent.Session), and a
// function to hand sound to. Out: mono samples at 16 kHz, as they are heard,
// until the session's deadline, when it stops by itself.
//
// It never opens a microphone without such a session, or after its deadline;
// never before a chime has been heard (or, without loudspeakers, a terminal's
// bell); in a push-to-talk session never hands on sound while the key is up;
// and keeps no sound: every copy it makes is overwritten once it was handed on.
// Beside listen/onnx it is the only package that needs cgo.
package mic
