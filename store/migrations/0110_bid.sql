-- Bids and money. An erasure takes the participant and the signal out of a bid;
-- what is left is the anonymous line that was billed. A day is UTC. Amounts are
-- billionths (leased, spent) or millionths a thousand (cpm, charged).

CREATE TABLE bids (
    bid         TEXT PRIMARY KEY,
    at          BIGINT NOT NULL,
    day         TEXT NOT NULL,
    participant TEXT NOT NULL,
    audience    TEXT NOT NULL,
    signal      TEXT NOT NULL,
    rule        TEXT NOT NULL,
    advertiser  TEXT NOT NULL,
    campaign    TEXT NOT NULL,
    line        TEXT NOT NULL,
    creative    TEXT NOT NULL,
    cpm         BIGINT NOT NULL,
    state       TEXT NOT NULL,
    charged     BIGINT NOT NULL,
    billed_at   BIGINT NOT NULL,
    recorded    INTEGER NOT NULL
);
CREATE INDEX bids_by_time ON bids (at);
CREATE INDEX bids_by_participant ON bids (participant);
CREATE INDEX bids_unrecorded ON bids (at) WHERE state = 'billed' AND recorded = 0;

CREATE TABLE line_days (
    line   TEXT NOT NULL,
    day    TEXT NOT NULL,
    leased BIGINT NOT NULL,
    spent  BIGINT NOT NULL,
    PRIMARY KEY (line, day)
);
