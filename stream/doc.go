// Package stream keeps the ordered, durable record of what happened: NATS
// JetStream, inside this process.
//
// In: groups of envelopes, each for one partition. Out: a sequence number once
// the group is on disk, and later the groups in order, from any sequence.
//
// Publish answers only after the message was written and synced: the embedded
// server runs with SyncAlways. It opens no port and handles no signals. Config
// has a URL in its place for a cluster; nothing else differs, so there is no
// second code path.
//
// The package never looks inside a group, never drops the oldest to make room
// (a full stream refuses), and never answers for a message that it did not see
// stored.
package stream
