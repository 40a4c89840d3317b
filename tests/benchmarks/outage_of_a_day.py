"""A day without the cloud: 1,000 children with a sample every 30 s, in simulated time; then the cloud is back, and all is sent.

The store, the outbox, the delivery and its pace are the real ones, and so are their transactions; the hub is in memory and takes
100 ms for a call. Everybody goes on measuring while the backlog is sent. Takes 20 minutes; `HOURS=1` in the
environment makes it shorter.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from comparison import Comparison
from pydantic import SecretStr

from gateway.cloud.delivery import Delivery
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import RateControl
from gateway.cloud.revocation import GatewayRevocation, RevocationTiming
from gateway.cloud.telemetry_loop import OwnTelemetry, TelemetryLoop
from gateway.hub import CHILDREN_PER_CALL, Credentials, TelemetryMessage, TelemetryResponse
from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.state.outbox import Outbox
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.tasks import loop_time
from gateway.testing.clock import simulated

HOURS = float(os.environ.get("HOURS", "24"))
CHILDREN = 1_000
EVERY_SECONDS = 30
CALL_SECONDS = 0.1
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PARENT = Credentials(device_id="p", access_key=SecretStr("k" * 32), hub_url="https://hub.example")


@dataclass
class Hub:
    """A hub in memory that notes what arrives of each child, and in which order."""

    calls: int = 0
    singly: int = 0
    arrived: Counter[str] = field(default_factory=Counter)
    last: dict[str, int] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    early: dict[str, set[int]] = field(default_factory=dict)
    ahead: int = 0
    out_of_order: int = 0

    async def send_child_telemetries(
        self, _parent: Credentials, messages: Mapping[str, TelemetryMessage]
    ) -> dict[str, TelemetryResponse]:
        await asyncio.sleep(CALL_SECONDS)
        self.calls += 1
        for device_id, message in messages.items():
            self._note(device_id, cast("int", message.values["number"]))
        return dict.fromkeys(messages, TelemetryResponse())

    async def send_telemetry(self, _device: Credentials, _message: TelemetryMessage) -> TelemetryResponse:
        await asyncio.sleep(CALL_SECONDS)
        self.singly += 1
        return TelemetryResponse()

    def _note(self, device_id: str, number: int) -> None:
        self.arrived[device_id] += 1
        early, expected = self.early.setdefault(device_id, set()), self.last.get(device_id, -1) + 1
        while expected in early:  # it went ahead of the backlog
            early.remove(expected)
            expected += 1
        if number == expected:
            self.last[device_id] = number
        elif number > expected:
            early.add(number)
            self.ahead += 1
        elif number != self.newest.get(device_id):  # the newest is sent once more at the end of a backlog
            self.out_of_order += 1
        self.newest[device_id] = max(number, self.newest.get(device_id, -1))


@dataclass
class Figures:
    """What was seen."""

    samples: int
    file_bytes: int
    counted_bytes: int
    put_seconds: float
    start_seconds: float
    drain_seconds: float
    """Simulated."""
    hub: Hub
    accounts_balance: bool
    lost: int


def compare() -> Iterator[Comparison]:
    figures = simulated(outage())
    samples, hub = figures.samples, figures.hub
    what = f"{HOURS:g} h without the cloud, {CHILDREN} children, {samples:,} samples"
    yield Comparison(
        what=f"{what}: bytes on disk for each, {figures.file_bytes / 1e6:,.0f} MB in all",
        unit="B", figure=figures.file_bytes / samples, baseline=figures.counted_bytes / samples,
        baseline_is="what the bound `most_mb` counts", more_is_better=False, goal="at most 1.5 times",
        holds=figures.file_bytes <= 1.5 * figures.counted_bytes,
    )  # fmt: skip
    yield Comparison(
        what=f"{what}: simulated time until all is sent, with what is measured meanwhile", unit="s", figure=figures.drain_seconds,
        baseline=HOURS * 3600, baseline_is="the outage", more_is_better=False, goal="at most a quarter",
        holds=figures.drain_seconds <= HOURS * 3600 / 4,
    )  # fmt: skip
    least = sum(hub.arrived.values()) / CHILDREN_PER_CALL
    yield Comparison(
        what=f"{what}: bulk calls", unit="calls", figure=hub.calls, baseline=least, baseline_is="all of them full",
        more_is_better=False, goal="at most 1.1 times", holds=hub.calls <= 1.1 * least,
    )  # fmt: skip
    yield Comparison(
        what=f"{what}: samples out of order within a child, beside {hub.ahead:,} that went ahead on purpose", unit="samples",
        figure=hub.out_of_order, baseline=0, baseline_is="none", more_is_better=False, goal="none; none lost, accounts balanced",
        holds=hub.out_of_order == 0 and figures.lost == 0 and figures.accounts_balance,
    )  # fmt: skip
    yield Comparison(
        what=f"one put of {CHILDREN} samples", unit="ms", figure=1000 * figures.put_seconds, baseline=1000 * EVERY_SECONDS,
        baseline_is="the telemetry interval", more_is_better=False,
    )  # fmt: skip
    yield Comparison(
        what=f"a start with {samples:,} samples waiting: reading the outbox", unit="ms", figure=1000 * figures.start_seconds,
        baseline=2000, baseline_is="the goal of 2 s", more_is_better=False, goal="at most 2 s", holds=figures.start_seconds <= 2,
    )  # fmt: skip


async def outage() -> Figures:
    """Fill an outbox for so many hours, restart, and send everything."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.sqlite3"
        async with Store(path) as store:
            registry, outbox = await register(store), Outbox(store, most_samples=10_000_000, most_bytes=8 << 30)
            began = time.perf_counter()
            rounds = int(HOURS * 3600 / EVERY_SECONDS)
            for number in range(rounds):
                await measure(outbox, number)
            put_seconds = (time.perf_counter() - began) / rounds
            samples, counted = outbox.depth, outbox.size_bytes
        file_bytes = path.stat().st_size
        async with Store(path) as store:
            registry, outbox = Registry(store), Outbox(store, most_samples=10_000_000, most_bytes=8 << 30)
            await registry.load()
            began = time.perf_counter()
            await outbox.load()
            start_seconds = time.perf_counter() - began
            hub = Hub()
            drain_seconds = await drain(hub, registry, outbox, rounds)
            balanced = all(account.is_balanced for account in await outbox.accounts())
            return Figures(
                samples, file_bytes, counted, put_seconds, start_seconds, drain_seconds, hub, balanced, outbox.lost
            )  # fmt: skip


