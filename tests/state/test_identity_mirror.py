import asyncio
import json
import os
import stat
from dataclasses import replace

import pytest
from pydantic import SecretStr

from gateway.errors import StoreError
from gateway.hub import Credentials
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.state.opening import opened_state
from gateway.state.parts import StateParts
from gateway.state.records import GatewayRecord
from gateway.state.recovery.identity_mirror import MirrorUnusable, _checksum, mirror_file, read_mirror
from gateway.state.recovery.recoveries import RecoveryKind

PARENT = Credentials(
    device_id="gw-1",
    access_key=SecretStr("parent-key"),
    hub_url="https://hub.example",
    hub_url_static_cert=None,
    mqtt_hub_url=None,
)


async def made(store):
    state = StateParts.on(store, most_samples=1_000)
    await state.load()
    return state


def child(number: int) -> ChildDevice:
    return ChildDevice(
        key=f"sn:x/{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"device {number}", serial_number=str(number),
    )  # fmt: skip


async def register(state, *numbers):
    for number in numbers:
        record = await state.registry.admit(child(number))
        record = replace(
            record, state=ChildState.REGISTERED, device_id=f"d-{number}", access_key=SecretStr(f"key-{number}"), parent_id="gw-1"
        )
        await state.registry.save_child(record)


@pytest.fixture
async def path(tmp_path):
    """A store of a registered gateway with two children, and its mirror."""
    path = tmp_path / "store.sqlite3"
    async with opened_state(path, made) as state:
        await state.registry.save_gateway(GatewayRecord(serial_number="XG-1", mac=None, cloud_id=None, credentials=PARENT))
        await register(state, 1, 2)
        await state.registry.rename("sn:x/2", "Boiler house")
        assert await state.mirror.update()
    return path


def remove_store(path):
    for end in ("", "-wal", "-shm", ".lock"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def overwrite(path):
    path.write_bytes(b"no database at all" * 500)


def empty(path):
    path.write_bytes(b"")


def damage_header(path):
    with path.open("r+b") as file:
        file.write(os.urandom(4096))


@pytest.mark.parametrize("lose", [remove_store, overwrite, empty, damage_header])
async def test_a_gateway_whose_store_is_lost_goes_on_with_its_ids_and_keys(path, lose, caplog):
    lose(path)
    async with opened_state(path, made) as state:
        registry = state.registry
        assert registry.gateway == GatewayRecord(serial_number="XG-1", mac=None, cloud_id=None, credentials=PARENT)
        assert {key: (one.device_id, one.access_key, one.state) for key, one in registry.children.items()} == {
            f"sn:x/{number}": (f"d-{number}", SecretStr(f"key-{number}"), ChildState.REGISTERED) for number in (1, 2)
        }
        assert registry.given_name("sn:x/2") == "Boiler house"
        (recovery,) = state.recoveries.all
        assert recovery.kind is RecoveryKind.LOST
        assert "goes on as XG-1 with the 2 children" in recovery.text
        assert "samples" in recovery.text
        assert recovery.text in caplog.text
        assert "key-1" not in caplog.text
        assert state.recoveries.may_lack_children
    async with opened_state(path, made) as state:
        assert len(state.recoveries.all) == 1, "it is recovered once"


async def test_a_damaged_store_is_kept(path):
    overwrite(path)
    async with opened_state(path, made) as state:
        (kept,) = path.parent.glob("store.sqlite3.damaged-*")
        assert kept.read_bytes().startswith(b"no database")
        assert kept.name in state.recoveries.all[0].text


async def test_a_damaged_store_without_a_mirror_is_refused_and_left(path):
    mirror_file(path).unlink()
    overwrite(path)
    with pytest.raises(StoreError, match="cannot be used"):
        async with opened_state(path, made):
            pass
    assert path.read_bytes().startswith(b"no database")


async def test_a_child_that_was_being_registered_is_looked_up_in_the_cloud_after_the_store_was_lost(path):
    async with opened_state(path, made) as state:
        await state.registry.admit(child(3))
        marker = state.registry.children["sn:x/3"].marker
        await state.mirror.update()
    remove_store(path)
    async with opened_state(path, made) as state:
        record = state.registry.children["sn:x/3"]
        assert (record.state, record.marker) == (ChildState.REGISTERING, marker)


async def test_an_older_copy_of_the_store_goes_on_with_the_children_registered_since(path):
    older = path.read_bytes()
    async with opened_state(path, made) as state:
        await register(state, 3)
        await state.registry.retire("sn:x/1", why="retired", unused=None)
        await state.mirror.update()
    remove_store(path)
    path.write_bytes(older)
    async with opened_state(path, made) as state:
        assert set(state.registry.children) == {"sn:x/2", "sn:x/3"}
        assert state.recoveries.all[-1].kind is RecoveryKind.OLDER


async def test_a_store_without_a_mirror_gets_one(path):
    mirror_file(path).unlink()
    async with opened_state(path, made):
        mirror = read_mirror(mirror_file(path))
        assert mirror is not None
        assert mirror.serial_number == "XG-1"


async def test_only_the_owner_can_read_the_mirror(path):
    assert stat.S_IMODE(mirror_file(path).stat().st_mode) == 0o600
    assert [file.name for file in path.parent.glob("*.new")] == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"version": 1}', b"[" * 100_000])
