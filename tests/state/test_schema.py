"""Stores of every schema version so far, each written by the last gateway that had it, are read by today's code."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.models import Confidence, Status
from gateway.state.adapter_memory import AdapterMemory
from gateway.state.command_ledger import CommandLedger
from gateway.state.opening import opened_state
from gateway.state.outbox import LossReason, Outbox
from gateway.state.parts import StateParts
from gateway.state.records import ChildState, Decision
from gateway.state.registry import Registry
from gateway.state.schema import MIGRATIONS, NEWEST_VERSION, migrations_after
from gateway.state.store import Store, read_store
from tests.state.damage import damage

STORES = Path(__file__).parent / "stores"
VERSIONS = range(1, NEWEST_VERSION + 1)
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def written(tmp_path):
    """Return a function that makes a store as a gateway with this schema version left it."""

    def write(version):
        path = tmp_path / f"version-{version}.sqlite3"
        with sqlite3.connect(path) as db:
            db.executescript((STORES / f"version_{version}.sql").read_text(encoding="utf-8"))
            assert db.execute("PRAGMA user_version").fetchone() == (version,)
        db.close()
        return path

    return write


def schema_of(path):
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    db.close()
    return {name: " ".join(sql.split()) for name, sql in rows}


def test_there_is_a_store_of_every_version():
    assert [file.name for file in sorted(STORES.iterdir())] == [f"version_{version}.sql" for version in VERSIONS]
    assert len(VERSIONS) >= 3


@pytest.mark.parametrize("version", VERSIONS)
async def test_everything_in_a_store_of_each_version_is_read(written, version):
    async with Store(written(version)) as store:
        registry, outbox, memory = Registry(store), Outbox(store, most_samples=1000), AdapterMemory(store)
        for part in (registry, outbox, memory):
            await part.load()

        gateway = registry.gateway
        assert (gateway.serial_number, gateway.mac, gateway.cloud_id) == ("S", "02:00:00:00:00:01", "c")
        assert (gateway.credentials.device_id, gateway.former_credentials.device_id) == ("p", "old")
        assert gateway.credentials.access_key.get_secret_value() == "k" * 32
        assert (gateway.credentials.hub_url, gateway.sent_info) == ("https://hub.example", "Gateway|1.0.0|GW")

        (record,) = registry.children.values()
        assert (record.state, record.device_id, record.parent_id, record.since) == (ChildState.REGISTERED, "d", "p", AT)
        assert (record.access_key.get_secret_value(), record.hub_url) == ("secret", "https://other.example")
        assert (record.needs_update, record.problem) == (True, "too long")
        assert record.marker == "6a0f4a3c-0001-4000-8000-000000000001"
        child = record.child
        assert (child.key, child.adapter, child.bus, child.address) == ("sn:acme/1", "plant", "hall", "3")
        assert (child.profile, child.model_id, child.firmware_version) == ("acme-1", "m-1", "1.2")
        assert child.name == ("Boiler house" if version >= 3 else "Meter")

        (device,) = registry.found_devices.values()
        assert (device.key, device.why, device.decision, device.at) == ("place:hall/9", "no profile", Decision.IGNORE, AT)
        assert (device.found.address, device.found.evidence) == ("9", {"asked": "answered"})
        assert device.found.confidence is Confidence.LIKELY
        assert device.name == ("Box by the stairs" if version >= 3 else "Box")

        waiting = await outbox.oldest_of("sn:acme/1", 10)
        assert [one.sample.at.minute for one in waiting] == [1, 2]
        assert {one.sample.status for one in waiting} == {Status.ONLINE}
        assert waiting[0].sample.values == {"power": 1.5, "mode": "eco"}
        assert (outbox.depth, outbox.lost) == (2, 1)
        (loss,) = await outbox.losses()
        assert (loss.child, loss.why, loss.samples, loss.first_at) == ("sn:acme/1", LossReason.OTHER, 1, AT)

        assert dict(memory.for_entry("plant")) == ({"scan": "17"} if version >= 2 else {})

        ledger = CommandLedger(store)
        commands = [(one.command_id, one.child, one.outcome, one.message) for one in await ledger.undelivered()]
        assert commands == ([("e0d1c2b3", "sn:acme/1", "done", "volume is 5")] if version >= 4 else [])
        assert await ledger.last_contact() == (AT if version >= 4 else None)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_store_of_each_version_can_be_written_once_it_is_open(written, version):
    path = written(version)
    async with Store(path) as store:
        registry, memory = Registry(store), AdapterMemory(store)
        await registry.load()
        await registry.rename("sn:acme/1", "Attic")
        memory.for_entry("roof")["scan"] = "3"
        await memory.save()
    async with Store(path) as store:
        again = Registry(store)
        await again.load()
        assert again.children["sn:acme/1"].child.name == "Attic"
        assert read_store(path, lambda db: db.execute("SELECT said FROM notes WHERE entry = 'roof'").fetchall()) == [("3",)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_store_of_each_version_gets_the_schema_of_a_new_one(written, version, tmp_path):
    async with Store(written(version)), Store(tmp_path / "new.sqlite3"):
        pass
    assert schema_of(tmp_path / f"version-{version}.sqlite3") == schema_of(tmp_path / "new.sqlite3")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_sql_of_a_version_makes_the_schema_that_its_gateway_made(written, version, tmp_path):
    with sqlite3.connect(tmp_path / "made.sqlite3") as db:
        for script in MIGRATIONS[:version]:
            db.executescript(script)
    db.close()
    assert schema_of(tmp_path / "made.sqlite3") == schema_of(written(version)), "a released file was edited"


def test_only_the_later_versions_are_applied():
    assert [number for number, _ in migrations_after(1)] == [*range(2, NEWEST_VERSION + 1)]
    assert [script for _, script in migrations_after(0)] == [*MIGRATIONS]
    assert [*migrations_after(NEWEST_VERSION)] == []


async def test_an_open_store_is_not_migrated_again(written):
    path = written(1)
    for _ in range(2):
        async with Store(path) as store:
            assert await store.transact(lambda db: db.execute("PRAGMA user_version").fetchone()) == (NEWEST_VERSION,)


async def test_a_migration_that_fails_leaves_the_store_at_its_former_version(written, monkeypatch):
    path = written(NEWEST_VERSION)
    before = schema_of(path)
    broken = [(NEWEST_VERSION + 1, "CREATE TABLE half (a TEXT) STRICT;\nCREATE TABLE gateway (a TEXT) STRICT;")]
    monkeypatch.setattr("gateway.state.database.preparation.migrations_after", lambda version: broken)
    with pytest.raises(StoreError, match="table gateway already exists"):
        await Store(path).__aenter__()
    assert schema_of(path) == before
    monkeypatch.undo()
    async with Store(path) as store:
        assert await store.transact(lambda db: db.execute("PRAGMA user_version").fetchone()) == (NEWEST_VERSION,)


async def test_a_store_of_the_next_version_is_refused_with_a_sentence_and_left_as_it_is(written):
    path = written(NEWEST_VERSION)
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {NEWEST_VERSION + 1}")
    db.close()
    sentence = rf"newer gateway \(schema {NEWEST_VERSION + 1}; this one knows {NEWEST_VERSION}\)\. Update the gateway"
    with pytest.raises(StoreError, match=sentence):
        await Store(path).__aenter__()
    with pytest.raises(StoreError, match=sentence):
        read_store(path, lambda db: db.execute("SELECT * FROM children").fetchall())
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (NEWEST_VERSION + 1,)
    db.close()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("outbox", "child", None), ("losses", "child", None), ("losses", "first_at", None), ("losses", "last_at", None),
        ("losses", "samples", None), ("losses", "samples", 1.5e300), ("losses", "samples", 2**63 - 1), ("losses", "why", None),
        ("children", "state", None), ("outbox", "payload", None),
    ],
)  # fmt: skip
async def test_a_damaged_row_does_not_stop_the_update_to_the_newest_schema(written, table, column, value):
    path = written(5)
    damage(path, table, column, value)

    async def made(store):
        state = StateParts.on(store, most_samples=1000)
        await state.load()
        return state

    async with opened_state(path, made) as state:
        assert state.registry.gateway.serial_number == "S"
        accounts = await state.outbox.accounts()
        assert accounts
        assert all(account.is_balanced and account.produced < 1_000 for account in accounts)
