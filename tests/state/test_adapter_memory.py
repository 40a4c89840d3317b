import pytest

from gateway.errors import StoreError
from gateway.state.adapter_memory import MOST_CHARACTERS, MOST_NOTES, Notes
from gateway.state.store import Store


@pytest.fixture
async def store(tmp_path):
    async with Store(tmp_path / "store.sqlite3") as store:
        yield store


async def reread(store):
    notes = Notes(store)
    await notes.load()
    return notes


async def test_what_an_adapter_notes_is_there_after_a_restart(store):
    notes = await reread(store)
    notes.of("plant")["scan"] = "17"
    notes.of("roof")["scan"] = "3"
    assert (await reread(store)).of("plant") == {}, "nothing is stored before it is kept"
    await notes.keep()
    again = await reread(store)
    assert dict(again.of("plant")) == {"scan": "17"}
    assert dict(again.of("roof")) == {"scan": "3"}


async def test_a_note_can_be_changed_and_taken_back(store):
    notes = await reread(store)
    notes.of("plant").update(one="1", two="2")
    await notes.keep()
    notes.of("plant")["one"] = "one"
    del notes.of("plant")["two"]
    await notes.keep()
    assert dict((await reread(store)).of("plant")) == {"one": "one"}


async def test_notes_are_bounded_in_number_and_length(store):
    plant = (await reread(store)).of("plant")
    for number in range(MOST_NOTES + 1):
        plant[str(number)] = "x"
    plant["long"] = "x" * (MOST_CHARACTERS + 1)
    assert len(plant) == MOST_NOTES
    assert "0" not in plant
    assert "long" not in plant


async def test_what_could_not_be_stored_is_stored_later(store, tmp_path):
    notes = Notes(Store(tmp_path / "never-opened.sqlite3"))
    notes.of("plant")["scan"] = "17"
    with pytest.raises(StoreError):
        await notes.keep()
    notes._store = store
    await notes.keep()
    assert dict((await reread(store)).of("plant")) == {"scan": "17"}
