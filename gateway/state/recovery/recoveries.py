"""Keep what was lost with the store or a part of it, so that the page, the cloud and later decisions know of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.state.database.columns import moment, text
from gateway.state.database.set_aside import read_rows
from gateway.state.store import Store, Transaction

MOST_KEPT: Final = 50


class RecoveryKind(StrEnum):
    """What had happened to the store."""

    LOST = "lost"
    """It was missing or damaged; the identities came from their mirror."""
    SALVAGED = "salvaged"
    """It was damaged; what could be read of it was copied into a new file."""
    WENT_BACK = "went back"
    """A newer gateway had written it; this one goes on with its own snapshot and what was added since."""
    OLDER = "older"
    """It was an older copy of itself; what was newer came from the mirror."""
    RESTORED = "restored"
    """A person has restored a backup."""
    ROWS = "rows"
    """Single rows of it were damaged and came from the mirror."""
    PUT_BACK = "put back"
    """Its file vanished while the gateway ran, and was written anew with all its content."""
    MIRROR = "mirror"
    """The mirror was damaged, or of another gateway, and was made anew."""
    KEPT_IDENTITY = "kept identity"
    """A person has let this gateway go on as the same one on other hardware."""
    NEW_IDENTITY = "new identity"
    """A person has made this gateway another one, on other hardware."""


MAY_LACK_CHILDREN: Final = (RecoveryKind.LOST, RecoveryKind.SALVAGED, RecoveryKind.OLDER, RecoveryKind.RESTORED)
"""After these the cloud may have children that the store does not know."""


class Recovery(NamedTuple):
    """One recovery."""

    at: datetime
    kind: RecoveryKind
    text: str
    """What happened, what was lost and how the gateway goes on, for a person."""


class Recoveries:
    """The recoveries of this store, the latest last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._all: list[Recovery] = []

    @property
    def all(self) -> Sequence[Recovery]:
        """The recoveries, the latest last."""
        return tuple(self._all)

    @property
    def may_lack_children(self) -> bool:
        """Whether the cloud may have children of this gateway that the store does not know."""
        return any(one.kind in MAY_LACK_CHILDREN for one in self._all)

    async def load(self) -> None:
        """Read what earlier runs recorded."""
        self._all = await self._store.transact(_read)

    async def record(self, kind: RecoveryKind, text: str) -> None:
        """Record what has happened just now."""
        await self._store.transact(lambda db: write_recovery(db, kind, text))
        self._all.append(Recovery(datetime.now(UTC), kind, text))


def write_recovery(db: Transaction, kind: RecoveryKind, what: str) -> None:
    """Write a recovery, and forget the oldest beyond what is kept."""
    db.execute("INSERT INTO recoveries (at, kind, text) VALUES (?, ?, ?)", (datetime.now(UTC).isoformat(), kind.value, what))
    # those after which the cloud may have unknown children stay, since they matter for good
    kinds = ", ".join(f"'{kind}'" for kind in MAY_LACK_CHILDREN)
    db.execute(
        f"DELETE FROM recoveries WHERE kind NOT IN ({kinds}) AND seq <= (SELECT MAX(seq) FROM recoveries) - ?",  # noqa: S608 - words of ours
        (MOST_KEPT,),
    )


def _read(db: Transaction) -> list[Recovery]:
    return read_rows(db, "recoveries", "at, kind, text", _recovery, "ORDER BY seq")


def _recovery(at: object, kind: object, written: object) -> Recovery:
    return Recovery(moment(at, "at"), RecoveryKind(text(kind, "kind")), text(written, "text"))
