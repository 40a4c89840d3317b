"""Define the cells of the fault matrix: a fault on a bus, what is to be told of it, and how it is made to happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.adapter import Adapter, AdapterError, Cause, ChildDevice, Found
from gateway.causes import Reason
from gateway.errors import BusUnavailable
from gateway.field.adapter_data.checked_adapter import CheckedAdapter, checked_adapter
from gateway.field.guard.error_causes import reason_of
from gateway.field.polling.child_poller import reason_without_values

NOTHING_TOLD = Reason("nothing is told")

Break = Callable[[], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault on a kind of bus."""

    fault: str
    bus: str
    expected: tuple[Cause, ...]
    """The right cause first; others that are as true where nothing tells them apart."""
    run: Callable[[], Reason]
    """Makes it happen, and returns what the gateway tells of the device or the bus."""
    says: str = ""
    """A part of the text or of the next step that has to be there."""
    waits: bool = False
    """It mostly waits and changes nothing of the whole process, so others like it may run meanwhile."""

    def is_right(self, told: Reason) -> bool:
        """Return whether this is the right cause, with its evidence and its next step."""
        return told.cause in self.expected and self.says in f"{told.text} {told.next_step}" and bool(told.text)


class Everything:
    """Contains each key: the children of a bus, whatever they are."""

    def __contains__(self, key: object) -> bool:
        return True


async def told_of(
    adapter: Adapter[Any], address: str, *, then: Break = lambda: None, wait_for_loss: bool = False, rounds: int = 3
) -> Reason:
    """Return what is told of a device, as the gateway asks an adapter: search, identify, read; and again after the fault.

    Args:
        adapter: the adapter on the bus.
        address: the device.
        then: makes the fault happen, after a first round in which errors count as well.
        wait_for_loss: the bus is lost by itself, which is told by `listen`.
        rounds: how often it is asked in a row.
    """
    checked = checked_adapter(adapter, "site")
    checked.belongs(Everything())
    try:
        async with checked:
            child = await _visit(checked, address, rounds=rounds)
            done = then()
            if done is not None:
                await done
            if wait_for_loss:
                await checked.listen(_Ignores())
            for _ in range(rounds):
                await _visit(checked, address, child, rounds=rounds)
            refusal = None if child is None else reason_without_values(checked, child)
    except AdapterError as error:
        return reason_of(error)
    return refusal or NOTHING_TOLD


async def _visit(adapter: CheckedAdapter, address: str, child: ChildDevice | None = None, *, rounds: int) -> ChildDevice | None:
    """Search, where no child is known yet, identify and read; raise the first error of the bus, and the last of the device."""
    last: AdapterError | None = None
    if child is None:
        found = {one.address: one async for one in adapter.discover() if isinstance(one, Found)}
        child = None if (one := found.get(address)) is None else child_of(one)
    for _ in range(rounds):
        try:
            last = None
            child = child_of(await adapter.identify(address))
            if due := frozenset(adapter.poll_groups(child)):
                async for _ in adapter.read(child, due):
                    pass
        except BusUnavailable:
            raise
        except AdapterError as error:
            last = error
    if last is not None:
        raise last
    return child


class _Ignores:
    def found(self, found: Found) -> None:
        """Ignore a device."""

    def heard(self, readings: Sequence[object]) -> None:
        """Ignore readings."""


def child_of(found: Found) -> ChildDevice:
    """Return a device that was found as a child."""
    return ChildDevice(
        key=found.identity.key,
        adapter="site",
        bus="site",
        address=found.address,
        profile=found.profile,
        family=found.family,
        model_id="m",
        sub_model=found.sub_model,
        firmware_version=found.firmware_version,
        name=found.name,
    )


def in_real_time(main: Callable[[], Awaitable[Reason]]) -> Callable[[], Reason]:
    """Return a function that runs a cell on real sockets, ports and daemons."""

    async def limited() -> Reason:
        async with asyncio.timeout(60):
            return await main()

    return lambda: asyncio.run(limited())


AT_ONCE = 8
MORE_TRIES = 2


def run_together(cells: Iterable[Cell]) -> dict[Cell, Reason]:
    """Return what is told in those of these cells that mostly wait: several run at a time."""
    waiting = [cell for cell in cells if cell.waits]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(waiting, pool.map(lambda cell: cell.run(), waiting), strict=True))


def told_in(cell: Cell, told: Mapping[Cell, Reason]) -> Reason:
    """Return what is told in a cell: as it is known already, or by running it.

    A wrong cell is run again: a busy machine that stands still for a moment looks like a device that does not answer.
    """
    reason = told[cell] if cell in told else cell.run()
    for _ in range(MORE_TRIES):
        if cell.is_right(reason):
            break
        reason = cell.run()
    return reason


def as_markdown(cells: Sequence[Cell], told: Mapping[int, Reason]) -> str:
    """Return the matrix as a table: a row for each fault, a column for each bus; then what is told in each cell."""
    buses = list(dict.fromkeys(cell.bus for cell in cells))
    by_place = {(cell.fault, cell.bus): at for at, cell in enumerate(cells)}
    lines = [f"| Fault | {' | '.join(buses)} |", f"| --- |{' --- |' * len(buses)}"]
    for fault in dict.fromkeys(cell.fault for cell in cells):
        row = [by_place.get((fault, bus)) for bus in buses]
        lines.append(f"| {fault} | {' | '.join('-' if at is None else _mark(cells[at], told[at]) for at in row)} |")
    right = sum(cell.is_right(told[at]) for at, cell in enumerate(cells))
    lines += ["", f"{right} of {len(cells)} cells are right ({100 * right / len(cells):.0f} %).", ""]
    lines += ["| Fault | Bus | Cause told | What was seen | Next step |", "| --- | --- | --- | --- | --- |"]
    for at, cell in enumerate(cells):
        reason = told[at]
        texts = (text.replace("|", "\\|") for text in (reason.text, reason.next_step))
        lines.append(f"| {cell.fault} | {cell.bus} | {_mark(cell, reason)} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _mark(cell: Cell, reason: Reason) -> str:
    words = reason.cause.value.replace("_", " ")
    return words if cell.is_right(reason) else f"**wrong: {words}**, expected {cell.expected[0].value.replace('_', ' ')}"


@asynccontextmanager
async def as_another_user(user: int = 65534) -> AsyncIterator[None]:
    """Run the block as a user without rights, where the tests run as root."""
    import os

    is_root = os.geteuid() == 0
    groups = os.getgroups()
    if is_root:
        os.setgroups([])
        os.setegid(user)
        os.seteuid(user)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
