-- What is derived from the stream. A rebuild empties these tables and applies
-- the stream again. Times are unix milliseconds.

CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);

CREATE TABLE participants (
    participant  TEXT PRIMARY KEY,
    partition_no INTEGER NOT NULL,
    forget       BYTEA NOT NULL UNIQUE
);

CREATE TABLE receipts (
    participant TEXT NOT NULL,
    hash        BYTEA NOT NULL,
    seq         BIGINT NOT NULL,
    handle      BYTEA NOT NULL,
    sealed      BYTEA NOT NULL,
    PRIMARY KEY (participant, hash)
);

CREATE TABLE ended (
    participant TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    seq         BIGINT NOT NULL,
    PRIMARY KEY (participant, purpose)
);

CREATE TABLE links (
    kind        TEXT NOT NULL,
    value       TEXT NOT NULL,
    participant TEXT NOT NULL,
    source      TEXT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (kind, value)
);
CREATE INDEX links_by_participant ON links (participant);

CREATE TABLE signals (
    signal       TEXT PRIMARY KEY,
    participant  TEXT NOT NULL,
    partition_no INTEGER NOT NULL,
    digest       BYTEA NOT NULL,
    expires      BIGINT NOT NULL,
    handle       BYTEA NOT NULL,
    sealed       BYTEA NOT NULL
);
CREATE INDEX signals_by_participant ON signals (participant);
CREATE INDEX signals_by_expiry ON signals (expires);

CREATE TABLE seen (
    id          BYTEA PRIMARY KEY,
    kind        INTEGER NOT NULL,
    participant TEXT NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX seen_by_participant ON seen (participant);

CREATE TABLE event_counts (
    participant TEXT NOT NULL,
    source      TEXT NOT NULL,
    name        TEXT NOT NULL,
    count       BIGINT NOT NULL,
    last        BIGINT NOT NULL,
    PRIMARY KEY (participant, source, name)
);

CREATE TABLE weights (
    participant TEXT NOT NULL,
    category    TEXT NOT NULL,
    weight      DOUBLE PRECISION NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (participant, category)
);

CREATE TABLE heard (
    participant  TEXT NOT NULL,
    category     TEXT NOT NULL,
    stage        TEXT NOT NULL,
    partition_no INTEGER NOT NULL,
    signal       TEXT NOT NULL,
    at           BIGINT NOT NULL,
    cell         TEXT NOT NULL,
    PRIMARY KEY (participant, category, stage)
);
CREATE INDEX heard_by_category ON heard (partition_no, category);

CREATE TABLE rules (
    partition_no INTEGER NOT NULL,
    audience     TEXT NOT NULL,
    seq          BIGINT NOT NULL,
    rule         TEXT NOT NULL,
    PRIMARY KEY (partition_no, audience)
);

CREATE TABLE members (
    participant TEXT NOT NULL,
    audience    TEXT NOT NULL,
    category    TEXT NOT NULL,
    stage       TEXT NOT NULL,
    signal      TEXT NOT NULL,
    heard       BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    PRIMARY KEY (participant, audience)
);
CREATE INDEX members_by_end ON members (until);

CREATE TABLE applied (partition_no INTEGER PRIMARY KEY, seq BIGINT NOT NULL);

CREATE TABLE dead_letters (
    partition_no INTEGER NOT NULL,
    seq          BIGINT NOT NULL,
    member       INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    code         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    at           BIGINT NOT NULL,
    PRIMARY KEY (partition_no, seq, member)
);
