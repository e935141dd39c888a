-- +goose Up
-- The order in which kept bills are listed.
CREATE INDEX bills_by_start ON bills (from_second, an_id, tariff, to_second, correction);

-- +goose Down
DROP INDEX bills_by_start;
