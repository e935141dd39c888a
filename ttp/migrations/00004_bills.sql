-- +goose Up
-- A bill is durable with all that follows from it, in one transaction, before
-- it goes to the log and before anybody sees it.
DROP TABLE bills;

CREATE TABLE bills (
    id          INTEGER PRIMARY KEY,
    uc          INTEGER NOT NULL,
    tariff      TEXT    NOT NULL,
    from_second INTEGER NOT NULL,
    to_second   INTEGER NOT NULL,
    an_id       INTEGER NOT NULL,
    correction  INTEGER NOT NULL DEFAULT 0, -- 1: of the bill with the same names
    given_with  INTEGER,                    -- of a correction: the bill that it was given with
    salt        BLOB    NOT NULL,
    secret      BLOB    NOT NULL,           -- sealed; salts of the days come from it
    jws         TEXT    NOT NULL,
    issued      INTEGER NOT NULL,
    shape       BLOB    NOT NULL,           -- digest of what it told
    open        INTEGER NOT NULL            -- 1: late readings may still correct it
);

CREATE UNIQUE INDEX bills_by_request ON bills (uc, tariff, from_second, to_second, an_id, correction);
CREATE INDEX bills_open ON bills (uc, an_id) WHERE open = 1;
CREATE INDEX bills_given_with ON bills (given_with) WHERE given_with IS NOT NULL;
CREATE INDEX bills_by_meter ON bills (uc, an_id);

-- Where bills are in the log. A bill without a place is added again when it is
-- asked for.
CREATE TABLE log_places (
    bill  INTEGER PRIMARY KEY REFERENCES bills (id),
    place INTEGER NOT NULL
);

-- The disclosure gate's (spec/gate.md sections 6 and 7).
CREATE TABLE shapes (
    digest BLOB NOT NULL PRIMARY KEY,
    shape  BLOB NOT NULL
);

CREATE TABLE histories (
    uc      INTEGER NOT NULL,
    an_id   INTEGER NOT NULL,
    history BLOB    NOT NULL,
    PRIMARY KEY (uc, an_id)
);

-- What a utility was told of a meter, or refused, for the consumer: names of
-- quantities, never values.
CREATE TABLE disclosures (
    id          INTEGER PRIMARY KEY,
    uc          INTEGER NOT NULL,
    an_id       INTEGER NOT NULL,
    kind        TEXT    NOT NULL, -- bill, correction, refusal, unsettled
    tariff      TEXT    NOT NULL,
    from_second INTEGER NOT NULL,
    to_second   INTEGER NOT NULL,
    told        TEXT    NOT NULL, -- names, joined by commas
    withheld    TEXT    NOT NULL, -- names with the gate's rules, joined by commas
    rule        TEXT    NOT NULL, -- of a refusal
    at          INTEGER NOT NULL, -- first
    last        INTEGER NOT NULL, -- of a refusal that was asked for again
    times       INTEGER NOT NULL
);

CREATE INDEX disclosures_by_meter ON disclosures (uc, an_id);
CREATE UNIQUE INDEX refusals ON disclosures (uc, an_id, tariff, from_second, to_second, kind, rule) WHERE rule <> '';

-- The highest mean power of months that were billed, for ratchets.
CREATE TABLE peaks (
    uc     INTEGER NOT NULL,
    an_id  INTEGER NOT NULL,
    demand TEXT    NOT NULL,
    month  INTEGER NOT NULL, -- since January 1970
    watts  INTEGER NOT NULL,
    PRIMARY KEY (uc, an_id, demand, month)
) WITHOUT ROWID;

-- Price series in parts, which join and do not overlap.
CREATE TABLE series (
    uc          INTEGER NOT NULL REFERENCES utilities (number),
    name        TEXT    NOT NULL,
    from_second INTEGER NOT NULL,
    document    BLOB    NOT NULL,
    registered  INTEGER NOT NULL,
    PRIMARY KEY (uc, name, from_second)
);

CREATE TABLE bill_keys (
    id         TEXT    NOT NULL PRIMARY KEY, -- RFC 7638 thumbprint
    seed       BLOB    NOT NULL,             -- sealed
    made       INTEGER NOT NULL,
    signs_from INTEGER NOT NULL
);

ALTER TABLE utilities ADD COLUMN gate TEXT;       -- settings in JSON, null for the defaults
ALTER TABLE utilities ADD COLUMN witness TEXT;    -- verifier key of the utility's witness
ALTER TABLE utilities ADD COLUMN checkpoint TEXT; -- last one that the utility cosigned
ALTER TABLE utilities ADD COLUMN log_size INTEGER NOT NULL DEFAULT 0; -- of that checkpoint

-- +goose Down
ALTER TABLE utilities DROP COLUMN log_size;
ALTER TABLE utilities DROP COLUMN checkpoint;
ALTER TABLE utilities DROP COLUMN witness;
ALTER TABLE utilities DROP COLUMN gate;
DROP TABLE bill_keys;
DROP TABLE series;
DROP TABLE peaks;
DROP TABLE disclosures;
DROP TABLE histories;
DROP TABLE shapes;
DROP TABLE log_places;
DROP TABLE bills;
CREATE TABLE bills (
    uc          INTEGER NOT NULL,
    an_id       INTEGER NOT NULL,
    tariff      TEXT    NOT NULL,
    from_second INTEGER NOT NULL,
    to_second   INTEGER NOT NULL,
    salt        TEXT    NOT NULL,
    jws         TEXT    NOT NULL,
    issued      INTEGER NOT NULL,
    PRIMARY KEY (uc, an_id, tariff, from_second, to_second)
) WITHOUT ROWID;