async def test_a_damaged_mirror_is_kept_told_and_made_anew(path, content, caplog):
    mirror_file(path).write_bytes(content)
    async with opened_state(path, made) as state:
        assert "is damaged" in caplog.text
        (kept,) = path.parent.glob("*.identity.damaged-*")
        assert kept.read_bytes() == content
        mirror = read_mirror(mirror_file(path))
        assert mirror is not None
        assert len(mirror.children) == 2
        assert [one.kind for one in state.recoveries.all] == [RecoveryKind.MIRROR]


def _pipe(file):
    os.mkfifo(file)


def _folder(file):
    file.mkdir()


def _huge(file):
    with file.open("wb") as out:
        out.truncate(1 << 40)


def _other_tables(file):
    content = {"version": 1, "number": 3, "written_at": "2026-11-29T12:00:00+00:00", "tables": {"children": [17]}}
    file.write_text(json.dumps({"checksum": _checksum(content), **content}))


@pytest.mark.parametrize("make", [_pipe, _folder, _huge, _other_tables])
async def test_what_no_gateway_wrote_in_the_place_of_the_mirror_is_moved_away_and_holds_nothing_up(path, make):
    mirror_file(path).unlink()
    make(mirror_file(path))
    async with opened_state(path, made) as state:
        assert [one.kind for one in state.recoveries.all] == [RecoveryKind.MIRROR]
    assert len(read_mirror(mirror_file(path)).children) == 2
    assert len(list(path.parent.glob("*.identity.damaged-*"))) == 1


async def test_a_mirror_in_which_one_letter_differs_is_not_believed(path):
    file = mirror_file(path)
    file.write_text(file.read_text().replace("key-1", "key-9"))
    with pytest.raises(MirrorUnusable, match="checksum"):
        read_mirror(file)


async def test_no_gateway_is_made_anew_where_both_store_and_mirror_are_lost(path):
    remove_store(path)
    mirror_file(path).write_bytes(b"{")
    with pytest.raises(StoreError, match=r"is missing, and its mirror cannot help.*Restore a backup"):
        async with opened_state(path, made):
            pass
    assert not path.exists()


async def test_a_mirror_of_another_gateway_is_not_mixed_in(path, tmp_path, caplog):
    other = tmp_path / "other.sqlite3"
    async with opened_state(other, made) as state:
        await state.registry.save_gateway(GatewayRecord(serial_number="XG-2", mac=None, cloud_id=None))
        await register(state, 7)
        await state.mirror.update()
    mirror_file(path).write_bytes(mirror_file(other).read_bytes())
    async with opened_state(path, made) as state:
        assert set(state.registry.children) == {"sn:x/1", "sn:x/2"}
        assert "is of the gateway XG-2" in caplog.text
        assert len(list(path.parent.glob("*.identity.other-*"))) == 1
        mirror = read_mirror(mirror_file(path))
        assert mirror is not None
        assert mirror.serial_number == "XG-1"


