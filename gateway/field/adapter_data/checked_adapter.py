"""Stand in for an adapter, and check whatever comes from it; the rest of the gateway never gets it unchecked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, Final, Self, TypeVar

from pydantic import BaseModel

from gateway.adapter import Adapter, AdapterSettings, Uplink, Workbench
from gateway.causes import Reason
from gateway.errors import AdapterError, BusUnavailable, CommandRejected, DeviceUnreachable, OutcomeUnknown
from gateway.field.adapter_data import results
from gateway.field.adapter_data.found_devices import checked_found, checked_progress
from gateway.field.adapter_data.readings import ReadingCheck
from gateway.field.adapter_data.refusals import Refusal, Refusals, ToldReasons, WrongAdapterData
from gateway.field.adapter_data.values import Unusable
from gateway.field.guard.error_causes import cause_of, special_step
from gateway.field.guard.guarded_adapter import GuardedAdapter
from gateway.models import (
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
    SearchSummary,
    SettingValue,
    Value,
    WrittenSetting,
)
from gateway.plain_text import text_of_error, type_name
from gateway.recent_frames import RecordedFrame
from gateway.settings_secrets import SecretTexts, secrets_in
from gateway.tasks import closed_after

T = TypeVar("T")

_ERRORS: Final = (BusUnavailable, DeviceUnreachable, CommandRejected, OutcomeUnknown)

NO_REASON: Final = "its adapter gives no reason"


class CheckedAdapter(Adapter[AdapterSettings]):
    """One bus, as its adapter serves it, with every result checked.

    A result that is not usable is dropped and counted. Where the gateway needs one, `WrongAdapterData` is raised: a bug of the
    adapter. Texts of its errors are on one line and printable.

    Args:
        unchecked: the adapter as its author has written it.
        entry: the name of the `[[adapter]]` entry.
        told: the reasons for refusals that were told, shared by all buses.
    """

    def __init__(self, unchecked: Adapter[Any], entry: str, told: ToldReasons | None = None) -> None:
        self.unchecked = unchecked
        self._source = self.guard = GuardedAdapter(unchecked)
        """Calls the adapter, and lets no error through that could end more than its bus."""
        self._bus = bus_label(self.guard)
        self._refusals = refusals = Refusals(entry, self._bus, told)
        self._readings = ReadingCheck(refusals, frozenset())
        self.settings = unchecked.settings
        self._secrets = SecretTexts(secrets_in(self.settings))
        self.concurrency = self._else(results.concurrency, self.guard.concurrency, "concurrency", 1)

    def belongs(self, children: Container[str]) -> None:
        """Check readings against these children, the ones on this bus."""
        self._readings.children = children

    @property
    def refused(self) -> Mapping[str, int]:
        """How much of what the adapter returned was refused since the start, by reason."""
        return self._refusals.counts

    def overrides(self, method: str) -> bool:
        """Return whether the adapter has a method of its own, and not the default of the contract."""
        return getattr(type(self.unchecked), method) is not getattr(Adapter, method)

    @property
    def bus(self) -> str:
        """The label of this bus."""
        return self._bus

    @property
    def memory(self) -> Any:  # type: ignore[override]  # noqa: ANN401 - a mapping, which only the adapter itself uses
        """What the adapter remembers."""
        return self._source.memory

    @property
    def quiet_bus_limit(self) -> timedelta | None:  # type: ignore[override]  # a constant of the class, there
        """How long the bus may be quiet."""
        return self._else(results.silence_limit, self._source.quiet_bus_limit, "quiet_bus_limit", None)

    # the bus ----------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open the bus."""
        with self._clear_errors():
            await self._source.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the bus."""
        with self._clear_errors():
            await self._source.__aexit__(*exc)

    async def reappears(self) -> None:
        """Return when the bus should be opened again at once."""
        await self._source.reappears()

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Search the bus; what is no usable device is a step of the search like any other."""
        progress = Progress(0, None, "")
        async with closed_after(self._steps("discover", self._source.discover)) as steps:
            async for step in steps:
                if issubclass(type(step), Progress):  # `isinstance` would ask the object itself
                    progress = self._else(checked_progress, step, "discover", progress)
                    yield progress
                else:
                    yield self._found(step, "reports") or progress

    async def identify(self, address: str) -> Found:
        """Return the device at an address."""
        with self._clear_errors():
            found = await self._source.identify(address)
        checked = self._found(found, "identifies")
        if checked is None:
            raise WrongAdapterData("its adapter identified it, and returned a device that cannot be used")
        return checked

    async def listen(self, uplink: Uplink) -> None:
        """Hand what devices send to the uplink, checked."""
        with self._clear_errors():
            await self._source.listen(_CheckedUplink(uplink, self._readings, self._found, self._refusals))

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Read poll groups."""
        async with closed_after(self._steps("read", lambda: self._source.read(child, due))) as batches:
            async for readings in batches:
                yield self._readings.checked(readings, "read", child.key)

    def recent_frames(self) -> Sequence[str]:
        """Return the last frames."""
        return self._else(results.texts, self._source.recent_frames(), "recent_frames", ())

    def recorded_frames(self, address: str) -> Sequence[RecordedFrame]:
        """Return the last frames of a device with what they mean."""
        return self._else(results.recorded_frames, self._source.recorded_frames(address), "recorded_frames", ())

    def bus_facts(self) -> Sequence[BusFact]:
        """Return where the bus is and how it is set."""
        return self._else(results.bus_facts, self._source.bus_facts(), "bus_facts", ())

    # what is declared of a child --------------------------------------------------------------------------------------

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the poll groups of a child."""
        with self._clear_errors():
            return self._checked(results.poll_groups, self._source.poll_groups(child), "poll_groups")

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return the planned cost of reading these children."""
        return self._else(results.planned_reads, self._source.planned_reads(children), "planned_reads", ())

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return remarks for the operator."""
        return self._else(results.texts, self._source.remarks(child), "remarks", ())

    def why_no_values(self, child: ChildDevice) -> str | None:
        """Return why a child that answers has no values."""
        return self._else(results.sentence, self._source.why_no_values(child), "why_no_values", None)

    def bus_remarks(self) -> Sequence[str]:
        """Return remarks for the operator about the bus."""
        return self._else(results.texts, self._source.bus_remarks(), "bus_remarks", ())

    def metrics(self, child: ChildDevice) -> Mapping[str, Sequence[Metric]]:
        """Return the metrics of each poll group."""
        return self._else(results.metrics_by_group, self._source.metrics(child), "metrics", {})

    def point_map(self, child: ChildDevice) -> str | None:
        """Return the map of a child's profile."""
        return self._else(results.point_map, self._source.point_map(child), "point_map", None)

    def use_map(self, key: str, text: str | None) -> None:
        """Read a child by this map."""
        self._source.use_map(key, text)

    def configuration_model(self, child: ChildDevice) -> type[BaseModel] | None:
        """Return the settings that a child keeps."""
        return self._else(results.settings_model, self._source.configuration_model(child), "configuration_model", None)

    def may_be_quiet(self, child: ChildDevice) -> timedelta | None:
        """Return how long a child may be silent."""
        return self._else(results.silence_limit, self._source.may_be_quiet(child), "may_be_quiet", None)

    def last_search(self) -> SearchSummary | None:
        """Return what the last search asked."""
        return self._else(results.search_summary, self._source.last_search(), "last_search", None)

    def explain_silence(self, child: ChildDevice) -> None:
        """Raise why a child may have fallen silent."""
        with self._clear_errors():
            self._source.explain_silence(child)

    def unregistered_child(
        self, *, address: str, name: str, key: str = "unregistered", profile: str | None = None, sub_model: str | None = None
    ) -> ChildDevice:
        """Return a device of this bus as a child that was not admitted."""
        return self._source.unregistered_child(address=address, name=name, key=key, profile=profile, sub_model=sub_model)

    @classmethod
    def workbench(cls, adapter: Self | None = None) -> Workbench:
        """Return the commissioning tools, which are for a person who is there, as they are."""
        return Workbench() if adapter is None else type(adapter.unchecked).workbench(adapter.unchecked)

    # commands and settings: their texts are cleaned where their secrets are masked, after that ------------------------

    def commands(self, child: ChildDevice) -> Sequence[CommandSpec]:
        """Return the commands of a child."""
        return self._checked(results.command_specs, self._source.commands(child), "commands")

    async def execute(self, child: ChildDevice, command: Command) -> CommandResult | str | None:
        """Carry out a command."""
        with self._secrets.masked_in_errors():
            return await self._source.execute(child, command)

    async def read_back(self, child: ChildDevice, command: Command) -> CommandResult | None:
        """Return the result of a command that was interrupted."""
        with self._secrets.masked_in_errors():
            return await self._source.read_back(child, command)

    def planned_writes(self, child: ChildDevice, command: Command) -> Sequence[str]:
        """Return what a command would send."""
        with self._clear_errors():
            return self._else(results.texts, self._source.planned_writes(child, command), "planned_writes", ())

    def licence_command(self, child: ChildDevice, licence: Licence) -> Command:
        """Return the command for a licence."""
        return self._source.licence_command(child, licence)

    async def differing_settings(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Mapping[str, Value]:
        """Return the settings that differ."""
        with self._clear_errors():
            returned = await self._source.differing_settings(child, config)
        return self._checked(results.differing_settings, returned, "differing_settings")

    async def configure(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Sequence[WrittenSetting]:
        """Write settings."""
        with self._clear_errors():
            returned = await self._source.configure(child, config)
        return self._checked(results.written_settings, returned, "configure")

    async def check_firmware(self, child: ChildDevice, file: FirmwareFile) -> None:
        """Check that a file is firmware for a child."""
        with self._clear_errors():
            await self._source.check_firmware(child, file)

    async def firmware_steps(
        self, child: ChildDevice, file: FirmwareFile, resume_from: int | None
    ) -> AsyncIterator[FirmwareProgress | CommandResult]:
        """Install firmware."""
        source = partial(self._source.firmware_steps, child, file, resume_from)
        async with closed_after(self._steps("firmware_steps", source)) as steps:
            async for step in steps:
                yield self._checked(results.firmware_step, step, "firmware_steps")

    # the checks -------------------------------------------------------------------------------------------------------

    async def _steps(self, method: str, start: Callable[[], Any]) -> AsyncIterator[Any]:
        """Yield what an iterator of the adapter yields, and close it."""
        with self._clear_errors():
            steps = start()
            if not hasattr(type(steps), "__anext__"):
                self._refusals.note(Refusal.RESULT, f"returns something of the type {type_name(type(steps))} from {method}")
                if method == "discover":
                    return  # nothing was found; the bus itself is not affected
                raise WrongAdapterData(f"Adapter.{method} returned something of the type {type_name(type(steps))}")
            async with closed_after(steps):
                while True:
                    try:
                        step = await anext(steps)
                    except StopAsyncIteration:
                        return
                    yield step

    def _found(self, found: object, does: str) -> Found | None:
        try:
            checked = checked_found(found, self._readings.children)
        except Unusable as why:
            self._refusals.note(Refusal.FOUND, f"{does} {why}")
            return None
        if checked is not found:
            self._refusals.note(
                Refusal.TEXT, f"{does} a device at {checked.address} with texts that are not printable or too long"
            )
        return checked

    def _checked(self, check: Callable[[Any], T], returned: object, method: str) -> T:
        """Return a result that the gateway needs.

        Raises:
            WrongAdapterData: it cannot be used.
        """
        try:
            return results.checked(check, returned)  # type: ignore[no-any-return]  # what the check returns
        except Unusable as why:
            self._refusals.note(Refusal.RESULT, f"returns {why} from {method}")
            raise WrongAdapterData(f"Adapter.{method} returned {why}") from None

    def _else(self, check: Callable[[Any], T], returned: object, method: str, otherwise: T) -> T:
        """Return a result; another one when it cannot be used."""
        try:
            return results.checked(check, returned)  # type: ignore[no-any-return]  # as above
        except Unusable as why:
            self._refusals.note(Refusal.RESULT, f"returns {why} from {method}")
            return otherwise

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Raise the errors of the adapter with a text that is printable, on one line, and without secrets of its settings."""
        try:
            with self._secrets.masked_in_errors():
                yield
        except AdapterError as error:
            text = text_of_error(error) or NO_REASON
            reason = self._reason(error, text)
            is_plain = type(error) in _ERRORS and len(error.args) == 1 and error.args[0] is text
            if is_plain and (error.cause, error.next_step) == (reason.cause, reason.special_step):
                raise
            kind = next((kind for kind in _ERRORS if isinstance(error, kind)), DeviceUnreachable)
            raise kind(text, cause=reason.cause, next_step=reason.special_step) from error

    def _reason(self, error: AdapterError, text: str) -> Reason:
        """Return what an error says of its cause, with a next step that is printable and without secrets of the settings."""
        step = special_step(error)
        return Reason(text, cause_of(error), None if step is None else self._secrets.masked(step))


class _CheckedUplink:
    """The uplink that an adapter gets."""

    def __init__(
        self, uplink: Uplink, readings: ReadingCheck, check_found: Callable[[object, str], Found | None], refusals: Refusals
    ) -> None:
        self._uplink = uplink
        self._readings = readings
        self._check_found = check_found
        self._refusals = refusals
        self._dropped = 0

    def found(self, found: object) -> None:
        """Report a device that has sent something, if it can be used."""
        checked = self._check_found(found, "reports")
        if checked is not None:
            self._uplink.found(checked)
            self._count_dropped()

    def heard(self, readings: object) -> None:
        """Hand over the readings that can be used; also none of them shows that the bus works."""
        self._uplink.heard(self._readings.checked(readings, "listen"))
        self._count_dropped()

    def _count_dropped(self) -> None:
        dropped: int = getattr(self._uplink, "dropped", 0)
        if dropped > self._dropped:
            self._refusals.note(Refusal.HURRY, "reports more than can be taken in", dropped - self._dropped)
            self._dropped = dropped


def checked_adapter(adapter: Adapter[Any], entry: str, told: ToldReasons | None = None) -> CheckedAdapter:
    """Return an adapter whose results are checked; one that is checked already as it is."""
    return adapter if isinstance(adapter, CheckedAdapter) else CheckedAdapter(adapter, entry, told)


def bus_label(adapter: object) -> str:
    """Return the label of a bus, which is shown and stored.

    Raises:
        WrongAdapterData: it is no adapter, or has no usable label.
    """
    if not isinstance(adapter, Adapter):
        raise WrongAdapterData(f"Adapter.buses yields something of the type {type_name(type(adapter))}")
    try:
        label = results.checked(results.label, adapter.bus)
    except Unusable as why:
        raise WrongAdapterData(f"Adapter.bus is {why}") from None
    return str(label)
