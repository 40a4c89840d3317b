"""What is sent next is found by one look per child, however many samples wait."""

from __future__ import annotations

import json

import pytest

from gateway.state.outbox import Outbox, draining
from gateway.state.store import Store

QUERIES = {
    "oldest": (draining._OLDEST.replace("-- condition", "AND ?4 IS NOT NULL"), ["p", "[]", 100, "[]"]),
    "oldest, some skipped": (
        draining._OLDEST.replace("-- condition", "AND seq NOT IN (SELECT value FROM json_each(?4))"),
        ["p", "[]", 100, json.dumps([1, 2])],
    ),
    "newest": (draining._NEWEST, ["p", "[]", "", 4, 100]),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_no_query_for_what_goes_next_reads_the_whole_outbox(tmp_path, name):
    rest, values = QUERIES[name]
    async with Store(tmp_path / "s.sqlite3") as store:
        await Outbox(store, most_samples=10).load()
        query = f"EXPLAIN QUERY PLAN SELECT o.rowid, {draining.COLUMNS} FROM outbox AS o {rest}"
        plan = [row[3] for row in await store.transact(lambda db: db.execute(query, values).fetchall())]
    assert any("outbox_by_child (child=?" in step for step in plan), plan
    assert not any(step.startswith("SCAN o") for step in plan), plan
