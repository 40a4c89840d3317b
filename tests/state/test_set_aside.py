import json
import logging

import pytest

from gateway.errors import StoreError
from gateway.state.database import set_aside as module
from gateway.state.database.columns import json_value, moment, number, text
from gateway.state.database.set_aside import read_rows, set_aside
from gateway.state.store import Store, read_store


async def with_names(store, *rows):
    await store.transact(
        lambda db: [db.execute("INSERT INTO names (key, name) VALUES (CAST(? AS TEXT), CAST(? AS TEXT))", row) for row in rows]
    )


def names(db):
    return read_rows(db, "names", "key, name", lambda key, name: (text(key, "key"), text(name, "name")), "ORDER BY rowid")


async def test_a_text_that_is_not_utf8_costs_its_row_alone(store, caplog):
    await with_names(store, (b"a", b"Attic"), (b"b", b"caf\xe9"), (b"c", b"Cellar"))
    assert await store.transact(names) == [("a", "Attic"), ("c", "Cellar")]
    assert caplog.messages == [
        "store: a row of names cannot be used and was set aside: name is not UTF-8. Others of it are not logged"
    ]
    ((table, content, why),) = await store.transact(
        lambda db: db.execute("SELECT table_name, content, why FROM set_aside_rows").fetchall()
    )
    assert (table, json.loads(content), why) == ("names", {"key": "b", "name": "caf\\xe9", "from_cloud": 0}, "name is not UTF-8")
    assert await store.transact(lambda db: db.execute("SELECT COUNT(*) FROM names").fetchone()[0]) == 2


async def test_rows_that_were_set_aside_are_counted_for_ever_and_logged_once_for_each_table(tmp_path, caplog):
    async with Store(tmp_path / "s.sqlite3") as store:
        for row in range(3):
            await with_names(store, (b"%d" % row, b"\xff"))
            await store.transact(names)
        assert (store.rows_set_aside, len(caplog.messages)) == (3, 1)
    async with Store(tmp_path / "s.sqlite3") as store:
        assert store.rows_set_aside == 3


async def test_a_transaction_that_fails_sets_nothing_aside(store, caplog):
    await with_names(store, (b"a", b"\xff"))

    def work(db):
        names(db)
        db.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StoreError):
        await store.transact(work)
    assert (store.rows_set_aside, caplog.messages) == (0, [])
    assert await store.transact(lambda db: db.execute("SELECT COUNT(*) FROM names").fetchone()[0]) == 1


async def test_what_is_kept_of_rows_that_were_set_aside_is_bounded(store, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL)
    await with_names(store, *((b"%d" % row, b"\xff") for row in range(module.MOST_ROWS + 50)))
    await store.transact(names)
    kept = "SELECT COUNT(*), MAX(seq), SUM(LENGTH(content)), MAX(LENGTH(content)) FROM set_aside_rows"
    count, newest, *_ = await store.transact(lambda db: db.execute(kept).fetchone())
    assert (count, newest, store.rows_set_aside) == (module.MOST_ROWS, module.MOST_ROWS + 50, module.MOST_ROWS + 50)

    await with_names(store, *((b"%d" % row, b"\xff" * 50_000) for row in range(100)))
    await store.transact(names)
    _, _, kept_bytes, longest = await store.transact(lambda db: db.execute(kept).fetchone())
    assert kept_bytes <= module.MOST_BYTES
    assert longest == module.MOST_ROW_BYTES


async def test_a_row_can_be_copied_and_kept(store):
    await with_names(store, (b"a", b"Attic"))
    await store.transact(lambda db: set_aside(db, "names", [(1, "its name is a joke")], are_kept=True))
    assert await store.transact(names) == [("a", "Attic")]
    assert store.rows_set_aside == 1


async def test_who_only_looks_leaves_damaged_rows_where_they_are(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        await with_names(store, (b"a", b"\xff"), (b"b", b"Attic"))
        assert read_store(store.path, names) == [("b", "Attic")]
        assert await store.transact(lambda db: db.execute("SELECT COUNT(*) FROM names").fetchone()[0]) == 2


@pytest.mark.parametrize(
    ("read", "value", "why"),
    [
        (text, None, "c is no text"),
        (text, 5, "c is no text"),
        (number, "5", "c is no whole number"),
        (number, 5.5, "c is no whole number"),
        (moment, "tomorrow", "c is no time"),
        (moment, "2026-01-01T00:00:00", "c has no time zone"),
        (moment, "0001-01-01T00:00:00+14:00", "c is no time"),
        (json_value, "{", "c is no usable JSON: Expecting property name"),
        (json_value, "[" * 100_000, "c is no usable JSON: RecursionError"),
        (json_value, "9" * 5_000, "c is no usable JSON: ValueError"),
        (json_value, '{"a": NaN}', "c is no usable JSON: ValueError"),
        (json_value, r'"\ud800"', "c is no usable JSON: UnicodeEncodeError"),
        (json_value, b"\xff", "c is not UTF-8"),
    ],
    ids=str.split("null number digits part word naive first broken deep long nan half bytes"),
)
def test_a_value_that_cannot_be_used_is_named_by_its_column(read, value, why):
    with pytest.raises(ValueError, match=f"^{why}"):
        read(value, "c")
