-- Version 4: the ledger of commands from the cloud.
CREATE TABLE commands (
    device_id TEXT NOT NULL,
    id TEXT NOT NULL,
    child TEXT,
    name TEXT NOT NULL,
    parameters TEXT NOT NULL,
    received_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    outcome TEXT,
    message TEXT,
    delivered INTEGER NOT NULL,
    PRIMARY KEY (device_id, id)
) STRICT;
CREATE INDEX commands_by_end ON commands (ended_at);
CREATE TABLE command_contact (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    at TEXT NOT NULL
) STRICT;
