-- Version 6: rows that cannot be read or sent are set aside, not lost.
CREATE TABLE set_aside_rows (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    content BLOB NOT NULL, -- the row as JSON, with bytes that are no text escaped
    why TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
-- What an older sample does not say: it is no event, and its time is right.
ALTER TABLE outbox ADD COLUMN is_event INTEGER NOT NULL DEFAULT 0; -- it tells of an event or a change of status: dropped last
ALTER TABLE outbox ADD COLUMN boot TEXT; -- the id of the boot in which it was taken while the clock was not set; NULL: its time is right
ALTER TABLE outbox ADD COLUMN ticks REAL; -- the seconds since that boot
CREATE INDEX outbox_undated ON outbox (seq) WHERE boot IS NOT NULL;
-- For each child, produced = delivered + lost + waiting. The triggers count what goes in and out, whoever writes.
CREATE TABLE outbox_accounts (
    child TEXT PRIMARY KEY,
    produced INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0 -- of those that wait: about what they take up in this file
) STRICT;
INSERT INTO outbox_accounts (child, produced, lost, waiting, bytes)
    SELECT child, SUM(waiting) + SUM(lost), SUM(lost), SUM(waiting), SUM(bytes) FROM (
        SELECT child, 0 AS lost, COUNT(*) AS waiting, SUM(COALESCE(LENGTH(CAST(payload AS BLOB)) + 2 * LENGTH(child), 0) + 64) AS bytes
            FROM outbox GROUP BY child
        UNION ALL SELECT child, SUM(samples), 0, 0 FROM losses WHERE samples BETWEEN 0 AND 1000000000000 GROUP BY child -- others are damaged
    ) GROUP BY child;
CREATE TRIGGER outbox_counts_in AFTER INSERT ON outbox BEGIN
    INSERT INTO outbox_accounts (child, produced, waiting, bytes)
        VALUES (NEW.child, 1, 1, COALESCE(LENGTH(CAST(NEW.payload AS BLOB)) + 2 * LENGTH(NEW.child), 0) + 64)
        ON CONFLICT (child) DO UPDATE SET produced = produced + 1, waiting = waiting + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER outbox_counts_out AFTER DELETE ON outbox BEGIN
    UPDATE outbox_accounts
        SET waiting = waiting - 1, bytes = bytes - COALESCE(LENGTH(CAST(OLD.payload AS BLOB)) + 2 * LENGTH(OLD.child), 0) - 64
        WHERE child = OLD.child;
END;
-- Losses have a fixed set of reasons, and several periods for each: adjacent ones are one record.
CREATE TABLE loss_periods (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    child TEXT NOT NULL,
    why TEXT NOT NULL,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    samples INTEGER NOT NULL
) STRICT;
INSERT INTO loss_periods (child, why, first_at, last_at, samples)
    SELECT child, CASE
        WHEN why LIKE 'the hub rejected it%' THEN 'the hub rejected it'
        WHEN why IN ('the outbox was full: thinned', 'the child was retired', 'the child was deleted in the cloud') THEN why
        ELSE 'another reason'
    END AS reason, MIN(first_at), MAX(last_at), SUM(samples) FROM losses WHERE samples BETWEEN 0 AND 1000000000000 GROUP BY child, reason ORDER BY MAX(last_at);
DROP TABLE losses;
ALTER TABLE loss_periods RENAME TO losses;
CREATE INDEX losses_by_child ON losses (child, why, seq);
-- The number of the last copy of the identities that was written beside this store: a store with a lower one is an older copy.
CREATE TABLE identity_mirror (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    number INTEGER NOT NULL
) STRICT;
-- What was lost with a store, or with a part of it, and how the gateway goes on.
CREATE TABLE recoveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
-- The hardware that the store belongs to, and what a person is asked when it woke up on another one.
CREATE TABLE hardware (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    known TEXT NOT NULL,
    asked TEXT,
    asked_why TEXT,
    asked_at TEXT,
    last_sample INTEGER,
    decision TEXT
) STRICT;
-- The bytes that the gateway sent to its disk on each day, and for how many seconds it ran then.
CREATE TABLE flash_writes (
    day TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    seconds REAL NOT NULL
) STRICT;
