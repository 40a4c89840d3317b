"""The parsers of the rows of the store, with damaged cells in any table."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from functools import cache
from pathlib import Path

from fuzzed_parser import FuzzedParser
from hostile_inputs import NASTY_BYTES, NASTY_NUMBERS, NASTY_TEXTS, cached, damaged
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from gateway.state.store import Store
from tests.state.damage import COLUMNS, ROWS, damage, everything, fill

MOST_CELLS = 3
LARGEST = 2**63
"""SQLite stores no larger number."""


@cache
def _whole() -> Path:
    path = Path(tempfile.mkdtemp(prefix="fuzz-store-")) / "whole.sqlite3"
    asyncio.run(fill(path))
    return path


@st.composite
def _damages(draw: DrawFn) -> list[tuple[str, str, object]]:
    cells = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=MOST_CELLS, unique=True))
    return [(table, column, draw(_values(ROWS[table]("b")[column]))) for table, column in cells]


def _values(good: object) -> st.SearchStrategy[object]:
    """Return what may stand in a cell that should have this value; bytes are stored as a text."""
    texts = st.sampled_from([one for one in NASTY_TEXTS if "\ud800" not in one])
    numbers = st.sampled_from([one for one in NASTY_NUMBERS if abs(one) < LARGEST])
    changed = damaged([good.encode()]) if isinstance(good, str) else st.nothing()
    return st.one_of(
        changed, changed, st.none(), texts, numbers, st.sampled_from(NASTY_BYTES), st.integers(-LARGEST, LARGEST - 1)
    )


def _read(damages: list[tuple[str, str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.sqlite3"
        shutil.copyfile(_whole(), path)
        for table, column, value in damages:
            damage(path, table, column, value)
        asyncio.run(_read_everything(path))


async def _read_everything(path: Path) -> None:
    async with Store(path) as store:
        assert (await everything(store)).keys() == ROWS.keys()


PARSERS = (FuzzedParser(name="store: rows of every table", inputs=cached(_damages), parse=_read),)
