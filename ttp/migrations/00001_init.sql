-- +goose Up
-- Integers hold 64-bit names as two's complement. Secrets are sealed with the folder's key.

CREATE TABLE utilities (
    number    INTEGER PRIMARY KEY,
    org       TEXT    NOT NULL UNIQUE,
    authority BLOB    NOT NULL, -- certificate, DER
    user_key  BLOB    NOT NULL  -- sealed z towards this utility
);

-- The TTP's own keys towards a utility. The newest is in force; the others
-- open what meters encrypt before they hear of it.
CREATE TABLE own_keys (
    uc             INTEGER NOT NULL REFERENCES utilities (number),
    serial         INTEGER NOT NULL,
    kgc            BLOB    NOT NULL, -- compressed point that signed the statement
    partial_key    BLOB    NOT NULL, -- sealed
    statement      BLOB    NOT NULL, -- signed
    root_statement BLOB    NOT NULL, -- signed
    PRIMARY KEY (uc, serial)
) WITHOUT ROWID;

CREATE TABLE statements (
    uc        INTEGER NOT NULL REFERENCES utilities (number),
    an_id     INTEGER NOT NULL,
    serial    INTEGER NOT NULL,
    statement BLOB    NOT NULL,
    PRIMARY KEY (uc, an_id, serial)
) WITHOUT ROWID;

-- Two signed statements with one identity and one serial: the KGC cheats.
CREATE TABLE evidence (
    uc      INTEGER NOT NULL,
    kept    BLOB    NOT NULL,
    offered BLOB    NOT NULL,
    seen    INTEGER NOT NULL,
    PRIMARY KEY (uc, kept, offered)
) WITHOUT ROWID;

CREATE TABLE meters (
    uc         INTEGER NOT NULL,
    an_id      INTEGER NOT NULL,
    last_epoch INTEGER NOT NULL DEFAULT 0,
    confirmed  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (uc, an_id)
) WITHOUT ROWID;

CREATE TABLE sessions (
    uc           INTEGER NOT NULL,
    an_id        INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    low          INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'closed')),
    series       INTEGER NOT NULL,
    chain        INTEGER NOT NULL,
    pinned       INTEGER NOT NULL,
    m1           BLOB    NOT NULL, -- SHA-256 of its body
    m2           BLOB    NOT NULL, -- body
    transcript   BLOB    NOT NULL, -- T
    keys         BLOB    NOT NULL, -- sealed
    created      INTEGER NOT NULL,
    successor_at INTEGER,          -- when a later epoch became active
    PRIMARY KEY (uc, an_id, epoch)
) WITHOUT ROWID;

CREATE INDEX sessions_by_successor ON sessions (successor_at) WHERE successor_at IS NOT NULL;
CREATE INDEX sessions_pending ON sessions (created) WHERE state = 'pending';

-- The exchanges of the last day, which are limited. Sessions do not tell them:
-- they are retired sooner.
CREATE TABLE exchanges (
    uc    INTEGER NOT NULL,
    an_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (uc, an_id, epoch)
) WITHOUT ROWID;

CREATE TABLE events (
    id    INTEGER PRIMARY KEY,
    uc    INTEGER NOT NULL,
    an_id INTEGER NOT NULL,
    kind  TEXT    NOT NULL,
    epoch INTEGER NOT NULL,
    at    INTEGER NOT NULL
);

CREATE TABLE tariffs (
    uc         INTEGER NOT NULL REFERENCES utilities (number),
    id         TEXT    NOT NULL,
    document   BLOB    NOT NULL,
    registered INTEGER NOT NULL,
    PRIMARY KEY (uc, id)
) WITHOUT ROWID;

CREATE TABLE bills (
    uc          INTEGER NOT NULL,
    an_id       INTEGER NOT NULL,
    tariff      TEXT    NOT NULL,
    from_second INTEGER NOT NULL,
    to_second   INTEGER NOT NULL,
    salt        TEXT    NOT NULL,
    secret      BLOB    NOT NULL, -- of readings_root, for the consumer alone
    jws         TEXT    NOT NULL,
    issued      INTEGER NOT NULL,
    PRIMARY KEY (uc, an_id, tariff, from_second, to_second)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE bills;
DROP TABLE tariffs;
DROP TABLE events;
DROP TABLE exchanges;
DROP TABLE sessions;
DROP TABLE meters;
DROP TABLE evidence;
DROP TABLE statements;
DROP TABLE own_keys;
DROP TABLE utilities;
