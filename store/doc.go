// Package store keeps what is derived from the stream, and what accounts and
// campaigns are, in SQL.
//
// In: typed calls, a file for each stage. Out: rows. The engine is SQLite in
// pure Go, with a write-ahead log synced at every commit; the SQL is what
// PostgreSQL takes too. One writer at a time works in a transaction (Update);
// readers (View) are never in its way.
//
// Keys are a database of their own (OpenKeys), small and outside backups.
//
// The package never decides anything: stages do. It never keeps a deleted row:
// pages are overwritten, and Truncate empties the log.
package store
