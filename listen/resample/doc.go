// Package resample changes the rate of sound: mono samples at one rate come
// in, as many as it takes at another go out. It brings recordings and
// microphones to the rate that everything here works at, and says an utterance
// slower or faster.
//
// It keeps no more than its filter is long, and never writes anything anywhere.
package resample
