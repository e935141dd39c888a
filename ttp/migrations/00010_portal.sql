-- +goose Up
-- The consumer's portal (spec/portal.md section 4). No row tells who a
-- consumer is; days are Unix seconds at 00:00 UTC.

ALTER TABLE meters ADD COLUMN locator INTEGER; -- of claim codes; null until the TTP is opened
CREATE INDEX meters_by_locator ON meters (locator);

-- Claim codes of destroyed epochs: 4 bytes of a hash each, oldest first.
CREATE TABLE retired_codes (
    uc      INTEGER NOT NULL,
    an_id   INTEGER NOT NULL,
    digests BLOB    NOT NULL,
    PRIMARY KEY (uc, an_id)
) WITHOUT ROWID;

-- Failed claims on a meter.
CREATE TABLE claim_flags (
    uc     INTEGER NOT NULL,
    an_id  INTEGER NOT NULL,
    raised INTEGER NOT NULL, -- when last, Unix seconds
    times  INTEGER NOT NULL,
    PRIMARY KEY (uc, an_id)
) WITHOUT ROWID;

CREATE TABLE accounts (
    account BLOB    PRIMARY KEY,
    created INTEGER NOT NULL -- day
) WITHOUT ROWID;

CREATE TABLE passkeys (
    id         BLOB    PRIMARY KEY, -- credential
    account    BLOB    NOT NULL REFERENCES accounts (account) ON DELETE CASCADE,
    public_key BLOB    NOT NULL,    -- COSE
    count      INTEGER NOT NULL,    -- of signatures
    flags      INTEGER NOT NULL,    -- backup eligible 1, backed up 2
    number     INTEGER NOT NULL,
    created    INTEGER NOT NULL,    -- day
    used       INTEGER NOT NULL,    -- day
    UNIQUE (account, number)
) WITHOUT ROWID;

CREATE TABLE portal_sessions (
    token     BLOB    PRIMARY KEY, -- SHA-256
    account   BLOB    NOT NULL REFERENCES accounts (account) ON DELETE CASCADE,
    passkey   BLOB    NOT NULL REFERENCES passkeys (id) ON DELETE CASCADE,
    began     INTEGER NOT NULL,
    ends      INTEGER NOT NULL,
    confirmed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX portal_sessions_by_account ON portal_sessions (account);
CREATE INDEX portal_sessions_by_passkey ON portal_sessions (passkey);
CREATE INDEX portal_sessions_by_end ON portal_sessions (ends);

CREATE TABLE claims (
    uc      INTEGER NOT NULL,
    an_id   INTEGER NOT NULL,
    account BLOB    NOT NULL REFERENCES accounts (account) ON DELETE CASCADE,
    ref     TEXT    NOT NULL UNIQUE,
    since   INTEGER NOT NULL, -- day
    PRIMARY KEY (uc, an_id)
) WITHOUT ROWID;
CREATE INDEX claims_by_account ON claims (account);

CREATE TABLE takeovers (
    uc      INTEGER NOT NULL,
    an_id   INTEGER NOT NULL,
    account BLOB    NOT NULL REFERENCES accounts (account) ON DELETE CASCADE,
    due     INTEGER NOT NULL,
    PRIMARY KEY (uc, an_id)
) WITHOUT ROWID;
CREATE INDEX takeovers_by_due ON takeovers (due);
CREATE INDEX takeovers_by_account ON takeovers (account);

-- +goose Down
DROP TABLE takeovers;
DROP TABLE claims;
DROP TABLE portal_sessions;
DROP TABLE passkeys;
DROP TABLE accounts;
DROP TABLE claim_flags;
DROP TABLE retired_codes;
DROP INDEX meters_by_locator;
ALTER TABLE meters DROP COLUMN locator;
