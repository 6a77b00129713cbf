-- Audiences: the database is their truth; their rules go into the stream.

CREATE TABLE audiences (
    audience   TEXT PRIMARY KEY,
    advertiser TEXT,
    name       TEXT NOT NULL,
    rule       TEXT NOT NULL,
    created    BIGINT NOT NULL,
    published  INTEGER NOT NULL DEFAULT 0
);
