-- Version 5: values around a command; configurations, licences, incidents and events, and the cloud's record of each device.
ALTER TABLE commands ADD COLUMN values_before TEXT;
ALTER TABLE commands ADD COLUMN values_after TEXT;
ALTER TABLE commands ADD COLUMN tries INTEGER NOT NULL DEFAULT 1;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    child TEXT NOT NULL, -- '' is the gateway itself
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    text TEXT NOT NULL,
    at TEXT NOT NULL,
    times INTEGER NOT NULL,
    is_taken INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX open_events ON events (child, name) WHERE is_taken = 0;
CREATE TABLE event_allowances (
    device_id TEXT PRIMARY KEY,
    left REAL NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE TABLE incidents (
    cause TEXT PRIMARY KEY,
    child TEXT,
    device_id TEXT NOT NULL,
    issue TEXT NOT NULL,
    incident_id TEXT
) STRICT;
CREATE TABLE suspended_incidents (device_id TEXT PRIMARY KEY) STRICT;
ALTER TABLE children ADD COLUMN unanswered_at TEXT;
CREATE TABLE unused_devices (
    device_id TEXT PRIMARY KEY,
    child TEXT NOT NULL,
    name TEXT NOT NULL,
    access_key TEXT,
    hub_url TEXT,
    why TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE TABLE licences (
    device_id TEXT NOT NULL,
    id TEXT NOT NULL,
    child TEXT,
    change TEXT NOT NULL,
    payload TEXT,
    signature TEXT,
    expires_at TEXT,
    state TEXT NOT NULL,
    problem TEXT,
    was_in_use INTEGER NOT NULL,
    former_payload TEXT,
    former_expires_at TEXT,
    delivered INTEGER NOT NULL,
    offered_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    PRIMARY KEY (device_id, id)
) STRICT;
ALTER TABLE names ADD COLUMN from_cloud INTEGER NOT NULL DEFAULT 0;
CREATE TABLE cloud_records (
    device_id TEXT PRIMARY KEY,
    content TEXT NOT NULL
) STRICT;
CREATE TABLE configurations (
    device TEXT PRIMARY KEY,
    device_id TEXT NOT NULL,
    applied_version INTEGER NOT NULL,
    applied TEXT NOT NULL,
    confirmed_version INTEGER NOT NULL,
    tried_version INTEGER,
    tried TEXT,
    attempts INTEGER NOT NULL,
    refused_version INTEGER,
    refused_why TEXT,
    refused_for TEXT
) STRICT;
CREATE TABLE firmware_jobs (
    child TEXT NOT NULL,
    command TEXT NOT NULL,
    folder TEXT NOT NULL,
    file_name TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    version TEXT,
    signature TEXT,
    position INTEGER,
    PRIMARY KEY (child, command)
) STRICT;
CREATE TABLE firmware_offers (
    device_id TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    file_id TEXT,
    at TEXT NOT NULL
) STRICT;
-- The values that devices had before a configuration of the cloud set others.
CREATE TABLE original_settings (
    child TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (child, name)
) STRICT;
ALTER TABLE children ADD COLUMN replaces TEXT;
CREATE TABLE child_requests (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    new_key TEXT,
    at TEXT NOT NULL
) STRICT;
-- The point map by which each child is read, and the changed one that was tried and refused.
CREATE TABLE point_maps (
    child TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    refused TEXT,
    why TEXT
) STRICT;
