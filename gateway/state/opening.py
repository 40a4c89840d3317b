"""Open the store and what is in it, and recover the identities of the gateway and its children from their mirror if need be."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.errors import StoreDamaged, StoreError, StoreNewer
from gateway.state.command_ledger import forget_contact
from gateway.state.parts import StateParts
from gateway.state.recovery.going_back import go_back
from gateway.state.recovery.identity_mirror import (
    MIRRORED,
    Cell,
    Mirror,
    MirrorUnusable,
    Row,
    mirror_file,
    number_in_store,
    read_mirror,
    set_number,
)
from gateway.state.recovery.recoveries import RecoveryKind, write_recovery
from gateway.state.recovery.salvage import Salvage, replace_damaged
from gateway.state.store import Store, Transaction

log = logging.getLogger(__name__)

_LATE_COLUMNS: Final[Mapping[str, Callable[[], Cell]]] = {"since": lambda: datetime.now(UTC).isoformat()}
"""What the mirror leaves out and a row must have."""

LOST_WITH_PART: Final = (
    "Commands, configurations and licences in effect are lost as far as they could not be read. A command that is offered first"
    " now may have been begun already: it is refused, unless it does no harm"
)

LOST_WITH_STORE: Final = (
    "Lost are the samples that waited for the cloud, the record of commands, and the configurations and licences in effect. A"
    " command that is offered first now may have been begun already: it is refused, unless it does no harm"
)


@asynccontextmanager
async def opened_state(
    path: Path, make: Callable[[Store], Awaitable[StateParts]], *, syncs_samples: bool = True
) -> AsyncIterator[StateParts]:
    """Open the store for this process alone, and recover what is missing in it and in the mirror.

    Args:
        path: the file.
        make: returns the loaded state on an open store.
        syncs_samples: a power cut costs no sample.

    Raises:
        StoreError: the store cannot be used, and the mirror does not help.
    """

    async def opened(why: str, salvage: Salvage | None) -> StateParts:
        store = Store(path, exclusive=True, syncs_samples=syncs_samples)
        return await _open(stack, store, make, why, salvage)

    async with AsyncExitStack() as stack:
        try:
            state = await opened("was missing", None)
        except StoreNewer:
            await stack.aclose()
            back = await asyncio.to_thread(go_back, path)
            state = await opened("was missing", None)
            await _recover(state, lambda db: write_recovery(db, RecoveryKind.WENT_BACK, str(back)), str(back))
        except StoreDamaged as error:
            await stack.aclose()
            mirror, _ = await asyncio.to_thread(_look_at_mirror, path)
            salvage = await asyncio.to_thread(replace_damaged, path, needs_identity=mirror is None)
            state = await opened(f"was damaged ({error.__cause__ or error}): {salvage}", salvage)
        yield state


async def _open(
    stack: AsyncExitStack, store: Store, make: Callable[[Store], Awaitable[StateParts]], why: str, salvage: Salvage | None
) -> StateParts:
    """Open the store, and bring it and the mirror up to date with each other.

    Args:
        stack: closes the store.
        store: not open yet.
        make: likewise.
        why: what had happened to the store, if the identities have to come from the mirror.
        salvage: what was copied from a damaged store, if it was.
    """
    path = store.path
    mirror, mirror_problem = _look_at_mirror(path)
    if _is_missing(path) and mirror_problem is not None:
        raise StoreError(
            f"{path} is missing, and its mirror cannot help: {mirror_problem}. Restore a backup (xyte-gateway restore), or move"
            f" {mirror_file(path)} away to begin as a new gateway"
        )
    state = await make(await stack.enter_async_context(store))
    if salvage is not None and salvage.has_identity:
        await _go_on_with(state, salvage, f"the store {why}")
    if mirror_problem is not None:
        mirror = None
        await _set_mirror_aside(state, mirror_problem, "damaged")
    elif mirror is not None:
        mirror = await _compare(state, mirror, why, salvage)
    await state.mirror.begin(mirror)
    return state


def _look_at_mirror(path: Path) -> tuple[Mirror | None, str | None]:
    """Return the mirror, or why there is one that cannot be used."""
    try:
        return read_mirror(mirror_file(path)), None
    except MirrorUnusable as error:
        return None, str(error)


async def _compare(state: StateParts, mirror: Mirror, why: str, salvage: Salvage | None) -> Mirror | None:
    """Bring the store up to date where the mirror knows more, and return the mirror if it is this gateway's."""
    gateway = state.registry.gateway
    if mirror.serial_number is None:
        return mirror  # of a first start that ended before the gateway had an identity, or before the mirror had it
    if gateway is None:
        lost = LOST_WITH_STORE if salvage is None or not salvage.rows else LOST_WITH_PART
        await _adopt(state, mirror, RecoveryKind.LOST, f"the store {why}", lost)
    elif gateway.serial_number != mirror.serial_number:
        problem = (
            f"{mirror_file(state.store.path)} is of the gateway {mirror.serial_number}, but the store of {gateway.serial_number}"
        )
        await _set_mirror_aside(state, problem, "other")
        return None
    elif (number := await state.store.transact(number_in_store)) is not None and number < mirror.number:
        lost = (
            "What else was newer is lost. A command that is offered first now may have been begun already: it is refused, unless"
            " it does no harm"
        )
        await _adopt(state, mirror, RecoveryKind.OLDER, "the store is an older copy of itself", lost)
    elif keys := await state.store.transact(lambda db: _lost_children(db, mirror, is_salvaged=salvage is not None)):
        await _adopt_children(state, mirror, keys)
    return mirror