async def drain(hub: Hub, registry: Registry, outbox: Outbox, number: int) -> float:
    """Send with the loop of the session until no more waits than of one interval, and return the simulated seconds."""
    delivery = Delivery(cast("Any", hub), registry, outbox, on_event=lambda _: None, on_doubt=lambda _: None)
    rate_control = RateControl()
    revocation = GatewayRevocation(cast("Any", hub), rate_control, registered_at=lambda: 0.0, timing=RevocationTiming())
    loop = TelemetryLoop(
        cast("Any", hub), outbox, delivery, cast("Any", Enrolment()), calls=GuardedCalls(rate_control, revocation),
        own_telemetry=OwnTelemetry(read=dict, every=timedelta(seconds=EVERY_SECONDS)),
    )  # fmt: skip
    began, sending = loop_time(), asyncio.create_task(loop.run(PARENT))
    while outbox.depth > CHILDREN:
        await asyncio.sleep(EVERY_SECONDS)
        await measure(outbox, number)
        number += 1
    seconds = loop_time() - began
    while outbox.depth:  # noqa: ASYNC110 - a claim about a number
        await asyncio.sleep(1)
    sending.cancel()
    await asyncio.wait({sending})
    return seconds


class Enrolment:
    """The enrolment of a gateway that has told the cloud everything of itself."""

    async def send_changes(self, parent: Credentials) -> None:
        """Have nothing to send."""


async def measure(outbox: Outbox, number: int) -> None:
    """Put one sample of each child in, as a power meter has it."""
    at = BEGIN + timedelta(seconds=number * EVERY_SECONDS)
    values = {
        "number": number,
        "voltage": 230.1,
        "current": 4.25,
        "power": 977.5,
        "energy": 12_345.5 + number,
        "frequency": 50.01,
    }
    await outbox.put([Sample(f"sn:acme/{child}", at, Status.ONLINE, values) for child in range(CHILDREN)])


async def register(store: Store) -> Registry:
    """Make children that are registered."""
    registry = Registry(store)
    await registry.load()
    for child in range(CHILDREN):
        record = await registry.admit(
            ChildDevice(
                key=f"sn:acme/{child}", adapter="a", bus="b", address=str(child), profile=None, family=None, model_id="m",
                sub_model=None, firmware_version=None, name=f"child {child}",
            )
        )  # fmt: skip
        await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id=f"id{child}", parent_id="p"))
    return registry
