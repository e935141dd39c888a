-- +goose Up
-- Since when nothing new has opened under the epoch, Unix seconds: the end of
-- its lifetime, or later. Of those that are there: of the lifetime that is
-- usual; a message that opens moves it.
ALTER TABLE sessions ADD COLUMN quiet INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET quiet = created + 604800;
-- Its traffic keys are destroyed; claim and chain key are kept.
ALTER TABLE sessions ADD COLUMN spent INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_quiet ON sessions (uc, quiet) WHERE successor_at IS NULL AND spent = 0;

-- +goose Down
DROP INDEX sessions_quiet;
ALTER TABLE sessions DROP COLUMN spent;
ALTER TABLE sessions DROP COLUMN quiet;
