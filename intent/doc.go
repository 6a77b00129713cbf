// Package intent finds purchase intent in everyday talk, on the device.
//
// In: the last utterances of a conversation, as text, and the topics that a
// participant agreed to. Out: findings, each a category of the catalogue, a
// stage and a score, and a count of what was suppressed. No word of what was
// said is in a finding, and the package never keeps, logs or sends one: it
// opens no file and no connection, and imports nothing that could.
//
// Sensitive talk (invariant 4) is looked for first. A sensitive utterance gives
// nothing; neither does the shopping talk that follows from it. Suppression
// wins over every intent.
//
// The engine is rules over word lists, which are readable files in lexicon/;
// see docs/intent.md for their form and for the figures. Start with New, and
// with a Conversation where utterances arrive one by one.
package intent
