-- +goose Up
-- When a utility was removed; its number is never given to another.
ALTER TABLE utilities ADD COLUMN removed INTEGER; -- Unix seconds, null while it is let in

-- +goose Down
ALTER TABLE utilities DROP COLUMN removed;
