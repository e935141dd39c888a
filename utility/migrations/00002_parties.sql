-- +goose Up
-- Several TTPs. A meter belongs to one.
CREATE TABLE ttps (
    name           TEXT    PRIMARY KEY, -- organisation
    uc_number      INTEGER NOT NULL,    -- this utility's number there
    serial         INTEGER NOT NULL,
    root_key       BLOB    NOT NULL, -- compressed point
    statement      BLOB    NOT NULL, -- signed, of the TTP's key
    root_statement BLOB    NOT NULL, -- signed by the TTP's root key
    bill_keys      BLOB    NOT NULL  -- JWKS
) WITHOUT ROWID;

INSERT INTO ttps (name, uc_number, serial, root_key, statement, root_statement, bill_keys)
SELECT name, uc_number, serial, root_key, statement, root_statement, bill_keys FROM ttp;

DROP TABLE ttp;

ALTER TABLE meters ADD COLUMN ttp TEXT NOT NULL DEFAULT ''; -- empty: the only one

-- SHA-256 of the key (SubjectPublicKeyInfo) that the collector's certificates
-- are for; null in a registry of before, where any of the name is good.
ALTER TABLE collectors ADD COLUMN key_hash BLOB;

-- Where meters reach the collector; empty if the utility was not told.
ALTER TABLE collectors ADD COLUMN address TEXT NOT NULL DEFAULT '';

-- When a meter was last heard of, and by which collector.
CREATE TABLE sightings (
    id_sm     INTEGER PRIMARY KEY REFERENCES meters (id_sm),
    heard     INTEGER NOT NULL, -- Unix seconds, of the collector's post
    collector TEXT    NOT NULL
);

-- +goose Down
DROP TABLE sightings;
ALTER TABLE collectors DROP COLUMN address;
ALTER TABLE collectors DROP COLUMN key_hash;
ALTER TABLE meters DROP COLUMN ttp;
CREATE TABLE ttp (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    uc_number      INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    serial         INTEGER NOT NULL,
    root_key       BLOB    NOT NULL,
    statement      BLOB    NOT NULL,
    root_statement BLOB    NOT NULL,
    bill_keys      BLOB    NOT NULL
);
INSERT INTO ttp (id, uc_number, name, serial, root_key, statement, root_statement, bill_keys)
SELECT 1, uc_number, name, serial, root_key, statement, root_statement, bill_keys FROM ttps ORDER BY name LIMIT 1;
DROP TABLE ttps;
