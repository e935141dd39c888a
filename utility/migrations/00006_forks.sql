-- +goose Up
-- Which pairs of checkpoints prove two logs: those of one size (the second line)
-- with different roots (the third). Of the others a proof was missing or wrong.
ALTER TABLE log_evidence ADD COLUMN fork INTEGER NOT NULL DEFAULT 0;

UPDATE log_evidence SET fork = 1 WHERE rowid IN (
    SELECT id FROM (
        SELECT rowid AS id, substr(kept, instr(kept, char(10)) + 1) AS k, substr(offered, instr(offered, char(10)) + 1) AS o
        FROM log_evidence)
    WHERE substr(k, 1, instr(k, char(10))) = substr(o, 1, instr(o, char(10)))
    AND substr(k, 1, instr(k, char(10)) + 44) <> substr(o, 1, instr(o, char(10)) + 44));

-- +goose Down
ALTER TABLE log_evidence DROP COLUMN fork;
