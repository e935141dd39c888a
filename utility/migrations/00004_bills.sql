-- +goose Up
-- Bills with the proofs that they are in the TTP's log.
DROP TABLE bills;

CREATE TABLE bills (
    id          INTEGER PRIMARY KEY,
    an_id       INTEGER NOT NULL,
    tariff      TEXT    NOT NULL,
    from_second INTEGER NOT NULL,
    to_second   INTEGER NOT NULL,
    correction  INTEGER NOT NULL DEFAULT 0, -- 1: of the bill with the same names
    salt        BLOB    NOT NULL,
    jws         TEXT    NOT NULL,
    place       INTEGER NOT NULL, -- in the log
    hashes      BLOB    NOT NULL, -- audit path, 32 bytes each
    checkpoint  INTEGER NOT NULL REFERENCES checkpoints (id),
    UNIQUE (an_id, tariff, from_second, to_second, correction)
);

-- Checkpoints of TTPs' logs that this utility has cosigned.
CREATE TABLE checkpoints (
    id   INTEGER PRIMARY KEY,
    ttp  TEXT NOT NULL,
    note TEXT NOT NULL
);

-- Two checkpoints of one log of which neither continues the other.
CREATE TABLE log_evidence (
    ttp     TEXT    NOT NULL,
    kept    TEXT    NOT NULL,
    offered TEXT    NOT NULL,
    seen    INTEGER NOT NULL,
    UNIQUE (ttp, kept, offered)
);

CREATE TABLE series (
    name        TEXT    NOT NULL,
    from_second INTEGER NOT NULL,
    document    BLOB    NOT NULL,
    PRIMARY KEY (name, from_second)
);

ALTER TABLE ttps ADD COLUMN log_origin TEXT; -- of its bill log; null until it told
ALTER TABLE ttps ADD COLUMN log_key    TEXT; -- verifier key

-- +goose Down
ALTER TABLE ttps DROP COLUMN log_key;
ALTER TABLE ttps DROP COLUMN log_origin;
DROP TABLE series;
DROP TABLE log_evidence;
DROP TABLE bills;
DROP TABLE checkpoints;
CREATE TABLE bills (
    an_id       INTEGER NOT NULL,
    tariff      TEXT    NOT NULL,
    from_second INTEGER NOT NULL,
    to_second   INTEGER NOT NULL,
    salt        BLOB    NOT NULL,
    jws         TEXT    NOT NULL,
    PRIMARY KEY (an_id, tariff, from_second, to_second)
) WITHOUT ROWID;
