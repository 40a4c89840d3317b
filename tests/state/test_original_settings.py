"""The values that devices had before the cloud set others: kept over restarts, the first one of each."""

import pytest

from gateway.errors import StoreError
from gateway.state.original_settings import OriginalSettings
from gateway.state.store import Store


@pytest.fixture
async def store(tmp_path):
    async with Store(tmp_path / "store.sqlite3") as opened:
        yield opened


async def reopened(store):
    originals = OriginalSettings(store)
    await originals.load()
    return originals


async def test_the_first_value_of_each_setting_is_kept_over_a_restart(store):
    originals = OriginalSettings(store)
    await originals.add("a", {"mode": "eco", "level": 1.5})
    await originals.add("a", {"mode": "full", "fan": True})
    again = await reopened(store)
    assert again.of("a") == originals.of("a") == {"mode": "eco", "level": 1.5, "fan": True}
    assert again.children == ["a"]


async def test_what_was_put_back_is_forgotten(store):
    originals = OriginalSettings(store)
    await originals.add("a", {"mode": "eco", "fan": True})
    await originals.add("b", {"mode": "eco"})
    await originals.forget("a", ["mode", "unknown"])
    await originals.forget("b")
    assert (await reopened(store)).of("a") == {"fan": True}
    assert originals.children == ["a"]


async def test_what_cannot_be_stored_is_not_kept_in_memory_either(store, monkeypatch):
    originals = OriginalSettings(store)

    async def failing(work):
        raise StoreError("disk full")

    monkeypatch.setattr(store, "transact", failing)
    with pytest.raises(StoreError):
        await originals.add("a", {"mode": "eco"})
    assert originals.of("a") == {}
