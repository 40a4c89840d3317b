import pytest

from gateway.errors import StoreError
from gateway.state.adapter_memory import MAX_CHARACTERS, MAX_ITEMS, AdapterMemory
from gateway.state.store import Store


@pytest.fixture
async def store(tmp_path):
    async with Store(tmp_path / "store.sqlite3") as store:
        yield store


async def reread(store):
    notes = AdapterMemory(store)
    await notes.load()
    return notes


async def test_what_an_adapter_notes_is_there_after_a_restart(store):
    notes = await reread(store)
    notes.for_entry("plant")["scan"] = "17"
    notes.for_entry("roof")["scan"] = "3"
    assert (await reread(store)).for_entry("plant") == {}, "nothing is stored before it is kept"
    await notes.save()
    again = await reread(store)
    assert dict(again.for_entry("plant")) == {"scan": "17"}
    assert dict(again.for_entry("roof")) == {"scan": "3"}


async def test_a_note_can_be_changed_and_taken_back(store):
    notes = await reread(store)
    notes.for_entry("plant").update(one="1", two="2")
    await notes.save()
    notes.for_entry("plant")["one"] = "one"
    del notes.for_entry("plant")["two"]
    await notes.save()
    assert dict((await reread(store)).for_entry("plant")) == {"one": "one"}


async def test_notes_are_bounded_in_number_and_length(store):
    plant = (await reread(store)).for_entry("plant")
    for number in range(MAX_ITEMS + 1):
        plant[str(number)] = "x"
    plant["long"] = "x" * (MAX_CHARACTERS + 1)
    assert len(plant) == MAX_ITEMS
    assert "0" not in plant
    assert "long" not in plant


async def test_what_could_not_be_stored_is_stored_later(store, tmp_path):
    notes = AdapterMemory(Store(tmp_path / "never-opened.sqlite3"))
    notes.for_entry("plant")["scan"] = "17"
    with pytest.raises(StoreError):
        await notes.save()
    notes._store = store
    await notes.save()
    assert dict((await reread(store)).for_entry("plant")) == {"scan": "17"}


async def test_what_cannot_be_stored_is_not_kept_and_does_not_keep_the_rest_from_being_stored(store):
    notes = await reread(store)
    plant = notes.for_entry("plant")
    plant["half a character"] = "\ud800"
    plant["\ud800"] = "x"
    plant["x" * MAX_CHARACTERS] = "x"
    for name, text in ((1, "x"), ("x", 1), ("x", None), (None, "x")):
        with pytest.raises(TypeError):
            plant[name] = text
    plant["scan"] = "17"
    await notes.save()
    assert dict((await reread(store)).for_entry("plant")) == {"scan": "17"}
