"""A store whose file is damaged is opened with what can be read of it, as the same gateway."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import StoreDamaged, StoreError
from gateway.state.database.integrity import suspect_file
from gateway.state.opening import opened_state
from gateway.state.parts import StateParts
from gateway.state.recovery.identity_mirror import mirror_file
from gateway.state.recovery.recoveries import RecoveryKind
from gateway.state.schema import NEWEST_VERSION
from gateway.state.store import Store
from tests.state.damage import fill

PAGE = 4096


async def made(store):
    state = StateParts.on(store, most_samples=1_000)
    await state.load()
    return state


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store with its mirror."""
    path = tmp_path_factory.mktemp("whole") / "store.sqlite3"

    async def make():
        await fill(path)
        async with opened_state(path, made):
            pass

    asyncio.run(make())
    return path


def copied(whole, folder):
    for file in (whole, mirror_file(whole)):
        shutil.copy(file, folder / file.name)
    return folder / whole.name


@pytest.fixture
def path(whole, tmp_path):
    return copied(whole, tmp_path)


def overwrite(path, offset, content):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def root_page(path, name):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]


async def test_a_gateway_goes_on_with_what_can_be_read_of_its_store(path, caplog):
    overwrite(path, (root_page(path, "names") - 1) * PAGE, b"\xff" * PAGE)
    async with opened_state(path, made) as state:
        assert set(state.registry.children) == {"b", "g"}
        assert state.outbox.depth == 2
        recovery = state.recoveries.all[-1]
        assert recovery.kind is RecoveryKind.SALVAGED
        assert "2 children and 2 waiting samples were copied" in recovery.text
        assert recovery.text in caplog.text
        (kept,) = path.parent.glob("*.damaged-*")
        assert kept.name in recovery.text
    async with opened_state(path, made) as state:
        assert [one.kind for one in state.recoveries.all].count(RecoveryKind.SALVAGED) == 1, "it is recovered once"


async def test_children_whose_page_is_lost_come_from_the_mirror_and_the_samples_stay(path):
    overwrite(path, (root_page(path, "children") - 1) * PAGE, bytes(PAGE))
    async with opened_state(path, made) as state:
        assert {key: record.device_id for key, record in state.registry.children.items()} == {"b": "d-b", "g": "d-g"}
        assert state.outbox.depth == 2


@pytest.mark.parametrize("version", [0, 3, NEWEST_VERSION - 1])
async def test_a_damaged_version_number_costs_nothing(path, version):
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    async with opened_state(path, made) as state:
        assert state.outbox.depth == 2
        assert set(state.registry.children) == {"b", "g"}


async def test_a_table_whose_definition_is_lost_is_made_anew(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("DELETE FROM sqlite_master WHERE name = 'notes'")
        db.commit()
    async with opened_state(path, made) as state:
        assert state.outbox.depth == 2
        state.adapter_memory.for_entry("a")["scan"] = "1"
        await state.adapter_memory.save()


async def test_a_damaged_page_that_is_met_while_running_lets_the_next_start_check_everything(path, caplog):
    root = root_page(path, "point_maps")
    async with opened_state(path, made) as state:
        await state.store._run(lambda: state.store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        await asyncio.to_thread(overwrite, path, (root - 1) * PAGE, b"\xff" * PAGE)
        await state.store._run(lambda: state.store._connection.execute("PRAGMA shrink_memory"))
        with pytest.raises(StoreDamaged):
            await state.store.transact(lambda db: db.execute("SELECT * FROM point_maps").fetchall())
        assert suspect_file(path).exists()
        assert state.store.is_damaged.is_set()
    async with opened_state(path, made) as state:
        assert state.recoveries.all[-1].kind is RecoveryKind.SALVAGED
        assert not suspect_file(path).exists()


async def test_a_suspicion_that_proves_wrong_is_forgotten(path):
    suspect_file(path).touch()
    async with opened_state(path, made) as state:
        assert [one for one in state.recoveries.all if one.kind is RecoveryKind.SALVAGED] == []
    assert not suspect_file(path).exists()


async def test_a_small_store_is_checked_after_a_kill(path):
    """Pages that nobody reads at the start are read then."""
    page = root_page(path, "firmware_jobs") - 1
    overwrite(path, page * PAGE, b"\xff" * PAGE)
    async with Store(path, exclusive=True):
        pass
    path.with_name(f"{path.name}-wal").write_bytes(b"what a killed process left")
    with pytest.raises(StoreDamaged):
        await Store(path, exclusive=True).__aenter__()


PIECES = st.lists(st.tuples(st.integers(0, 45 * PAGE), st.binary(min_size=1, max_size=64)), max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(pieces=PIECES, zeroed=st.sets(st.integers(0, 45), max_size=4), length=st.none() | st.integers(0, 45 * PAGE))
def test_whatever_is_damaged_the_gateway_is_the_same_or_a_store_error_says_why(whole, tmp_path_factory, pieces, zeroed, length):
    path = copied(whole, tmp_path_factory.mktemp("damaged"))
    for offset, content in pieces:
        overwrite(path, offset, content)
    for page in zeroed:
        overwrite(path, page * PAGE, bytes(PAGE))
    if length is not None:
        with path.open("r+b") as file:
            file.truncate(length)

    async def start():
        try:
            async with opened_state(path, made) as state:
                return state.registry.gateway.serial_number, set(state.registry.children)
        except StoreError as error:
            return str(error)

    found = asyncio.run(start())
    assert found == ("S", {"b", "g"}) or "newer gateway" in found
