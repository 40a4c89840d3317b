"""Keep the point map by which each child is read, so that a changed one can be tried beside it before it is used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from gateway.state.database.columns import optional_text, text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion


@dataclass(frozen=True, slots=True)
class PointMap:
    """The map of one child."""

    text: str
    """As its adapter writes it."""
    refused: str | None = None
    """The fingerprint of another map that was tried and is not used."""
    why: str | None = None
    """Why it is not used."""


def fingerprint(text: str) -> str:
    """Return a short text that differs for different maps."""
    return sha256(text.encode()).hexdigest()


class PointMaps:
    """The maps of all children that are in use, by local key."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._maps: dict[str, PointMap] = {}

    async def load(self) -> None:
        """Read everything from the store."""
        self._maps = dict(await self._store.transact(lambda db: read_rows(db, "point_maps", "child, text, refused, why", _map)))

    def of(self, child: str) -> PointMap | None:
        """Return the map of a child; `None` for one that was never read."""
        return self._maps.get(child)

    @runs_to_completion
    async def use(self, child: str, text: str) -> None:
        """Store the map by which a child is read from now on."""
        await self._put(child, PointMap(text))

    @runs_to_completion
    async def refuse(self, child: str, text: str, why: str) -> None:
        """Store that a changed map is not used, and why; the one in use stays."""
        if (known := self._maps.get(child)) is not None:
            await self._put(child, replace(known, refused=fingerprint(text), why=why))

    @runs_to_completion
    async def forget(self, child: str) -> None:
        """Remove the map of a child whose changed maps are not tried."""
        await self._store.transact(lambda db: db.execute("DELETE FROM point_maps WHERE child = ?", (child,)))
        self._maps.pop(child, None)

    async def _put(self, child: str, one: PointMap) -> None:
        def write(db: Transaction) -> None:
            db.execute(
                "INSERT OR REPLACE INTO point_maps (child, text, refused, why) VALUES (?, ?, ?, ?)",
                (child, one.text, one.refused, one.why),
            )

        await self._store.transact(write)
        self._maps[child] = one


def _map(child: object, written: object, refused: object, why: object) -> tuple[str, PointMap]:
    return text(child, "child"), PointMap(text(written, "text"), optional_text(refused, "refused"), optional_text(why, "why"))
