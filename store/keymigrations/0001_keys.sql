-- Wrapped keys, and the hashes of those to forget. This database stays out of
-- backups.

CREATE TABLE keys (
    handle      BYTEA PRIMARY KEY,
    participant TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    wrapped     BYTEA NOT NULL,
    UNIQUE (participant, purpose)
);

CREATE TABLE forgotten (hash BYTEA PRIMARY KEY, at BIGINT NOT NULL);
