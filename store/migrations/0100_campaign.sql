-- Advertisers and campaigns: the database is their truth.

CREATE TABLE advertisers (
    advertiser TEXT PRIMARY KEY,
    seq        BIGINT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    domain     TEXT NOT NULL
);

CREATE TABLE campaigns (
    campaign   TEXT PRIMARY KEY,
    seq        BIGINT NOT NULL UNIQUE,
    advertiser TEXT NOT NULL REFERENCES advertisers (advertiser),
    name       TEXT NOT NULL,
    state      TEXT NOT NULL,
    created    BIGINT NOT NULL
);

CREATE TABLE lines (
    line         TEXT PRIMARY KEY,
    campaign     TEXT NOT NULL REFERENCES campaigns (campaign),
    place        INTEGER NOT NULL,
    audience     TEXT NOT NULL,
    cpm          BIGINT NOT NULL,
    daily_budget BIGINT NOT NULL,
    cap          INTEGER NOT NULL,
    starts       BIGINT NOT NULL,
    ends         BIGINT NOT NULL
);
CREATE INDEX lines_by_campaign ON lines (campaign);

CREATE TABLE creatives (
    creative TEXT PRIMARY KEY,
    line     TEXT NOT NULL REFERENCES lines (line),
    place    INTEGER NOT NULL,
    html     TEXT NOT NULL,
    width    INTEGER NOT NULL,
    height   INTEGER NOT NULL,
    landing  TEXT NOT NULL
);
CREATE INDEX creatives_by_line ON creatives (line);
