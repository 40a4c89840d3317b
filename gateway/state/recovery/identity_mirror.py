"""Keep a copy of the identities and keys of the gateway and its children in a small file beside the store.

The file `gateway.sqlite3.identity`, mode 0600, has what the gateway needs to go on as the same gateway, without a registration,
when the store is lost. It is JSON with a version and a checksum, replaced as a whole, and written only when an identity, a key, a
registration or a decision of a person has changed. Each writing has a number, which is in the store first: a store with a lower
number than the file is an older copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias, cast

from gateway import strict_json
from gateway.errors import GatewayError, StoreError
from gateway.state.database.columns import number
from gateway.state.database.set_aside import read_rows
from gateway.state.database.single_instance import real_path
from gateway.state.database.whole_files import replace_file
from gateway.state.registry import Registry
from gateway.state.store import Store, Transaction
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

VERSION: Final = 1

SHORTEST_GAP_SECONDS: Final = 1.0
BYTES_PER_SECOND: Final = 20_000
"""A larger file is written less often: that of 1,000 children every half minute at the most, while they are registered."""

MOST_BYTES: Final = 256 * 1024 * 1024
"""A larger file is none that a gateway wrote, and would fill the memory: one child takes less than 2 kB."""

Cell: TypeAlias = str | int | float | None
Row: TypeAlias = Mapping[str, Cell]
Rows: TypeAlias = Mapping[str, Sequence[Row]]
"""The mirrored rows of each table."""

_QUERIES: Final[Mapping[str, str]] = {
    "gateway": "SELECT * FROM gateway",
    # A child that is not registered yet may be, by a call that the mirror knows nothing of: it is looked up in the cloud. What
    # is tried again every hour is left out, so that a child that the cloud refuses does not have the file written each time.
    "children": (
        "SELECT key, device, CASE WHEN device_id IS NULL AND state IN ('admitted', 'refused') THEN 'registering' ELSE state END"
        " AS state, marker, device_id, access_key, hub_url, parent_id, unanswered_at, replaces FROM children ORDER BY key"
    ),
    "names": "SELECT * FROM names ORDER BY key",
    "unused_devices": "SELECT * FROM unused_devices ORDER BY device_id",
    "child_requests": "SELECT * FROM child_requests ORDER BY key",
    "hardware": "SELECT only_row, known FROM hardware",
    "met": "SELECT * FROM met WHERE decision IS NOT NULL ORDER BY key",
}
"""What is mirrored. Of found devices only those about which a person has decided: the others are found again."""

MIRRORED: Final = tuple(_QUERIES)


class MirrorUnusable(GatewayError):
    """The file is damaged, or was written by a newer gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """The content of the file."""

    number: int
    written_at: datetime
    rows: Rows = field(repr=False)
    """They contain access keys."""

    @property
    def serial_number(self) -> str | None:
        """The serial number of the gateway."""
        gateway = self.rows.get("gateway", ())
        return str(gateway[0]["serial_number"]) if gateway else None

    @property
    def children(self) -> Sequence[Row]:
        """The rows of the children."""
        return self.rows.get("children", ())


def mirror_file(store: Path) -> Path:
    """Return the file beside the store."""
    real = real_path(store)
    return real.with_name(f"{real.name}.identity")


