"""Store what adapters remember between two runs: small texts by name, one mapping for each entry of the config.

The table is called `notes`, its text column `said`, in the stores that users have.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from gateway.state.database.columns import text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction

MAX_ITEMS = 5_000
"""For each entry; when there are more, the one that was written first is removed."""

MAX_CHARACTERS = 20_000
"""A longer text, with its name, is not stored: it is not what this memory is for. Nor is one with half a character in it."""


class AdapterMemory:
    """The texts of all entries, and which of them are not stored yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: dict[str, dict[str, str]] = {}
        self._changed: set[tuple[str, str]] = set()

    async def load(self) -> None:
        """Read everything from the store."""
        for entry, name, written in await self._store.transact(_read_all):
            self._entries.setdefault(entry, {})[name] = written

    def for_entry(self, entry: str) -> MutableMapping[str, str]:
        """Return the texts of this entry; changes to the mapping are stored by the next `save`."""
        return _EntryMemory(entry, self._entries.setdefault(entry, {}), self._changed)

    async def save(self) -> None:
        """Store the changes.

        Raises:
            StoreError: nothing could be stored; the next call tries again.
        """
        if not self._changed:
            return
        rows = [(entry, name, self._entries[entry].get(name)) for entry, name in sorted(self._changed)]
        await self._store.transact(lambda transaction: _write(transaction, rows), may_be_lost=True)
        self._changed -= {(entry, name) for entry, name, text in rows if self._entries[entry].get(name) == text}


class _EntryMemory(MutableMapping[str, str]):
    """The texts of one entry; records which of them changed."""

    def __init__(self, entry: str, texts: dict[str, str], changed: set[tuple[str, str]]) -> None:
        self._entry = entry
        self._texts = texts
        self._changed = changed

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __setitem__(self, name: str, text: str) -> None:
        if type(name) is not str or type(text) is not str:
            raise TypeError("an adapter remembers texts by names that are texts")
        if len(name) + len(text) > MAX_CHARACTERS or self._texts.get(name) == text or not _can_be_stored(name + text):
            return
        if name not in self._texts and len(self._texts) >= MAX_ITEMS:
            del self[next(iter(self._texts))]
        self._texts[name] = text
        self._changed.add((self._entry, name))

    def __delitem__(self, name: str) -> None:
        del self._texts[name]
        self._changed.add((self._entry, name))

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._texts))

    def __len__(self) -> int:
        return len(self._texts)


def _can_be_stored(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _read_all(transaction: Transaction) -> list[tuple[str, str, str]]:
    return read_rows(transaction, "notes", "entry, name, said", _texts, "ORDER BY rowid")


def _texts(entry: object, name: object, said: object) -> tuple[str, str, str]:
    return text(entry, "entry"), text(name, "name"), text(said, "said")


def _write(transaction: Transaction, rows: list[tuple[str, str, str | None]]) -> None:
    for entry, name, written in rows:
        if written is None:
            transaction.execute("DELETE FROM notes WHERE entry = ? AND name = ?", (entry, name))
        else:
            transaction.execute("INSERT OR REPLACE INTO notes (entry, name, said) VALUES (?, ?, ?)", (entry, name, written))
