"""Keep the values that devices had before a configuration of the cloud set others, so that they can be put back.

A value is stored before the device gets another one. After a crash it shows which settings of a device are not its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from gateway import strict_json
from gateway.models import SettingValue
from gateway.state.database.columns import Unusable, json_value, text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion


class OriginalSettings:
    """The original values of the settings that the cloud has set, by child and name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._children: dict[str, dict[str, SettingValue]] = {}

    async def load(self) -> None:
        """Read everything from the store."""
        for child, name, value in await self._store.transact(_read_all):
            self._children.setdefault(child, {})[name] = value

    def of(self, child: str) -> Mapping[str, SettingValue]:
        """Return the original values of a child's settings, by name."""
        return MappingProxyType(self._children.get(child, {}))

    @property
    def children(self) -> list[str]:
        """The local keys of the children with settings that the cloud has set."""
        return list(self._children)

    @runs_to_completion
    async def add(self, child: str, values: Mapping[str, SettingValue]) -> None:
        """Store values that a device has now; those that are stored already stay."""
        new = {name: value for name, value in values.items() if name not in self._children.get(child, {})}
        if new:
            rows = [(child, name, strict_json.dumps(value)) for name, value in new.items()]
            await self._store.transact(lambda db: _insert(db, rows))
            self._children.setdefault(child, {}).update(new)

    @runs_to_completion
    async def forget(self, child: str, names: Iterable[str] | None = None) -> None:
        """Remove values that were put back; without names, all of a child that was removed or exchanged."""
        known = self._children.get(child, {})
        gone = [name for name in (known if names is None else names) if name in known]
        if gone:
            await self._store.transact(lambda db: _delete(db, child, gone))
            self._children[child] = {name: value for name, value in known.items() if name not in gone}
            if not self._children[child]:
                del self._children[child]


def _read_all(db: Transaction) -> list[tuple[str, str, SettingValue]]:
    return read_rows(db, "original_settings", "child, name, value", _setting, "ORDER BY rowid")


def _setting(child: object, name: object, written: object) -> tuple[str, str, SettingValue]:
    value = json_value(written, "value")
    if not isinstance(value, bool | int | float | str):
        raise Unusable("value is no setting")
    return text(child, "child"), text(name, "name"), value


def _insert(db: Transaction, rows: list[tuple[str, str, str]]) -> None:
    for row in rows:
        db.execute("INSERT OR IGNORE INTO original_settings (child, name, value) VALUES (?, ?, ?)", row)


def _delete(db: Transaction, child: str, names: list[str]) -> None:
    for name in names:
        db.execute("DELETE FROM original_settings WHERE child = ? AND name = ?", (child, name))
