-- +goose Up
-- Integers hold 64-bit names as two's complement. Secrets are sealed with the folder's key.

CREATE TABLE meters (
    id_sm         INTEGER PRIMARY KEY,
    secret        BLOB    NOT NULL, -- sealed S_SM-UC
    password_hash BLOB    NOT NULL, -- of the link password
    roster        INTEGER NOT NULL, -- serial of the last change that collectors must hear of
    mu            BLOB,             -- the meter's user value, once it registered
    last_time     INTEGER NOT NULL DEFAULT 0, -- meter's time of the last accepted request
    last_epoch    INTEGER NOT NULL DEFAULT 0  -- of the last M1
);

CREATE INDEX meters_by_roster ON meters (roster);

-- An an-ID holds for the epochs above its base, up to and including the next base.
CREATE TABLE pseudonyms (
    id_sm INTEGER NOT NULL REFERENCES meters (id_sm),
    base  INTEGER NOT NULL,
    an_id INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (id_sm, base)
) WITHOUT ROWID;

CREATE TABLE statements (
    an_id       INTEGER NOT NULL,
    serial      INTEGER NOT NULL,
    statement   BLOB    NOT NULL,
    partial_key BLOB    NOT NULL, -- sealed
    enrolled    INTEGER NOT NULL DEFAULT 0, -- at the TTP: 0 waiting, 1 enrolled, 2 refused
    PRIMARY KEY (an_id, serial)
) WITHOUT ROWID;

CREATE INDEX statements_waiting ON statements (enrolled) WHERE enrolled = 0;

-- Serials of the TTP's key that were used: noted before a statement is signed,
-- since two statements with one serial are evidence against the KGC.
CREATE TABLE ttp_serials (
    serial INTEGER PRIMARY KEY
);

-- The one TTP that this utility uses.
CREATE TABLE ttp (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    uc_number      INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    serial         INTEGER NOT NULL,
    root_key       BLOB    NOT NULL, -- compressed point
    statement      BLOB    NOT NULL, -- signed, of the TTP's key
    root_statement BLOB    NOT NULL, -- signed by the TTP's root key
    bill_keys      BLOB    NOT NULL  -- JWKS
);

CREATE TABLE collectors (
    instance TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE tariffs (
    id       TEXT PRIMARY KEY,
    document BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE bills (
    an_id       INTEGER NOT NULL,
    tariff      TEXT    NOT NULL,
    from_second INTEGER NOT NULL,
    to_second   INTEGER NOT NULL,
    salt        BLOB    NOT NULL,
    jws         TEXT    NOT NULL,
    PRIMARY KEY (an_id, tariff, from_second, to_second)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE bills;
DROP TABLE tariffs;
DROP TABLE collectors;
DROP TABLE ttp;
DROP TABLE ttp_serials;
DROP TABLE statements;
DROP TABLE pseudonyms;
DROP TABLE meters;