async def _adopt(state: StateParts, mirror: Mirror, kind: RecoveryKind, why: str, lost: str) -> None:
    """Take over the identities of the mirror as a whole."""
    text = (
        f"{why}. The gateway goes on as {mirror.serial_number} with the {len(mirror.children)} children of its mirror of"
        f" {mirror.written_at:%Y-%m-%d %H:%M} UTC. {lost}"
    )

    def work(db: Transaction) -> None:
        for table in MIRRORED:
            if table != "met":  # of found devices the mirror has only some
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - our tables
            for row in mirror.rows.get(table, ()):
                _insert(db, table, row)
        set_number(db, mirror.number)
        forget_contact(db)
        write_recovery(db, kind, text)

    await _recover(state, work, text)


async def _adopt_children(state: StateParts, mirror: Mirror, keys: set[str]) -> None:
    """Take over single children whose rows were damaged."""
    text = f"the rows of {len(keys)} children were damaged in the store; they go on with their ids and keys of the mirror"

    def work(db: Transaction) -> None:
        for row in mirror.children:
            if row["key"] in keys:
                _insert(db, "children", row)
        write_recovery(db, RecoveryKind.ROWS, text)

    await _recover(state, work, text)


async def _recover(state: StateParts, work: Callable[[Transaction], None], text: str) -> None:
    await state.store.transact(work)
    await state.registry.load()
    await state.recoveries.load()
    log.error("store: %s", text)
    state.events.report(None, "store_recovered", "gateway", text)


async def _go_on_with(state: StateParts, salvage: Salvage, why: str) -> None:
    """Record that the gateway goes on with what could be read of its damaged store."""

    def work(db: Transaction) -> None:
        forget_contact(db)
        write_recovery(db, RecoveryKind.SALVAGED, text)

    text = f"{why}. A command that is offered first now may have been begun already: it is refused, unless it does no harm"
    await _recover(state, work, text)


def _lost_children(db: Transaction, mirror: Mirror, *, is_salvaged: bool) -> set[str]:
    """Return the keys of children that the store lacks because their rows could not be read."""
    known = {key for (key,) in db.execute("SELECT key FROM children")}
    missing = {str(row["key"]) for row in mirror.children} - known
    if is_salvaged:
        return missing
    damaged: set[str] = set()
    if missing:
        for (content,) in db.execute("SELECT content FROM set_aside_rows WHERE table_name = 'children'"):
            try:
                damaged.add(str(json.loads(content)["key"]))
            except (ValueError, LookupError, TypeError):  # it was cut, or its key is what is damaged
                damaged |= missing
    return missing & damaged


def _insert(db: Transaction, table: str, row: Row) -> None:
    """Insert a row of the mirror, which may be of another version of the schema."""
    required = {name: bool(is_required) for _, name, _, is_required, *_ in db.execute(f"PRAGMA table_info({table})")}
    cells = {name: cell for name, cell in row.items() if name in required}
    cells |= {name: value() for name, value in _LATE_COLUMNS.items() if required.get(name) and name not in cells}
    names, places = ", ".join(cells), ", ".join("?" * len(cells))
    db.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({places})", tuple(cells.values()))  # noqa: S608 - columns of ours


async def _set_mirror_aside(state: StateParts, problem: str, word: str) -> None:
    file = mirror_file(state.store.path)
    kept = file.with_name(f"{file.name}.{word}-{_stamp()}")
    text = f"{problem}. It is kept as {kept}, and made anew from the store"
    try:
        file.rename(kept)
    except OSError as error:
        raise StoreError(f"{problem}, and it cannot be moved away: {error.strerror}") from error
    await state.recoveries.record(RecoveryKind.MIRROR, text)
    log.error("store: %s", text)
    state.events.report(None, "mirror_replaced", "gateway", text)


def _is_missing(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