def read_mirror(file: Path) -> Mirror | None:
    """Return what a mirror contains; `None` when there is none.

    Raises:
        MirrorUnusable: it cannot be read, is damaged, or is of a newer gateway.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            raise MirrorUnusable(f"{file} is damaged: it is no file that a gateway wrote")
        written = json.loads(file.read_bytes())
        if not isinstance(written, dict):
            raise MirrorUnusable(f"{file} is damaged: it is no JSON object")
        checksum = written.pop("checksum", None)
        if written.get("version") != VERSION and isinstance(written.get("version"), int):
            raise MirrorUnusable(
                f"{file} was written by a newer gateway (version {written['version']}; this one knows {VERSION})"
            )
        if checksum != _checksum(written):
            raise MirrorUnusable(f"{file} is damaged: its checksum is wrong")
        return Mirror(
            number=int(written["number"]),
            written_at=datetime.fromisoformat(written["written_at"]),
            rows={table: [dict(row) for row in rows] for table, rows in dict(written["tables"]).items()},
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MirrorUnusable(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise MirrorUnusable(f"{file} is damaged: it is no JSON that a gateway wrote") from error


def write_mirror(file: Path, mirror: Mirror) -> int:
    """Write the file, and return its size. May block.

    Raises:
        OSError: it cannot be written; the former one stays.
    """
    content: dict[str, object] = {
        "version": VERSION,
        "number": mirror.number,
        "written_at": mirror.written_at.isoformat(),
        "tables": mirror.rows,
    }
    text = strict_json.dumps({"checksum": _checksum(content), **content}, indent=0)
    replace_file(file, text.encode())
    return len(text)


def mirrored_rows(db: Transaction) -> Rows:
    """Return the rows that belong into the mirror; a row with bytes that are no text is left out."""
    rows: dict[str, Sequence[Row]] = {}
    for table, query in _QUERIES.items():
        cursor = db.execute(query)
        names = [column[0] for column in cursor.description]
        rows[table] = [dict(zip(names, row, strict=True)) for row in cursor if not any(isinstance(cell, bytes) for cell in row)]
    return rows


def number_in_store(db: Transaction) -> int | None:
    """Return the number of the last mirror of this store; `None` when it never had one."""
    numbers = read_rows(db, "identity_mirror", "number", lambda written: number(written, "number"))
    return numbers[0] if numbers else None


def set_number(db: Transaction, following: int) -> None:
    """Record the number of a mirror that is about to be written."""
    db.execute("INSERT OR REPLACE INTO identity_mirror (only_row, number) VALUES (1, ?)", (following,))


class IdentityMirror:
    """Writes the mirror of a store after each change.

    Args:
        store: the store.
        registry: says when something changed.
    """

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._file = mirror_file(store.path)
        self._written: str | None = None
        self._next_at = 0.0
        self.problem: str | None = None
        """Why the mirror is not up to date; `None` while it is."""

    async def run(self) -> None:
        """Write the mirror after each change until cancelled, but a large one not too often."""
        while True:
            revision = self._registry.revision
            if not await self.update():
                await asyncio.sleep(SHORTEST_GAP_SECONDS)
                continue
            await self._registry.wait_for_change(revision)
            await asyncio.sleep(max(self._next_at - loop_time(), 0.0))

    async def ensure_file(self) -> None:
        """Write the mirror again if somebody has removed it."""
        if self._written is not None and not await asyncio.to_thread(self._file.exists):
            log.warning("the copy of the identities beside the store was removed; it is written again")
            self._written = None
            await self.update()

    async def update(self) -> bool:
        """Write the mirror if something has changed since it was written, and return whether it is up to date."""
        try:
            rows = await self._store.transact(mirrored_rows)
            if (content := _checksum(cast("dict[str, object]", rows))) == self._written:
                return True
            size = await asyncio.to_thread(write_mirror, self._file, await self._numbered(rows))
            await self._store.checkpoint()  # a copy of the store's file alone has it, too
        except (OSError, StoreError) as error:
            self._report(f"{self._file} cannot be written: {error}")
            return False
        self._written = content
        self._next_at = loop_time() + max(SHORTEST_GAP_SECONDS, size / BYTES_PER_SECOND)
        self._report(None)
        return True

    async def _numbered(self, rows: Rows) -> Mirror:
        """Return a mirror with the next number, which is in the store before it is in the file."""

        def count(db: Transaction) -> int:
            following = (number_in_store(db) or 0) + 1
            set_number(db, following)
            return following

        return Mirror(number=await self._store.transact(count), written_at=datetime.now(UTC), rows=rows)

    async def begin(self, found: Mirror | None) -> None:
        """Begin with the mirror that was found beside the store, and bring it up to date."""
        if found is not None:
            self._written = _checksum(cast("dict[str, object]", found.rows))
        with contextlib.suppress(StoreError):
            await self.update()

    def _report(self, problem: str | None) -> None:
        if problem is not None and self.problem is None:
            log.error("the copy of the identities beside the store is not up to date: %s", problem)
        elif problem is None and self.problem is not None:
            log.info("the copy of the identities beside the store is up to date again")
        self.problem = problem


def _checksum(content: Mapping[str, object]) -> str:
    return "sha256:" + hashlib.sha256(strict_json.dumps(content, sort_keys=True).encode()).hexdigest()
