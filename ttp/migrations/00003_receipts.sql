-- +goose Up
-- What a meter was last told of its readings: every one from 'since' to
-- 'through' is durable but for the missing spans.
CREATE TABLE receipts (
    uc      INTEGER NOT NULL,
    an_id   INTEGER NOT NULL,
    made    INTEGER NOT NULL, -- Unix seconds
    since   INTEGER NOT NULL,
    through INTEGER NOT NULL,
    missing BLOB    NOT NULL, -- each span: first 4, last 4, receipts that named it 1
    PRIMARY KEY (uc, an_id)
) WITHOUT ROWID;

-- The last counter of a receipt under the epoch.
ALTER TABLE sessions ADD COLUMN down_counter INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE sessions DROP COLUMN down_counter;
DROP TABLE receipts;
