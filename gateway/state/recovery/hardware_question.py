"""Ask a person what to do when the store was moved to other hardware, and keep the answer; nothing goes to the cloud before."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import uuid4

from gateway.state.database.columns import moment, number, optional_text
from gateway.state.database.set_aside import read_rows
from gateway.state.recovery.hardware import Hardware, difference
from gateway.state.recovery.recoveries import RecoveryKind, write_recovery
from gateway.state.store import Store, Transaction

log = logging.getLogger(__name__)

COMMANDS: Final = (
    "`xyte-gateway identity keep` if this machine replaces the former one, which must not run any more; `xyte-gateway identity"
    " new` if both run: this one then registers as another gateway"
)
"""How to answer at the command line."""

HOW_TO_ANSWER: Final = f"Nothing goes to the cloud until a person decides: {COMMANDS}"


class IdentityDecision(StrEnum):
    """A person's answer."""

    KEEP = "keep"
    """This machine replaces the former one."""
    NEW = "new"
    """This machine is another gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareQuestion:
    """An open question."""

    why: str
    """Why this is another machine."""
    at: datetime
    now: Hardware
    last_sample: int
    """The last sample that the former machine has left in the outbox."""
    decision: IdentityDecision | None = None

    @property
    def short(self) -> str:
        """The question without the commands that answer it, for where there are buttons."""
        return (
            f"the store comes from another machine: {self.why}. Nothing goes to the cloud until a person decides whether this"
            " machine replaces the former one, which must not run any more, or is another gateway"
        )

    def __str__(self) -> str:
        return f"the store of this gateway comes from another machine: {self.why}. {HOW_TO_ANSWER}"


class HardwareMemory:
    """The hardware that the store belongs to, and the open question if it was moved to another one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: Hardware | None = None
        self._question: HardwareQuestion | None = None
        self.becomes_new = asyncio.Event()
        """Set when a person has decided so while the gateway runs: it has to be built anew."""
        self._is_settled = asyncio.Event()
        self._is_settled.set()

    @property
    def question(self) -> HardwareQuestion | None:
        """The open question; `None` when the gateway may speak to the cloud."""
        return self._question

    async def load(self) -> None:
        """Read what is stored, also again after another process answered the question."""
        rows = await self._store.transact(_read)
        self._known, self._question = rows[0] if rows else (None, None)
        if self._question is None:
            self._is_settled.set()
        else:
            self._is_settled.clear()

    async def wait_until_settled(self) -> None:
        """Return when the gateway may speak to the cloud."""
        await self._is_settled.wait()

    async def look(self, now: Hardware) -> None:
        """Compare this machine with the known one: ask, go on with an earlier question, or learn what is new of it."""
        why = None if self._known is None else difference(self._known, now)
        if why is None:
            known = now if self._known is None else self._known.seen_again(now)
            if known != self._known or self._question is not None:
                await self._settle(known)
            return
        before = self._question
        if before is not None and difference(before.now, now) is None:
            if before.decision is None:
                log.warning("%s", before)
            return
        question = HardwareQuestion(why=why, at=datetime.now(UTC), now=now, last_sample=await self._store.transact(_last_sample))
        await self._store.transact(lambda db: _write(db, self._known, question))
        await self.load()
        log.error("%s", question)

    async def decide(self, decision: IdentityDecision) -> bool:
        """Store a person's answer; return `False` where no question is open."""
        question = self._question
        if question is None:
            return False
        await self._store.transact(lambda db: db.execute("UPDATE hardware SET decision = ?", (decision.value,)))
        await self.load()
        return True

    async def keep(self) -> None:
        """Go on as the same gateway on this machine."""
        if self._question is None:
            return
        text = f"a person decided that this machine replaces the former one: {self._question.why}"
        await self._settle(self._question.now, text)
        log.warning("%s; the gateway goes on as the same one", text)

    async def begin_as_new(self, serial_number: str) -> None:
        """Make the store that of another gateway with this serial number; everything has to be loaded again afterwards."""
        question = self._question
        if question is None:
            return
        text = f"a person decided that this machine is another gateway: {question.why}. It is {serial_number} from now on"

        def work(db: Transaction) -> None:
            _forget_identity(db, serial_number, question.last_sample)
            _write(db, question.now, None)
            write_recovery(db, RecoveryKind.NEW_IDENTITY, text)

        await self._store.transact(work)
        await self.load()
        log.warning("%s", text)

    async def _settle(self, known: Hardware, text: str | None = None) -> None:
        def work(db: Transaction) -> None:
            _write(db, known, None)
            if text is not None:
                write_recovery(db, RecoveryKind.KEPT_IDENTITY, text)

        await self._store.transact(work)
        await self.load()


