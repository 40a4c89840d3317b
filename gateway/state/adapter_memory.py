"""What adapters want to know again after a restart: small texts by name, one mapping for each entry of the config."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from gateway.state.store import Store, Transaction

MOST_NOTES = 5_000
"""For each entry; of more, the one that was written first is forgotten."""

MOST_CHARACTERS = 20_000
"""A longer text is not kept: an adapter that needs more has something else in mind than notes."""


class Notes:
    """The notes of all entries, in memory, and what of them is not stored yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: dict[str, dict[str, str]] = {}
        self._changed: set[tuple[str, str]] = set()

    async def load(self) -> None:
        """Take in what is stored."""
        for entry, name, text in await self._store.transact(_all):
            self._entries.setdefault(entry, {})[name] = text

    def of(self, entry: str) -> MutableMapping[str, str]:
        """Return the notes of this entry: what is put into them is stored by the next `keep`."""
        return _EntryNotes(entry, self._entries.setdefault(entry, {}), self._changed)

    async def keep(self) -> None:
        """Store what has changed.

        Raises:
            StoreError: the store takes nothing; it is tried again the next time.
        """
        if not self._changed:
            return
        rows = [(entry, name, self._entries[entry].get(name)) for entry, name in sorted(self._changed)]
        await self._store.transact(lambda transaction: _write(transaction, rows))
        self._changed -= {(entry, name) for entry, name, text in rows if self._entries[entry].get(name) == text}


class _EntryNotes(MutableMapping[str, str]):
    """One entry's notes; remembers which of them changed."""

    def __init__(self, entry: str, notes: dict[str, str], changed: set[tuple[str, str]]) -> None:
        self._entry = entry
        self._notes = notes
        self._changed = changed

    def __getitem__(self, name: str) -> str:
        return self._notes[name]

    def __setitem__(self, name: str, text: str) -> None:
        if len(text) > MOST_CHARACTERS or self._notes.get(name) == text:
            return
        if name not in self._notes and len(self._notes) >= MOST_NOTES:
            del self[next(iter(self._notes))]
        self._notes[name] = text
        self._changed.add((self._entry, name))

    def __delitem__(self, name: str) -> None:
        del self._notes[name]
        self._changed.add((self._entry, name))

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._notes))

    def __len__(self) -> int:
        return len(self._notes)


def _all(transaction: Transaction) -> list[tuple[str, str, str]]:
    return transaction.execute("SELECT entry, name, said FROM notes ORDER BY rowid").fetchall()


def _write(transaction: Transaction, rows: list[tuple[str, str, str | None]]) -> None:
    for entry, name, text in rows:
        if text is None:
            transaction.execute("DELETE FROM notes WHERE entry = ? AND name = ?", (entry, name))
        else:
            transaction.execute("INSERT OR REPLACE INTO notes (entry, name, said) VALUES (?, ?, ?)", (entry, name, text))
