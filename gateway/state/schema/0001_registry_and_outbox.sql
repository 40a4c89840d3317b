-- Version 1: the gateway, its children, found devices, and the samples that wait for the cloud.
CREATE TABLE gateway (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    serial_number TEXT NOT NULL,
    mac TEXT,
    cloud_id TEXT,
    credentials TEXT,
    former_credentials TEXT,
    told TEXT
) STRICT;
CREATE TABLE children (
    key TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    state TEXT NOT NULL,
    marker TEXT NOT NULL UNIQUE,
    device_id TEXT UNIQUE,
    access_key TEXT,
    hub_url TEXT,
    parent_id TEXT,
    update_owed INTEGER NOT NULL DEFAULT 0,
    problem TEXT,
    since TEXT NOT NULL
) STRICT;
CREATE TABLE met (
    key TEXT PRIMARY KEY,
    adapter TEXT NOT NULL,
    bus TEXT NOT NULL,
    found TEXT NOT NULL,
    why TEXT NOT NULL,
    decision TEXT,
    at TEXT NOT NULL
) STRICT;
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    child TEXT NOT NULL,
    at TEXT NOT NULL,
    status TEXT NOT NULL,
    payload TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_by_child ON outbox (child, seq);
CREATE TABLE losses (
    child TEXT NOT NULL,
    why TEXT NOT NULL,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    samples INTEGER NOT NULL,
    PRIMARY KEY (child, why)
) STRICT;
