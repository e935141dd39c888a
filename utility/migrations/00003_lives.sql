-- +goose Up
-- Moves, replaced and retired meters (spec/protocol.md section 4.6).
ALTER TABLE meters ADD COLUMN added INTEGER NOT NULL DEFAULT 0;  -- place in the order of being added
ALTER TABLE meters ADD COLUMN predecessor INTEGER;               -- ID_SM that it replaces
ALTER TABLE meters ADD COLUMN rekey INTEGER NOT NULL DEFAULT 0;  -- 1: another user value is accepted once
ALTER TABLE meters ADD COLUMN move_at INTEGER;                   -- Unix seconds of a move that is to come
ALTER TABLE meters ADD COLUMN retired INTEGER;                   -- Unix seconds at which the operator retired it
ALTER TABLE meters ADD COLUMN drained INTEGER;                   -- Unix seconds from which on it is unknown
ALTER TABLE meters ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;   -- 1: its secret is destroyed

UPDATE meters SET added = roster;

CREATE INDEX meters_by_added ON meters (added);
CREATE INDEX meters_by_predecessor ON meters (predecessor) WHERE predecessor IS NOT NULL;
CREATE INDEX meters_draining ON meters (drained) WHERE drained IS NOT NULL AND gone = 0;

-- A replaced device and its successor have one an-ID, and so has a meter that
-- lost its vault, under two bases.
CREATE TABLE ranges (
    id_sm INTEGER NOT NULL REFERENCES meters (id_sm),
    base  INTEGER NOT NULL,
    an_id INTEGER NOT NULL,
    since INTEGER NOT NULL DEFAULT 0, -- Unix seconds of the move that began it, 0 without one
    PRIMARY KEY (id_sm, base)
) WITHOUT ROWID;

INSERT INTO ranges (id_sm, base, an_id) SELECT id_sm, base, an_id FROM pseudonyms;
DROP TABLE pseudonyms;
ALTER TABLE ranges RENAME TO pseudonyms;
CREATE INDEX pseudonyms_by_an_id ON pseudonyms (an_id);

-- +goose Down
CREATE TABLE ranges (
    id_sm INTEGER NOT NULL REFERENCES meters (id_sm),
    base  INTEGER NOT NULL,
    an_id INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (id_sm, base)
) WITHOUT ROWID;
INSERT OR IGNORE INTO ranges (id_sm, base, an_id) SELECT id_sm, base, an_id FROM pseudonyms ORDER BY base;
DROP TABLE pseudonyms;
ALTER TABLE ranges RENAME TO pseudonyms;
DROP INDEX meters_draining;
DROP INDEX meters_by_predecessor;
DROP INDEX meters_by_added;
ALTER TABLE meters DROP COLUMN gone;
ALTER TABLE meters DROP COLUMN drained;
ALTER TABLE meters DROP COLUMN retired;
ALTER TABLE meters DROP COLUMN move_at;
ALTER TABLE meters DROP COLUMN rekey;
ALTER TABLE meters DROP COLUMN predecessor;
ALTER TABLE meters DROP COLUMN added;
