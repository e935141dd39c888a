-- +goose Up
-- What consumers choose, share and erase (spec/portal.md sections 8 and 10).

ALTER TABLE meters ADD COLUMN erased INTEGER NOT NULL DEFAULT 0; -- readings before are erased; Unix seconds at 00:00 UTC

CREATE TABLE erasures (
    id       INTEGER PRIMARY KEY,
    uc       INTEGER NOT NULL,
    an_id    INTEGER NOT NULL,
    before   INTEGER NOT NULL,
    readings INTEGER,          -- null until they are counted
    chosen   INTEGER NOT NULL, -- 1: by the meter's choices
    at       INTEGER NOT NULL,
    done     INTEGER NOT NULL  -- 0: the store may still have them
);
CREATE INDEX erasures_by_meter ON erasures (uc, an_id);
CREATE INDEX erasures_not_done ON erasures (id) WHERE done = 0;

CREATE TABLE choices (
    uc             INTEGER NOT NULL,
    an_id          INTEGER NOT NULL,
    profile        TEXT    NOT NULL CHECK (profile IN ('full', 'totals')),
    keep_months    INTEGER NOT NULL, -- 0: until erased
    no_corrections INTEGER NOT NULL,
    groups         INTEGER NOT NULL,
    research       INTEGER NOT NULL,
    PRIMARY KEY (uc, an_id),
    FOREIGN KEY (uc, an_id) REFERENCES claims (uc, an_id) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE links (
    token       BLOB    PRIMARY KEY, -- SHA-256
    ref         TEXT    NOT NULL UNIQUE,
    uc          INTEGER NOT NULL,
    an_id       INTEGER NOT NULL,
    from_second INTEGER NOT NULL,
    to_second   INTEGER NOT NULL,
    began       INTEGER NOT NULL,
    ends        INTEGER NOT NULL,
    FOREIGN KEY (uc, an_id) REFERENCES claims (uc, an_id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX links_by_meter ON links (uc, an_id);
CREATE INDEX links_by_end ON links (ends);

-- +goose Down
DROP TABLE links;
DROP TABLE choices;
DROP TABLE erasures;
ALTER TABLE meters DROP COLUMN erased;
