-- +goose Up
-- Alerts that consumers set for a meter in their account, and what these found
-- (spec/portal.md section 9). Both go with the meter.
CREATE TABLE alerts (
    uc        INTEGER NOT NULL,
    an_id     INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    threshold INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    looked    INTEGER NOT NULL DEFAULT 0, -- when the TTP looked last
    PRIMARY KEY (uc, an_id, kind),
    FOREIGN KEY (uc, an_id) REFERENCES claims (uc, an_id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX alerts_by_look ON alerts (looked);

CREATE TABLE raised_alerts (
    uc        INTEGER NOT NULL,
    an_id     INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    at        INTEGER NOT NULL, -- start of the day or hour, or the last reading
    threshold INTEGER NOT NULL,
    value     INTEGER NOT NULL,
    seen      INTEGER NOT NULL DEFAULT 0, -- 1: the consumer has marked it as read
    PRIMARY KEY (uc, an_id, kind, at),
    FOREIGN KEY (uc, an_id) REFERENCES claims (uc, an_id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX raised_alerts_by_time ON raised_alerts (at);

-- +goose Down
DROP TABLE raised_alerts;
DROP TABLE alerts;
