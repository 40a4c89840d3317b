"""Make a store with two rows in every table, read everything in it, and damage it as a failing disk does."""

import json
import sqlite3
from contextlib import closing

from gateway.state.events import EventQueue
from gateway.state.flash_ledger import read_days
from gateway.state.parts import StateParts
from gateway.state.recovery.identity_mirror import number_in_store
from gateway.state.store import Store

AT = "2026-01-01T12:00:00+00:00"
LATE = "2099-01-01T12:00:00+00:00"


def device(key):
    facts = {"adapter": "a", "bus": "b", "address": "1", "profile": None, "family": None, "model_id": "m"}
    return json.dumps({"key": key, **facts, "sub_model": None, "firmware_version": "1", "name": key})


def found(key):
    identity = {"kind": "place", "value": key}
    return json.dumps(
        {"address": "9", "identity": identity, "name": "Box", "profile": None, "confidence": "likely", "evidence": {}}
    )


CREDENTIALS = {"device_id": "p", "access_key": "secret" * 4, "hub_url": "https://hub.example"}
KEYS = json.dumps({**CREDENTIALS, "hub_url_static_cert": None, "mqtt_hub_url": None})

HARDWARE = json.dumps({"given": None, "boards": {}, "macs": [], "machine": "m"})

ROWS = {
    "gateway": lambda k: {"only_row": 1, "serial_number": "S", "mac": "m", "cloud_id": "c", "credentials": KEYS,
                          "former_credentials": KEYS, "told": "t"},
    "children": lambda k: {"key": k, "device": device(k), "state": "registered", "marker": f"m-{k}", "device_id": f"d-{k}",
                           "access_key": "secret", "hub_url": "https://h.example", "parent_id": "p", "update_owed": 0,
                           "problem": "p", "since": AT, "unanswered_at": AT, "replaces": "x"},
    "met": lambda k: {"key": f"place:{k}", "adapter": "a", "bus": "b", "found": found(k), "why": "w", "decision": "ignore",
                      "at": AT},
    "names": lambda k: {"key": k, "name": f"Name {k}", "from_cloud": 1},
    "outbox_accounts": lambda k: {"child": k, "produced": 3, "delivered": 0, "lost": 3, "waiting": 0, "bytes": 0},
    "outbox": lambda k: {"child": k, "at": AT, "status": "online", "payload": '{"power":1.5,"mode":"eco"}'},
    "losses": lambda k: {"child": k, "why": "w", "first_at": AT, "last_at": AT, "samples": 3},
    "notes": lambda k: {"entry": "a", "name": k, "said": "17"},
    "commands": lambda k: {"device_id": f"d-{k}", "id": '"1"', "child": k, "name": "set", "parameters": '{"volume": 5}',
                           "received_at": AT, "expires_at": AT, "started_at": AT, "ended_at": AT, "outcome": "done",
                           "message": "it is 5", "delivered": 0, "values_before": '{"volume": 4}',
                           "values_after": '{"volume": 5}', "tries": 1},
    "command_contact": lambda k: {"only_row": 1, "at": AT},
    "events": lambda k: {"child": k, "name": "n", "category": "c", "text": "t", "at": AT, "times": 2, "is_taken": 0},
    "event_allowances": lambda k: {"device_id": f"d-{k}", "left": 1.5, "at": LATE},
    "incidents": lambda k: {"cause": f"silent:{k}", "child": k, "device_id": f"d-{k}", "issue": "i", "incident_id": "1"},
    "suspended_incidents": lambda k: {"device_id": f"d-{k}"},
    "unused_devices": lambda k: {"device_id": f"u-{k}", "child": k, "name": "n", "access_key": "secret", "hub_url": "https://h",
                                 "why": "w", "at": AT},
    "licences": lambda k: {"device_id": f"d-{k}", "id": "1", "child": k, "change": "install", "payload": "p", "signature": "s",
                           "expires_at": LATE, "state": "in use", "problem": "p", "was_in_use": 1, "former_payload": "f",
                           "former_expires_at": AT, "delivered": 0, "offered_at": AT, "changed_at": AT},
    "cloud_records": lambda k: {"device_id": f"d-{k}", "content": json.dumps({"device_id": f"d-{k}", "name": "n"})},
    "configurations": lambda k: {"device": k, "device_id": f"d-{k}", "applied_version": 1, "applied": '{"a": 1}',
                                 "confirmed_version": 1, "tried_version": 2, "tried": '{"a": 2}', "attempts": 1,
                                 "refused_version": 3, "refused_why": "w", "refused_for": "content"},
    "firmware_jobs": lambda k: {"child": k, "command": '"1"', "folder": "f", "file_name": "n", "size": 9, "sha256": "s",
                                "version": "1", "signature": "s", "position": 4},
    "firmware_offers": lambda k: {"device_id": f"d-{k}", "version": "1", "file_id": "f", "at": AT},
    "original_settings": lambda k: {"child": k, "name": "n", "value": "5"},
    "child_requests": lambda k: {"key": k, "request": "replace", "new_key": "n", "at": AT},
    "point_maps": lambda k: {"child": k, "text": "t", "refused": "r", "why": "w"},
    "flash_writes": lambda k: {"day": AT[:10] if k == "b" else LATE[:10], "bytes": 5, "seconds": 60.5},
    "hardware": lambda k: {"only_row": 1, "known": HARDWARE, "asked": HARDWARE, "asked_why": "w", "asked_at": AT,
                           "last_sample": 4, "decision": "keep"},
    "identity_mirror": lambda k: {"only_row": 1, "number": 7},
    "recoveries": lambda k: {"at": AT if k == "b" else LATE, "kind": "put back", "text": f"r-{k}"},
}  # fmt: skip
"""What each table has for the child with this key; tables with one row for the whole gateway ignore the key."""

