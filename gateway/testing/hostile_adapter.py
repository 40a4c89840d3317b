"""Simulate adapters with bugs, by the name of the kind, each on a bus whose other devices are healthy.

`hostile_adapter("value: a list", bus)` returns an adapter class for a `SyntheticBus`. Only what concerns the device at
`BAD_ADDRESS` is bad: so a test can claim that its neighbours, on the same bus and on others, keep all of their samples.

To add a kind: bad data goes into a table of `gateway.testing.bad_data` (`VALUES`, what `read` yields into `BATCHES`, a found
device into `FOUND`, what another method returns into `RESULTS`); each entry becomes a kind by itself. A kind that does something
else wrong, such as swallowing a cancellation, is an entry of `BEHAVIOUR`: its methods replace those of `SyntheticAdapter`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from gateway.adapter import ChildDevice, DeviceUnreachable, Found, Metric, Reading, Uplink
from gateway.testing.bad_data import (
    BATCHES,
    FOUND,
    LONE_SURROGATE,
    METRICS,
    RESULTS,
    TERMINAL_TEXT,
    TIMES,
    VALUES,
    BatchOf,
    Unspeakable,
    Untouchable,
)
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, found_of
from gateway.testing.hostile_control_flow import CONTROL_FLOW

BAD_ADDRESS: Final = "bad"
"""The address of the device that an adapter treats badly."""

Methods: TypeAlias = Mapping[str, Callable[..., Any]]
"""What an adapter has instead of the methods of `SyntheticAdapter`, by name."""

_WAITS: Final = frozenset({"execute", "read_back", "differing_settings", "configure"})


def _read(batch_of: BatchOf) -> Methods:
    """Have the bad device yield this before its usual readings."""

    async def read(self: SyntheticAdapter, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Any]:
        if child.address == BAD_ADDRESS:
            yield batch_of(child, datetime.now(UTC))
        async for readings in SyntheticAdapter.read(self, child, due):
            yield readings

    return {"read": read}


def _reading(**changed: Callable[[], object]) -> BatchOf:
    def batch(child: ChildDevice, at: datetime) -> list[Reading]:
        fields: dict[str, Any] = {"child": child.key, "metric": Metric("odd"), "value": 1.0, "at": at}
        return [Reading(**{**fields, **{name: make() for name, make in changed.items()}})]

    return batch


def _discover(change: Callable[[Found], object]) -> Methods:
    """Have a search report the bad device only with this change; to identify it has the usual answer."""

    async def discover(self: SyntheticAdapter) -> AsyncIterator[Any]:
        async for step in SyntheticAdapter.discover(self):
            is_bad = isinstance(step, Found) and step.address == BAD_ADDRESS
            yield change(step) if is_bad and isinstance(step, Found) else step

    return {"discover": discover}


def _identify(change: Callable[[Found], object]) -> Methods:
    async def identify(self: SyntheticAdapter, address: str) -> Any:  # noqa: ANN401 - that is the mistake
        found = await SyntheticAdapter.identify(self, address)
        return change(found) if address == BAD_ADDRESS else found

    return {"identify": identify}


def _listen(report: Callable[[SyntheticAdapter, Uplink], None]) -> Methods:
    """Have the adapter report something twice a second."""

    async def listen(self: SyntheticAdapter, uplink: Uplink) -> None:
        while True:
            report(self, uplink)
            await asyncio.sleep(0.5)

    return {"listen": listen}


def _hear(batch_of: BatchOf) -> Methods:
    def report(adapter: SyntheticAdapter, uplink: Uplink) -> None:
        child = found_of(adapter.wire.devices[BAD_ADDRESS]).as_child(adapter=adapter.settings.entry, bus=adapter.bus)
        uplink.heard(batch_of(child, datetime.now(UTC)))  # type: ignore[arg-type]  # that is the mistake

    return _listen(report)


def _notice(change: Callable[[Found], object]) -> Methods:
    def report(adapter: SyntheticAdapter, uplink: Uplink) -> None:
        uplink.found(change(found_of(adapter.wire.devices[BAD_ADDRESS])))  # type: ignore[arg-type]  # that is the mistake

    return _listen(report)


def _result(method: str, make: Callable[[], object]) -> Methods:
    """Have a method return this for the bad device; one that is asked for a whole bus, always."""
    normal = getattr(SyntheticAdapter, method)

    def is_bad(arguments: Sequence[Any]) -> bool:
        return getattr(arguments[0], "address", BAD_ADDRESS) == BAD_ADDRESS if arguments else True

    def result(self: SyntheticAdapter, *arguments: Any) -> Any:  # noqa: ANN401 - the arguments of any method
        return make() if is_bad(arguments) else normal(self, *arguments)

    async def awaited_result(self: SyntheticAdapter, *arguments: Any) -> Any:  # noqa: ANN401 - as above
        return make() if is_bad(arguments) else await normal(self, *arguments)

    return {method: awaited_result if method in _WAITS else result}


def _raise(method: str, error: Callable[[], Exception]) -> Methods:
    def fail(self: SyntheticAdapter, *arguments: Any) -> Any:  # noqa: ANN401 - the arguments of any method
        if getattr(arguments[0], "address", arguments[0]) == BAD_ADDRESS:
            raise error()
        return getattr(SyntheticAdapter, method)(self, *arguments)

    return {method: fail}


_ERRORS: Final[Mapping[str, Callable[[], Exception]]] = MappingProxyType(
    {
        "an escape sequence": lambda: DeviceUnreachable(f"no answer {TERMINAL_TEXT}"),
        "2 MB": lambda: DeviceUnreachable("x" * 2_000_000),
        "a lone surrogate": lambda: DeviceUnreachable(LONE_SURROGATE),
        "bytes": lambda: DeviceUnreachable(b"no answer"),
        "nothing": DeviceUnreachable,
        "an object that raises": lambda: DeviceUnreachable(Untouchable()),
    }
)

BEHAVIOUR: Final[Mapping[str, Methods]] = MappingProxyType(
    {
        "an error without a text": _raise("read", Unspeakable),
        "an error without a text while identifying": _raise("identify", Unspeakable),
        "a bug with an escape sequence": _raise("read", lambda: ValueError(TERMINAL_TEXT)),
        **{f"a device that is unreachable with {name}": _raise("read", make) for name, make in _ERRORS.items()},
        "read returns a list": _result("read", lambda: [[]]),
        "read returns none": _result("read", lambda: None),
        "discover returns a list": {"discover": lambda self: []},
        "identify returns no awaitable": {"identify": lambda self, address: found_of(self.wire.devices[address])},
    }
)
"""What an adapter does wrong in other ways: the methods by name."""

KINDS: Final[Mapping[str, Methods]] = MappingProxyType(
    {
        **{f"value: {name}": _read(_reading(value=make)) for name, make in VALUES.items()},
        **{f"time: {name}": _read(_reading(at=make)) for name, make in TIMES.items()},
        **{f"metric: {name}": _read(_reading(metric=make)) for name, make in METRICS.items()},
        **{f"read: {name}": _read(batch_of) for name, batch_of in BATCHES.items()},
        **{f"heard: {name}": _hear(batch_of) for name, batch_of in BATCHES.items()},
        **{f"heard: {name} as a value": _hear(_reading(value=make)) for name, make in VALUES.items()},
        **{f"discover: {name}": _discover(change) for name, change in FOUND.items()},
        **{f"identify: {name}": _identify(change) for name, change in FOUND.items()},
        **{f"found: {name}": _notice(change) for name, change in FOUND.items()},
        **{f"{method}: {name}": _result(method, make) for method, kinds in RESULTS.items() for name, make in kinds.items()},
        **BEHAVIOUR,
    }
)
"""Every kind of bad adapter: the methods that it has instead of those of `SyntheticAdapter`."""


def hostile_adapter(kind: str, *buses: SyntheticBus) -> type[SyntheticAdapter]:
    """Return an adapter class of this kind for these buses, each with a device at `BAD_ADDRESS`.

    The kinds are those of `KINDS`, and of `CONTROL_FLOW` in `gateway.testing.hostile_control_flow`.
    """
    methods = KINDS[kind] if kind in KINDS else CONTROL_FLOW[kind]
    return type("HostileAdapter", (SyntheticAdapter,), {"all_buses": buses, "__module__": __name__, **methods})


def bus_with_bad_device(*healthy: SyntheticDevice, label: str = "bad bus", bad: SyntheticDevice | None = None) -> SyntheticBus:
    """Return a bus with healthy devices, and one that the adapter treats badly."""
    return SyntheticBus([bad or SyntheticDevice("bad", BAD_ADDRESS), *healthy], label=label)