async def test_a_mirror_of_a_newer_gateway_is_not_read_as_an_older_one(path):
    content = json.loads(mirror_file(path).read_text())
    mirror_file(path).write_text(json.dumps(content | {"version": 2}))
    with pytest.raises(MirrorUnusable, match="newer gateway"):
        read_mirror(mirror_file(path))


async def test_a_child_whose_row_is_damaged_comes_from_the_mirror(path):
    async with opened_state(path, made) as state:
        await state.store.transact(lambda db: db.execute("UPDATE children SET device = 'x' WHERE key = 'sn:x/2'"))
    async with opened_state(path, made) as state:
        assert state.registry.children["sn:x/2"].device_id == "d-2"
        assert state.recoveries.all[-1].kind is RecoveryKind.ROWS


async def test_the_mirror_is_written_only_when_an_identity_a_key_or_a_registration_changes(path):
    async with opened_state(path, made) as state:
        before = mirror_file(path).stat().st_mtime_ns
        record = state.registry.children["sn:x/1"]
        await state.registry.save_child(replace(record, problem="the cloud says no", needs_update=True))
        await state.store.transact(lambda db: db.execute("INSERT INTO notes VALUES ('a', 'b', 'c')"))
        assert await state.mirror.update()
        assert mirror_file(path).stat().st_mtime_ns == before
        await state.registry.save_child(replace(record, access_key=SecretStr("new-key")))
        assert await state.mirror.update()
        assert "new-key" in mirror_file(path).read_text()


async def test_the_mirror_follows_the_registry(path):
    async with opened_state(path, made) as state:
        following = asyncio.create_task(state.mirror.run())
        await register(state, 3)
        async with asyncio.timeout(60):
            while "key-3" not in mirror_file(path).read_text():  # noqa: ASYNC110 - a file sends no event
                await asyncio.sleep(0.01)
        following.cancel()


async def test_a_mirror_that_cannot_be_written_is_told_once_and_written_later(path, monkeypatch, caplog):
    def fail(file, content):
        raise OSError(28, "No space left on device")

    async with opened_state(path, made) as state:
        await register(state, 3)
        with monkeypatch.context() as patch:
            patch.setattr("gateway.state.recovery.identity_mirror.replace_file", fail)
            assert not await state.mirror.update()
            assert not await state.mirror.update()
            assert caplog.text.count("No space left") == 1
            assert state.mirror.problem
        assert await state.mirror.update()
        assert state.mirror.problem is None
        assert "key-3" in mirror_file(path).read_text()


async def test_the_file_of_the_store_alone_has_every_id_and_key(path, tmp_path):
    """A copy of it that somebody makes without its log is no worse than the mirror."""
    async with opened_state(path, made) as state:
        await register(state, 3)
        await state.mirror.update()
        copy = tmp_path / "copy.sqlite3"
        copy.write_bytes(path.read_bytes())
    async with opened_state(copy, made) as state:
        assert state.registry.gateway is not None
        assert set(state.registry.children) == {"sn:x/1", "sn:x/2", "sn:x/3"}


async def test_a_first_start_that_ended_before_the_gateway_had_an_identity_lost_nothing(tmp_path):
    for _ in range(2):
        async with opened_state(tmp_path / "store.sqlite3", made) as state:
            assert list(state.recoveries.all) == []


async def test_a_kill_before_the_mirror_had_the_identity_is_no_reason_to_speak_of_another_gateway(tmp_path):
    path = tmp_path / "store.sqlite3"
    async with opened_state(path, made):
        pass
    without_identity = mirror_file(path).read_bytes()
    async with opened_state(path, made) as state:
        await state.registry.save_gateway(GatewayRecord(serial_number="XG-1", mac=None, cloud_id=None, credentials=PARENT))
        await state.mirror.update()
    mirror_file(path).write_bytes(without_identity)
    async with opened_state(path, made) as state:
        assert list(state.recoveries.all) == []
        assert state.registry.gateway is not None
        assert state.registry.gateway.credentials == PARENT
    mirror = read_mirror(mirror_file(path))
    assert mirror is not None
    assert mirror.serial_number == "XG-1"
