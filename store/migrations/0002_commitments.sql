-- The ledger's outbox. It is not derived: the log refers to it. A rebuild meets
-- the same ids again and leaves it as it is.

CREATE TABLE commitments (
    seq         BIGINT PRIMARY KEY,
    id          BYTEA NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    participant TEXT,
    purpose     TEXT,
    cause       BIGINT NOT NULL, -- the stream's sequence
    ref         TEXT,
    handle      BYTEA,
    sealed      BYTEA,
    commitment  BYTEA,
    leaf_index  BIGINT
);
CREATE INDEX commitments_by_participant ON commitments (participant, kind, ref);
CREATE INDEX commitments_pending ON commitments (seq) WHERE leaf_index IS NULL;
