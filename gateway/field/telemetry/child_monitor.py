"""Record what the children do: readings go to the sampler, and each change of availability is logged and reported once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from gateway.causes import Cause, Reason
from gateway.field.adapter_data.refusals import WrongAdapterData
from gateway.field.children.availability import Availability, AvailabilityChange
from gateway.field.children.child_configuration import ConfigurationsInEffect
from gateway.field.guard.bug_reports import BugReports
from gateway.field.telemetry.availability_log import AvailabilityLog
from gateway.field.telemetry.configured_readings import ConfiguredReadings
from gateway.field.telemetry.sampling import Sampler
from gateway.models import ChildDevice, Reach, Reading
from gateway.plain_text import named_error
from gateway.tasks import loop_time


class ChildMonitor:
    """The availability and the readings of the children, as the buses observe them.

    Args:
        availability: tracks which children answer.
        sampler: collects readings and changes for the cloud.
        report_soon: is called when the sampler contains something that should not wait for the next interval.
        in_effect: the configurations of the children: which of their readings are used, and how.
    """

    def __init__(
        self,
        availability: Availability,
        sampler: Sampler,
        *,
        report_soon: Callable[[], None],
        in_effect: ConfigurationsInEffect | None = None,
    ) -> None:
        self._availability = availability
        self._sampler = sampler
        self._report_soon = report_soon
        self._configured = ConfiguredReadings(in_effect if in_effect is not None else ConfigurationsInEffect())
        self._listeners: list[Callable[[AvailabilityChange], None]] = []
        self._answered_at: dict[str, float] = {}
        self._with_bug: set[str] = set()
        self._log = AvailabilityLog()
        self.failures: Counter[Cause] = Counter()
        """How many transactions of all children have failed since the start, by cause."""
        self._last_answers: dict[str, datetime] = {}
        self._without_values: dict[str, Reason] = {}
        self._changed: set[str] = set()

    def last_answer(self, key: str) -> datetime | None:
        """Return when the child last answered in a way that can be trusted, also before the start; `None` where nobody knows."""
        return self._last_answers.get(key)

    def restore_last_answer(self, key: str, at: datetime) -> None:
        """Know when the child last answered before the start."""
        self._last_answers.setdefault(key, at)

    def redate(self, right: Callable[[datetime], datetime]) -> None:
        """Move what was observed in this run to its right time, after the clock was set.

        Args:
            right: returns the right time for what the clock showed, and any other time as it is.
        """
        self._availability.redate(right, self._changed)
        for key in self._answered_at:
            self._last_answers[key] = right(self._last_answers[key])

    def answered_at(self, key: str) -> float | None:
        """Return the loop time of the child's last trustworthy answer; `None` without one since the start."""
        return self._answered_at.get(key)

    def add_listener(self, listener: Callable[[AvailabilityChange], None]) -> None:
        """Call a function with each further change of a child between reachable and silent."""
        self._listeners.append(listener)

    def is_reachable(self, key: str) -> bool:
        """Return whether the child answers."""
        return self._availability.of(key).reach is Reach.REACHABLE

    def is_silent(self, key: str) -> bool:
        """Return whether the child is known not to answer."""
        return self._availability.of(key).reach is Reach.SILENT

    def take(self, readings: Sequence[Reading]) -> None:
        """Take in readings of children; call `report_urgent` when all readings of this moment are in."""
        self._sampler.take(self._configured.apply(readings))

    def report_urgent(self) -> None:
        """Have urgent readings and changes reported soon, if there are any."""
        if self._sampler.has_urgent:
            self._report_soon()

    def record_answer(self, child: ChildDevice) -> None:
        """Record that the child answered in a way that can be trusted; after a bug, only a complete read shows that."""
        if child.key in self._with_bug:
            return
        now = _now()
        self._log.record_answer(child)
        self._answered_at[child.key], self._last_answers[child.key] = loop_time(), now
        self._publish(child, self._availability.record_answer(child.key, now))

    def record_read(self, child: ChildDevice) -> None:
        """Record that the child was read completely."""
        if child.key in self._with_bug:
            self._with_bug.discard(child.key)
            self.record_answer(child)

    def record_values(self, key: str, why_none: Reason | None) -> None:
        """Record that a read of a child gave values; or why it gave none, although the child answers."""
        if why_none is None:
            self._without_values.pop(key, None)
        else:
            self._without_values[key] = why_none

    def why_no_values(self, key: str) -> Reason | None:
        """Return why a child that answers gives no values; `None` where it gives some, or does not answer."""
        return self._without_values.get(key) if self.is_reachable(key) else None

    def record_miss(self, child: ChildDevice, reason: Reason) -> None:
        """Record a transaction without a trustworthy answer; several in a row make the child silent."""
        was_of_bus = self._availability.of(child.key).is_of_bus
        self.failures[reason.cause] += 1
        self._publish(child, self._availability.record_miss(child.key, _now(), reason))
        self._tell_own_reason(child, was_of_bus=was_of_bus)

    def record_loss(self, child: ChildDevice, reason: Reason) -> None:
        """Record that the child cannot answer: it is silent at once."""
        was_of_bus = self._availability.of(child.key).is_of_bus
        self.failures[reason.cause] += 1
        self._publish(child, self._availability.record_loss(child.key, _now(), reason))
        self._tell_own_reason(child, was_of_bus=was_of_bus)

    def record_bus_loss(self, children: Iterable[ChildDevice], reason: Reason) -> None:
        """Record that these children cannot answer since their bus does not work; the bus itself is logged, not each child."""
        for child in children:
            self._publish(child, self._availability.record_bus_loss(child.key, _now(), reason))

    def record_bug(self, child: ChildDevice, bugs: BugReports, error: Exception) -> None:
        """Record that the child cannot be read because of a bug in its adapter, which is logged there."""
        self._with_bug.add(child.key)
        shows_traceback = not isinstance(error, WrongAdapterData)  # what it returned says where to look
        bugs.record(f"{child.name} cannot be read", error, shows_traceback=shows_traceback)
        self.record_loss(child, Reason(f"its adapter failed: {named_error(error)}", Cause.ADAPTER_BUG))

    def forget(self, key: str) -> None:
        """Free what is kept of a child that was removed or deleted."""
        self._availability.forget(key)
        self._sampler.forget(key)
        self._configured.forget(key)
        self._answered_at.pop(key, None)
        self._last_answers.pop(key, None)
        self._changed.discard(key)
        self._with_bug.discard(key)
        self._without_values.pop(key, None)
        self._log.forget(key)

    def _publish(self, child: ChildDevice, change: AvailabilityChange | None) -> None:
        if change is None:
            return
        if not change.is_continued:
            self._changed.add(child.key)
        self._log.tell(child, change)
        self._sampler.note(change)
        self.report_urgent()
        for listener in self._listeners:
            listener(change)

    def _tell_own_reason(self, child: ChildDevice, *, was_of_bus: bool) -> None:
        """Log a child that does not come back with its bus."""
        if was_of_bus:
            why = self._availability.of(child.key).why
            self._log.tell_silence(child, f"does not answer, although its bus works again: {why}")


def _now() -> datetime:
    return datetime.now(UTC)
