-- +goose Up
-- Shapes by the end of their period, which stands in their bytes (spec/gate.md
-- section 6), to find those that are needed no more.
CREATE INDEX shapes_by_end ON shapes (substr(shape, 12, 5), digest);

-- +goose Down
DROP INDEX shapes_by_end;
