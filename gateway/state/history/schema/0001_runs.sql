-- The runs of the gateway: the latest row is the run that has the file open, or that had it last.
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    boot TEXT NOT NULL,         -- the id of the boot of the machine
    started_at REAL NOT NULL,   -- seconds since 1970
    seen_at REAL NOT NULL,      -- of the last save: the gateway was there then
    has_stopped INTEGER NOT NULL DEFAULT 0  -- it ended by itself; else it was killed, or the power went
) STRICT;
