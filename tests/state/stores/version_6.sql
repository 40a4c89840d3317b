-- A store of schema 6, with the rows of an earlier one.
BEGIN TRANSACTION;
CREATE TABLE child_requests (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    new_key TEXT,
    at TEXT NOT NULL
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
    , unanswered_at TEXT, replaces TEXT) STRICT;
INSERT INTO "children" VALUES('sn:acme/1','{"key":"sn:acme/1","adapter":"plant","bus":"hall","address":"3","profile":"acme-1","family":"meter","model_id":"m-1","sub_model":"A1","firmware_version":"1.2","name":"Meter","found_as":null,"serial_number":"1","mac":null,"manufacturer":"Acme","model":"One"}','registered','6a0f4a3c-0001-4000-8000-000000000001','d','secret','https://other.example','p',1,'too long','2026-01-01T12:00:00+00:00',NULL,NULL);
CREATE TABLE cloud_records (
    device_id TEXT PRIMARY KEY,
    content TEXT NOT NULL
) STRICT;
CREATE TABLE command_contact (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    at TEXT NOT NULL
) STRICT;
INSERT INTO "command_contact" VALUES(1,'2026-01-01T12:00:00+00:00');
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
    delivered INTEGER NOT NULL, values_before TEXT, values_after TEXT, tries INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (device_id, id)
) STRICT;
INSERT INTO "commands" VALUES('d','"e0d1c2b3"','sn:acme/1','set_volume','{"volume": 5}','2026-01-01T12:00:00+00:00','2026-01-01T12:05:00+00:00','2026-01-01T12:00:01+00:00','2026-01-01T12:00:02+00:00','done','volume is 5',0,NULL,NULL,1);
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
CREATE TABLE event_allowances (
    device_id TEXT PRIMARY KEY,
    left REAL NOT NULL,
    at TEXT NOT NULL
) STRICT;
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
CREATE TABLE flash_writes (
    day TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    seconds REAL NOT NULL
) STRICT;
CREATE TABLE gateway (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        serial_number TEXT NOT NULL,
        mac TEXT,
        cloud_id TEXT,
        credentials TEXT,
        former_credentials TEXT,
        told TEXT
    ) STRICT;
INSERT INTO "gateway" VALUES(1,'S','02:00:00:00:00:01','c','{"device_id":"p","access_key":"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk","hub_url":"https://hub.example","hub_url_static_cert":null,"mqtt_hub_url":"mqtts://hub.example"}','{"device_id":"old","access_key":"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk","hub_url":"https://hub.example","hub_url_static_cert":null,"mqtt_hub_url":"mqtts://hub.example"}','Gateway|1.0.0|GW');
CREATE TABLE hardware (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    known TEXT NOT NULL,
    asked TEXT,
    asked_why TEXT,
    asked_at TEXT,
    last_sample INTEGER,
    decision TEXT
) STRICT;
CREATE TABLE identity_mirror (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    number INTEGER NOT NULL
) STRICT;
CREATE TABLE incidents (
    cause TEXT PRIMARY KEY,
    child TEXT,
    device_id TEXT NOT NULL,
    issue TEXT NOT NULL,
    incident_id TEXT
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
CREATE TABLE "losses" (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    child TEXT NOT NULL,
    why TEXT NOT NULL,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    samples INTEGER NOT NULL
) STRICT;
INSERT INTO "losses" VALUES(1,'sn:acme/1','another reason','2026-01-01T12:00:00+00:00','2026-01-01T12:00:00+00:00',1);
CREATE TABLE met (
        key TEXT PRIMARY KEY,
        adapter TEXT NOT NULL,
        bus TEXT NOT NULL,
        found TEXT NOT NULL,
        why TEXT NOT NULL,
        decision TEXT,
        at TEXT NOT NULL
    ) STRICT;
INSERT INTO "met" VALUES('place:hall/9','plant','hall','{"address":"9","identity":{"kind":"place","value":"hall/9"},"name":"Box","profile":null,"family":null,"sub_model":null,"manufacturer":null,"model":null,"serial_number":null,"mac":null,"firmware_version":null,"evidence":{"asked":"answered"},"says":{},"confidence":"likely"}','no profile','ignore','2026-01-01T12:00:00+00:00');
CREATE TABLE names (
        key TEXT PRIMARY KEY,
        name TEXT NOT NULL
    , from_cloud INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "names" VALUES('sn:acme/1','Boiler house',0);
INSERT INTO "names" VALUES('place:hall/9','Box by the stairs',0);
CREATE TABLE notes (
        entry TEXT NOT NULL,
        name TEXT NOT NULL,
        said TEXT NOT NULL,
        PRIMARY KEY (entry, name)
    ) STRICT;
INSERT INTO "notes" VALUES('plant','scan','17');
CREATE TABLE original_settings (
    child TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (child, name)
) STRICT;
CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        child TEXT NOT NULL,
        at TEXT NOT NULL,
        status TEXT NOT NULL,
        payload TEXT NOT NULL
    , is_event INTEGER NOT NULL DEFAULT 0, boot TEXT, ticks REAL) STRICT;
INSERT INTO "outbox" VALUES(2,'sn:acme/1','2026-01-01T12:01:00+00:00','online','{"power":1.5,"mode":"eco"}',0,NULL,NULL);
INSERT INTO "outbox" VALUES(3,'sn:acme/1','2026-01-01T12:02:00+00:00','online','{"power":2.5,"mode":"eco"}',0,NULL,NULL);
CREATE TABLE outbox_accounts (
    child TEXT PRIMARY KEY,
    produced INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0 -- of those that wait: about what they take up in this file
) STRICT;
INSERT INTO "outbox_accounts" VALUES('sn:acme/1',3,0,1,2,216);
CREATE TABLE point_maps (
    child TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    refused TEXT,
    why TEXT
) STRICT;
CREATE TABLE recoveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE set_aside_rows (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    content BLOB NOT NULL, -- the row as JSON, with bytes that are no text escaped
    why TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE TABLE suspended_incidents (device_id TEXT PRIMARY KEY) STRICT;
CREATE TABLE unused_devices (
    device_id TEXT PRIMARY KEY,
    child TEXT NOT NULL,
    name TEXT NOT NULL,
    access_key TEXT,
    hub_url TEXT,
    why TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_by_child ON outbox (child, seq);
CREATE INDEX commands_by_end ON commands (ended_at);
CREATE UNIQUE INDEX open_events ON events (child, name) WHERE is_taken = 0;
CREATE INDEX outbox_undated ON outbox (seq) WHERE boot IS NOT NULL;
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
CREATE INDEX losses_by_child ON losses (child, why, seq);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',3);
INSERT INTO "sqlite_sequence" VALUES('losses',1);
PRAGMA user_version = 6;
COMMIT;
