// Package server is the data directory of one server: what makes it that server
// and no other.
//
// In: a directory, and whether the server is simulated. Out: [Data], which
// holds the directory's lock, its keys and its operator token for as long as
// the process runs. A new directory gets its keys and its stamp here; an old
// one is checked first: a second server, another stamp, or keys that others
// could read are refused with what to do about it.
//
// Never: a way around the stamp. A directory that was simulated once stays so
// for life, and one that was not never takes simulated signals.
package server
