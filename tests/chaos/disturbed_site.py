"""A site that is disturbed: the emulated cloud, the process that forks gateways, and what both have counted."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import resource
import signal
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from gateway.emulator import Emulator
from gateway.emulator.rate_limit import RateLimits
from gateway.state.outbox import Account, LossReason, read_accounts, read_losses
from gateway.state.store import read_store

GATEWAYS = Path(__file__).with_name("chaos_gateway.py")
GENEROUS_SECONDS = 120.0


@dataclass
class Outcome:
    """What one scenario has shown."""

    scenario: str
    figures: dict[str, object] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def require(self, claim: object, told: str) -> None:
        """Note a violation, unless the claim is true."""
        if not claim:
            self.violations.append(told)


class DisturbedSite:
    """One emulated cloud and one gateway at a time, in a folder of its own."""

    def __init__(self, folder: Path, chance: random.Random, *, emulator: Emulator | None = None, **options: Any) -> None:
        self.folder, self.chance, self.options = folder, chance, options
        self.emulator = emulator if emulator is not None else Emulator()
        self.received: dict[str, Counter[tuple[str, object]]] = defaultdict(Counter)
        """By child: each message by its time and number -> how often it came."""
        self.process_id = 0
        self.runs = 0
        self.counted: Counter[str] = Counter()
        self._gateways: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "executed").touch()
        await self.emulator.__aenter__()
        self._count_messages()
        self._gateways = await asyncio.create_subprocess_exec(
            sys.executable, str(GATEWAYS), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._gateways is not None and self._gateways.stdin is not None:
            if self.process_id:
                with suppress(ProcessLookupError):
                    os.kill(self.process_id, signal.SIGKILL)
            self._gateways.stdin.close()
            await self._gateways.wait()
        await self.emulator.__aexit__(*exc)

    def _count_messages(self) -> None:
        record = self.emulator.journal.record_telemetry

        def counting(device_id: str, message: Any) -> None:
            self.received[device_id][message.at.isoformat(), message.values.get("number")] += 1
            record(device_id, message)

        self.emulator.journal.record_telemetry = counting

    @property
    def store(self) -> Path:
        """The store of the gateway."""
        return self.folder / "gateway.sqlite3"

    @property
    def log(self) -> str:
        """What the gateways have logged so far."""
        file = self.folder / "log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    @property
    def children(self) -> list[Any]:
        """The children in the cloud."""
        return [one for one in self.emulator.cloud.devices.values() if one.parent_id is not None]

    @property
    def messages(self) -> int:
        """How many messages of children the cloud has received."""
        return sum(sum(one.values()) for one in self.received.values())

    async def start(self, **options: Any) -> None:
        """Start another gateway."""
        assert self._gateways is not None
        self.runs += 1
        given = {"entry_url": self.emulator.entry_url, "folder": str(self.folder), "run": self.runs, **self.options, **options}
        self._gateways.stdin.write(json.dumps(given).encode() + b"\n")
        self.process_id = await self._told()

    async def kill(self) -> int:
        """Kill the gateway; return its exit code, which is -9 unless it had ended by itself."""
        with suppress(ProcessLookupError):
            os.kill(self.process_id, signal.SIGKILL)
        self.emulator.cloud.limits = RateLimits()  # as if the hour were over in which ten calls of Update Device are accepted
        return await self.ended()

    async def stop(self) -> int:
        """Stop the gateway as a service manager does, and return its exit code."""
        with suppress(ProcessLookupError):
            os.kill(self.process_id, signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Return the exit code of the gateway when it has ended."""
        code = await self._told()
        self.process_id = 0
        return code

    async def begin(self, **options: Any) -> bool:
        """Start a gateway and return whether all its children are registered and send something."""
        count = int(options.get("children", self.options.get("children", 20)))
        await self.start(**options)
        return await self.until(lambda: len(self.children) >= count) and await self.flows()

    async def flows(self, seconds: float = 60.0) -> bool:
        """Return whether each child of the healthy bus has another message accepted within this time."""
        healthy = [one.id for one in self.children if (one.sn or "").isdecimal()]
        before = {one: self.received[one].total() for one in healthy}
        return bool(healthy) and await self.until(
            lambda: all(self.received[one].total() > before[one] for one in healthy), seconds
        )

    def limit(self, what: int, value: int | None) -> None:
        """Limit a resource of the running gateway; `None` takes the limit away."""
        _, hard = resource.prlimit(self.process_id, what)
        resource.prlimit(self.process_id, what, (hard if value is None else value, hard))

    def log_lines(self) -> int:
        """Return how many lines the gateways have logged so far."""
        return self.log.count("\n")

    def descriptors(self) -> int:
        """Return how many descriptors the running gateway has open."""
        return len(list(Path(f"/proc/{self.process_id}/fd").iterdir()))

    def store_files(self) -> list[Path]:
        """Return the file of the store and those that SQLite keeps beside it."""
        return [file for file in self.folder.glob("gateway.sqlite3*") if file.suffix != ".lock" and "identity" not in file.name]

    def page_port(self) -> int | None:
        """Return the port of the status page of the running gateway."""
        ports = re.findall(r"https?://127\.0\.0\.1:(\d+)", "\n".join(line for line in self.log.splitlines() if "page" in line))
        return int(ports[-1]) if ports else None

    def is_alive(self) -> bool:
        """Return whether the gateway runs."""
        try:
            state = Path(f"/proc/{self.process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z"

    async def until(self, claim: Callable[[], object], seconds: float = GENEROUS_SECONDS) -> bool:
        """Return whether a claim became true within this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not claim():  # noqa: ASYNC110 - a claim about anything, not an event
                    await asyncio.sleep(0.02)
                return True
        return False

    def accounts(self) -> list[Account]:
        """Return the accounts of all children, as the store has them now."""
        return read_store(self.store, read_accounts)

    def stored(self) -> int:
        """Return how many samples were ever put into the store, as SQLite itself counts them."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        return 0 if row is None else int(row[0])

    def merged(self) -> int:
        """Return how many samples were lost before they were in the store, since it could not be written."""
        never_stored = (LossReason.MERGED, LossReason.UNSTORABLE)
        return sum(loss.samples for loss in read_store(self.store, read_losses) if loss.why in never_stored)

    def device_ids(self) -> dict[str, str]:
        """Return the id in the cloud of each child of the store, by its key."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT key, device_id FROM children WHERE device_id IS NOT NULL"))

    async def drain(self) -> bool:
        """Start a gateway that produces next to nothing, and let it send all that waits; kill it then."""
        self.emulator.faults.clear()
        await self.start(telemetry_seconds=3600, poll_seconds=3600)
        await asyncio.sleep(1)
        is_empty = await self.until(lambda: self.store.exists() and all(one.waiting == 0 for one in self.accounts()), 300)
        await self.kill()
        return is_empty

    def check_accounts(self, outcome: Outcome, *, may_be_lost_yet_received: bool = False) -> None:
        """Compare, for each child, what the store says with what the cloud has received; both have to agree exactly.

        A hub that carries a call out and then answers that it refuses it has received what counts as lost here.
        """
        accounts, ids = self.accounts(), self.device_ids()
        distinct = twice = 0
        for one in accounts:
            came = self.received.get(ids.get(one.child, ""), Counter())
            distinct, twice = distinct + len(came), twice + came.total() - len(came)
            outcome.require(one.is_balanced, f"the account of a child is not balanced: {one}")
            surplus = len(came) - (one.produced - one.lost - one.waiting)
            outcome.require(
                0 <= surplus <= one.lost if may_be_lost_yet_received else surplus == 0,
                f"{one.child}: {one.produced} produced, {one.lost} lost, {one.waiting} waiting, but the cloud has {len(came)}",
            )
        produced = sum(one.produced for one in accounts)
        stored, merged = self.stored(), self.merged()
        told = f"{produced} produced by the accounts, but {stored} rows by SQLite and {merged} that were never a row"
        outcome.require(produced == stored + merged, told)
        outcome.figures |= {
            "children": len(accounts),
            "samples produced": produced,
            "delivered": sum(one.delivered for one in accounts),
            "recorded lost": sum(one.lost for one in accounts),
            "still stored": sum(one.waiting for one in accounts),
            "missing": max(0, produced - distinct - sum(one.lost + one.waiting for one in accounts)),
            "duplicates": f"{twice} ({100 * twice / max(distinct, 1):.2f} %)",
        }

    def check_registrations(self, outcome: Outcome) -> None:
        """Check that the cloud has every device once."""
        parents = [one for one in self.emulator.cloud.devices.values() if one.parent_id is None]
        serials = Counter(one.sn for one in self.children)
        double = {sn: times for sn, times in serials.items() if times > 1}
        outcome.require(not double, f"registered more than once: {double}")
        outcome.require(len(parents) == 1, f"{len(parents)} gateways in the cloud instead of one")
        outcome.figures["double registrations"] = sum(double.values()) - len(double) + len(parents) - 1

    def check_log(self, outcome: Outcome) -> None:
        """Check that no traceback is in the log: each is a bug."""
        tracebacks = self.log.count("Traceback (most recent call last)")
        outcome.figures["tracebacks in the log"] = tracebacks
        if tracebacks:
            at = self.log.index("Traceback (most recent call last)")
            outcome.violations.append(f"a traceback in the log: {self.log[max(0, at - 300) : at + 2500]}")

    async def _told(self) -> int:
        assert self._gateways is not None
        line = await asyncio.wait_for(self._gateways.stdout.readline(), GENEROUS_SECONDS)
        return int(line)