SINGLE = {table for table, row in ROWS.items() if row("a") == row("b")}
COLUMNS = [(table, column) for table, row in ROWS.items() for column in row("a") if column != "only_row"]

ANY = {"no UTF-8": b"caf\xe9", "nothing": None, "a number": 17}
NUMBER = {"a fraction": 1.5e300}
JSON = {"no JSON": "{", "half a character": r'{"a": "\ud800"}', "nested too deep": "[" * 5_000}


def kinds(table, column):
    """Return what the damaged cells of a column may contain, by name; bytes are stored as a text."""
    good = ROWS[table]("b")[column]
    if isinstance(good, int | float):
        return ANY | NUMBER
    return ANY | (JSON if good[0] in '{"' or column in {"id", "value"} else {})


async def fill(path):
    """Make a store with the rows of a good child, `g`, and of one that will be damaged, `b`."""
    async with Store(path) as store:
        await store.transact(_insert_all)


def _insert_all(db):
    for table, row in ROWS.items():
        for key in ("g",) if table in SINGLE else ("b", "g"):
            cells = row(key)
            places = ", ".join("?" * len(cells))
            db.execute(f"INSERT INTO {table} ({', '.join(cells)}) VALUES ({places})", tuple(cells.values()))


def damage(path, table, column, value):
    """Put a value into the first row of a table, whatever the schema says about its type."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        ((sql,),) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchall()
        lax = sql.replace("STRICT", "").replace("NOT NULL", "")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (lax, table))
        db.execute("PRAGMA writable_schema = RESET")
        cast = "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"
        db.execute(f"UPDATE {table} SET {column} = {cast} WHERE rowid = (SELECT MIN(rowid) FROM {table})", (value,))
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, table))


async def everything(store):
    """Return what every part of the state says, by table and key, as the gateway reads it."""
    parts = StateParts.on(store, most_samples=1000)
    await parts.load()
    await parts.load()  # as after a change by another process
    registry, events = parts.registry, EventQueue(store)
    waiting = await parts.outbox.oldest(100, parent_id="p")
    for key in ("b", "g"):
        waiting += [one for one in await parts.outbox.oldest_of(key, 9) if one not in waiting]
    ledger = parts.ledger
    commands = [*await ledger.undelivered(), *await ledger.interrupted(), *await ledger.waiting(), *await ledger.latest(9)]
    firmware = {f"d-{key}": await parts.firmware_offers.of(f"d-{key}") for key in ("b", "g")}
    return {
        "gateway": {"": registry.gateway},
        "children": dict(registry.children),
        "met": dict(registry.found_devices),
        "names": {key: registry._names[key] for key in registry._names},
        "outbox": {one.sample.child: one.sample for one in waiting},
        "outbox_accounts": {one.child: one for one in await parts.outbox.accounts()},
        "losses": {one.child: one for one in await parts.outbox.losses()},
        "notes": dict(parts.adapter_memory.for_entry("a")),
        "commands": {one.device_id: one for one in commands},
        "command_contact": {"": await ledger.last_contact()},
        "events": {one.child: one for one in await events.oldest_of_each()},
        "event_allowances": {f"d-{key}": await events.wait_for_allowance(f"d-{key}") for key in ("b", "g")},
        "incidents": {one.child: one for one in await parts.incidents.in_cloud()},
        "suspended_incidents": {one: one for one in await parts.incidents.suspended_devices()},
        "unused_devices": dict(registry.unused_devices),
        "licences": {one.device_id: one for one in parts.licences.all},
        "cloud_records": {f"d-{key}": parts.cloud_records.of(f"d-{key}") for key in ("b", "g")},
        "configurations": dict(parts.configurations.all),
        "firmware_jobs": {one.child: one for one in await parts.firmware_jobs.all()},
        "firmware_offers": firmware,
        "original_settings": {key: dict(parts.original_settings.of(key)) for key in ("b", "g")},
        "child_requests": dict(registry.requests),
        "point_maps": {key: parts.point_maps.of(key) for key in ("b", "g")},
        "flash_writes": {"b" if day == AT[:10] else "g": one for day, one in (await store.transact(read_days)).items()},
        "hardware": {"": parts.hardware.question},
        "identity_mirror": {"": await store.transact(number_in_store)},
        "recoveries": {one.text.removeprefix("r-"): one for one in parts.recoveries.all},
    }


def of_good_child(state):
    """Return what belongs to the child whose rows are whole."""
    names = {"g", "d-g", "u-g", "place:g"}
    return {table: {key: one for key, one in rows.items() if key in names} for table, rows in state.items()}
