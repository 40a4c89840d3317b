"""Call the methods of an adapter so that none of them can end the gateway: whatever it raises becomes an error of its bus.

An adapter may raise `SystemExit`, `KeyboardInterrupt`, `GeneratorExit` or a cancellation of its own: nothing above a bus expects
one of them, and asyncio ends the loop for the first two. Here each becomes an `AdapterBug`. A cancellation by the gateway passes.

An adapter gets a copy of each child, so that what it does to the object changes nothing for the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel

from gateway.adapter import (
    Adapter,
    AdapterSettings,
    BusFact,
    ChildDevice,
    Command,
    CommandResult,
    CommandSpec,
    FirmwareFile,
    FirmwareProgress,
    Found,
    Licence,
    Metric,
    PlannedRead,
    Progress,
    Reading,
    RecordedFrame,
    SearchSummary,
    SettingValue,
    Uplink,
    Value,
    WrittenSetting,
)
from gateway.field.guard.adapter_bug import AdapterBug, waiting_place
from gateway.plain_text import named_error

T = TypeVar("T")

MOST_BATCHES = 10_000
"""How many times one read may yield."""

MOST_DISCOVERY_STEPS = 100_000
"""How many times one discovery, or the installation of a firmware file, may yield."""


class GuardedAdapter(Adapter[Any]):
    """Implements `Adapter` by calling an adapter, and lets no error through that could end more than its bus."""

    def __init__(self, adapter: Adapter[Any]) -> None:
        super().__init__(adapter.settings)
        self.memory = adapter.memory
        self.adapter = adapter
        """The adapter itself."""
        self.concurrency = call("concurrency", lambda: adapter.concurrency)
        self._calls: dict[asyncio.Task[Any] | None, tuple[str, object]] = {}

    def running_call(self, task: asyncio.Task[Any]) -> str | None:
        """Return which method of the adapter a task waits for, and at which line; `None` if for none."""
        call = self._calls.get(task)
        return None if call is None else f"`{call[0]}` ({waiting_place(call[1])})"

    @property
    def bus(self) -> str:
        """The label of this bus."""
        return call("bus", lambda: self.adapter.bus)

    @property
    def quiet_bus_limit(self) -> timedelta | None:  # type: ignore[override]  # one of the class in the contract
        """After how long without any data the bus is opened again."""
        return call("quiet_bus_limit", lambda: self.adapter.quiet_bus_limit)

    # the life of the bus ----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open the bus."""
        await self._wait("__aenter__", lambda: self.adapter.__aenter__())
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the bus."""
        await self._wait("__aexit__", lambda: self.adapter.__aexit__(*exc))

    async def reappears(self) -> None:
        """Return when the bus should be opened again at once."""
        await self._wait("reappears", self.adapter.reappears)

    async def listen(self, uplink: Uplink) -> None:
        """Hand what devices send unprompted to the uplink."""
        await self._wait("listen", lambda: self.adapter.listen(uplink))

    # devices ----------------------------------------------------------------------------------------------------------

    def discover(self) -> AsyncIterator[Found | Progress]:
        """Search the bus for devices."""
        return self._iterated("discover", self.adapter.discover, MOST_DISCOVERY_STEPS)

    async def identify(self, address: str) -> Found:
        """Return the device that answers at this address."""
        return await self._wait("identify", lambda: self.adapter.identify(address))

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the poll groups of this child."""
        return call("poll_groups", lambda: self.adapter.poll_groups(replace(child)))

    def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read the poll groups that are due."""
        return self._iterated("read", lambda: self.adapter.read(replace(child), due), MOST_BATCHES)

    def may_be_quiet(self, child: ChildDevice) -> timedelta | None:
        """Return how long a child that is only listened to may send nothing."""
        return call("may_be_quiet", lambda: self.adapter.may_be_quiet(replace(child)))

    def last_search(self) -> SearchSummary | None:
        """Return what the last search asked."""
        return call("last_search", self.adapter.last_search)

    def explain_silence(self, child: ChildDevice) -> None:
        """Raise why a child that is only listened to may have fallen silent."""
        call("explain_silence", lambda: self.adapter.explain_silence(replace(child)))

    def metrics(self, child: ChildDevice) -> Mapping[str, Sequence[Metric]]:
        """Return the metrics of each poll group of this child."""
        return call("metrics", lambda: self.adapter.metrics(replace(child)))

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return the planned cost of reading these children."""
        return call("planned_reads", lambda: listed(self.adapter.planned_reads([replace(child) for child in children])))

    def recent_frames(self) -> Sequence[str]:
        """Return the last frames that were sent and received."""
        return call("recent_frames", lambda: listed(self.adapter.recent_frames()))

    def recorded_frames(self, address: str) -> Sequence[RecordedFrame]:
        """Return the last frames of a device with what they mean."""
        return call("recorded_frames", lambda: listed(self.adapter.recorded_frames(address)))

    def bus_facts(self) -> Sequence[BusFact]:
        """Return where the bus is and how it is set."""
        return call("bus_facts", lambda: listed(self.adapter.bus_facts()))

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return remarks for the operator."""
        return call("remarks", lambda: listed(self.adapter.remarks(replace(child))))

    def why_no_values(self, child: ChildDevice) -> str | None:
        """Return why a child that answers has no values."""
        return call("why_no_values", lambda: self.adapter.why_no_values(replace(child)))

    def bus_remarks(self) -> Sequence[str]:
        """Return remarks for the operator about the bus."""
        return call("bus_remarks", lambda: listed(self.adapter.bus_remarks()))

    def point_map(self, child: ChildDevice) -> str | None:
        """Return the map of this child's profile."""
        return call("point_map", lambda: self.adapter.point_map(replace(child)))

    def use_map(self, key: str, text: str | None) -> None:
        """Read the child with this key by this map."""
        call("use_map", lambda: self.adapter.use_map(key, text))

    # commands, settings, licences, firmware ---------------------------------------------------------------------------

    def commands(self, child: ChildDevice) -> Sequence[CommandSpec]:
        """Return the commands that this child accepts."""
        return call("commands", lambda: listed(self.adapter.commands(replace(child))))

    async def execute(self, child: ChildDevice, command: Command) -> CommandResult | str | None:
        """Carry out the command once."""
        return await self._wait("execute", lambda: self.adapter.execute(replace(child), command))

    async def read_back(self, child: ChildDevice, command: Command) -> CommandResult | None:
        """Return the result of a command that was interrupted."""
        return await self._wait("read_back", lambda: self.adapter.read_back(replace(child), command))

    def planned_writes(self, child: ChildDevice, command: Command) -> Sequence[str]:
        """Return what `execute` would send."""
        return call("planned_writes", lambda: listed(self.adapter.planned_writes(replace(child), command)))

    def configuration_model(self, child: ChildDevice) -> type[BaseModel] | None:
        """Return the settings that this child keeps itself."""
        return call("configuration_model", lambda: self.adapter.configuration_model(replace(child)))

    async def differing_settings(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Mapping[str, Value]:
        """Return those settings for which the device has another value."""
        return await self._wait("differing_settings", lambda: self.adapter.differing_settings(replace(child), config))

    async def configure(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Sequence[WrittenSetting]:
        """Write these settings."""
        return await self._wait("configure", lambda: self.adapter.configure(replace(child), config))

    def licence_command(self, child: ChildDevice, licence: Licence) -> Command:
        """Return the command that installs, renews, removes or ends a licence."""
        return call("licence_command", lambda: self.adapter.licence_command(replace(child), licence))

    async def check_firmware(self, child: ChildDevice, file: FirmwareFile) -> None:
        """Check that a file is firmware for this child."""
        await self._wait("check_firmware", lambda: self.adapter.check_firmware(replace(child), file))

    def firmware_steps(
        self, child: ChildDevice, file: FirmwareFile, resume_from: int | None
    ) -> AsyncIterator[FirmwareProgress | CommandResult]:
        """Install a firmware file on a child."""
        return self._iterated(
            "firmware_steps", lambda: self.adapter.firmware_steps(replace(child), file, resume_from), MOST_DISCOVERY_STEPS
        )

    def _iterated(self, method: str, begin: Callable[[], AsyncIterator[T]], most: int) -> AsyncIterator[T]:
        source = call(method, begin)
        return GuardedIterator(method, source, most, self._calls) if call(method, lambda: _is_iterator(source)) else source

    async def _wait(self, method: str, begin: Callable[[], Awaitable[T]]) -> T:
        return await waited(method, begin, self._calls)


class GuardedIterator(AsyncIterator[T], Generic[T]):
    """What an adapter yields: at most so many items, and no error that could end more than its bus. It can always be closed."""

    def __init__(
        self,
        method: str,
        source: AsyncIterator[T],
        most: int,
        calls: dict[asyncio.Task[Any] | None, tuple[str, object]] | None = None,
    ) -> None:
        self._method = method
        self._source = source
        self._left = most
        self._calls = calls if calls is not None else {}

    async def __anext__(self) -> T:
        """Return the next item."""
        if self._left == 0:
            raise AdapterBug(f"`{self._method}` yields without end")
        self._left -= 1
        return await waited(self._method, self._source.__anext__, self._calls, place=self._source)

    async def aclose(self) -> None:
        """Close the iterator, if it can be closed."""
        aclose = call(self._method, lambda: getattr(self._source, "aclose", None))
        if aclose is not None:
            await waited(f"{self._method} while it is closed", aclose, self._calls, place=self._source)


def guarded_buses(kind: type[Adapter[Any]], settings: AdapterSettings) -> GuardedIterator[Adapter[Any]]:
    """Return the buses of an entry as its adapter lists them."""
    return GuardedIterator("buses", call("buses", lambda: kind.buses(settings)), MOST_DISCOVERY_STEPS)


def call(method: str, function: Callable[[], T]) -> T:
    """Return what a function of an adapter returns.

    Raises:
        AdapterBug: it raised what would end more than its bus; any other error is raised as it is.
    """
    try:
        return function()
    except Exception:
        raise
    except BaseException as error:
        raise _bug(method, error) from error


async def waited(
    method: str,
    begin: Callable[[], Awaitable[T]],
    calls: dict[asyncio.Task[Any] | None, tuple[str, object]],
    place: object = None,
) -> T:
    """Await what a method of an adapter returns.

    Args:
        method: its name.
        begin: calls it.
        calls: what the tasks of the bus wait for; this call is in it until it ends.
        place: the generator that is awaited; without it, what `begin` returns.

    Raises:
        AdapterBug: as `call`.
    """
    task = asyncio.current_task()
    try:
        awaitable = begin()
        calls[task] = method, awaitable if place is None else place
        return await awaitable
    except Exception:
        raise
    except asyncio.CancelledError as error:
        if task is None or task.cancelling():
            raise
        raise _bug(method, error) from error
    except GeneratorExit as error:
        if _current_task() is not task:
            raise  # the loop is closed, and this call with it
        raise _bug(method, error) from error
    except BaseException as error:
        raise _bug(method, error) from error
    finally:
        calls.pop(task, None)


def listed(items: Iterable[T]) -> Sequence[T]:
    """Return items that may come from a generator, which is code of the adapter, too."""
    return items if isinstance(items, tuple | list) else tuple(items)


def _is_iterator(source: object) -> bool:
    return hasattr(type(source), "__anext__")


def _bug(method: str, error: BaseException) -> AdapterBug:
    return AdapterBug(f"`{method}` raised {named_error(error)}")


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs
        return None