def read_question(db: Transaction) -> HardwareQuestion | None:
    """Return the open question; `None` where a person has nothing to decide."""
    rows = _read(db)
    return rows[0][1] if rows else None


def forget_hardware(db: Transaction) -> None:
    """Let the next machine be the known one: a person has restored the store there."""
    db.execute("DELETE FROM hardware")


_FORGOTTEN: Final = (
    "gateway", "unused_devices", "child_requests", "commands", "command_contact", "events", "event_allowances", "incidents",
    "suspended_incidents", "licences", "cloud_records", "configurations", "firmware_jobs", "firmware_offers", "losses",
)  # fmt: skip
"""What belongs to the devices in the cloud of the former gateway."""


def _forget_identity(db: Transaction, serial_number: str, last_sample: int) -> None:
    """Remove what belongs to the former gateway. A child of which this machine has read samples stays, and is registered anew."""
    for table in _FORGOTTEN:
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - our tables
    db.execute("INSERT INTO gateway (only_row, serial_number) VALUES (1, ?)", (serial_number,))
    db.execute("DELETE FROM outbox WHERE seq <= ?", (last_sample,))
    db.execute("DELETE FROM children WHERE key NOT IN (SELECT child FROM outbox WHERE status = 'online')")
    db.execute("DELETE FROM outbox WHERE child NOT IN (SELECT key FROM children)")
    db.execute("DELETE FROM outbox_accounts WHERE child NOT IN (SELECT child FROM outbox)")
    db.execute("UPDATE outbox_accounts SET produced = waiting, delivered = 0, lost = 0")
    for (key,) in db.execute("SELECT key FROM children").fetchall():
        db.execute(
            "UPDATE children SET state = CASE state WHEN 'held' THEN 'held' ELSE 'admitted' END, marker = ?, device_id = NULL,"
            " access_key = NULL, hub_url = NULL, parent_id = NULL, update_owed = 0, unanswered_at = NULL,"
            " problem = CASE state WHEN 'held' THEN problem END WHERE key = ?",
            (str(uuid4()), key),
        )


def _last_sample(db: Transaction) -> int:
    row = db.execute("SELECT MAX(seq) FROM outbox").fetchone()
    return int(row[0] or 0)


def _write(db: Transaction, known: Hardware | None, question: HardwareQuestion | None) -> None:
    asked: tuple[str | int | None, ...] = (None, None, None, None)
    if question is not None:
        asked = (question.now.to_json(), question.why, question.at.isoformat(), question.last_sample)
    db.execute(
        "INSERT OR REPLACE INTO hardware (only_row, known, asked, asked_why, asked_at, last_sample, decision)"
        " VALUES (1, ?, ?, ?, ?, ?, NULL)",
        ((known or Hardware()).to_json(), *asked),
    )


def _read(db: Transaction) -> list[tuple[Hardware, HardwareQuestion | None]]:
    return read_rows(db, "hardware", "known, asked, asked_why, asked_at, last_sample, decision", _row)


def _row(
    known: object, asked: object, why: object, at: object, last_sample: object, decision: object
) -> tuple[Hardware, HardwareQuestion | None]:
    if asked is None:
        return Hardware.from_json(known), None
    decided = optional_text(decision, "decision")
    return Hardware.from_json(known), HardwareQuestion(
        why=optional_text(why, "asked_why") or "",
        at=moment(at, "asked_at"),
        now=Hardware.from_json(asked),
        last_sample=number(last_sample, "last_sample"),
        decision=None if decided is None else IdentityDecision(decided),
    )
