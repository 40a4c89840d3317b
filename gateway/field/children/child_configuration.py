"""Define what a configuration of the cloud sets for one child, and what is in effect for each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from gateway.models import Metric, PlannedRead, SettingValue
from gateway.plain_numbers import seconds_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildConfiguration:
    """The configuration of one child from the cloud; without anything, the child is as its profile has it."""

    name: str | None = None
    poll_every: Mapping[str, timedelta] = field(default_factory=dict)
    """Poll group -> how often it is read."""
    metrics_left_out: frozenset[str] = frozenset()
    """Metrics that are not sent; a group that has no others is not read."""
    dead_bands: Mapping[str, float] = field(default_factory=dict)
    """Metric -> the change that is sent at once."""
    settings: Mapping[str, SettingValue] = field(default_factory=dict)
    """Settings that the device keeps itself, and their values."""

    def poll_groups(self, groups: Mapping[str, timedelta], metrics: Mapping[str, Sequence[Metric]]) -> Mapping[str, timedelta]:
        """Return how often each poll group is read. One group is always read, or nobody would notice that the child is silent.

        Args:
            groups: the poll groups of the child and their intervals, as its adapter has them.
            metrics: the metrics of each poll group, as far as they are known.
        """
        wanted = {group: self.poll_every.get(group, every) for group, every in groups.items()}
        read = {group: every for group, every in wanted.items() if not self._leaves_out(metrics.get(group, ()))}
        if wanted and not read:
            shortest = min(wanted, key=lambda group: wanted[group])
            return {shortest: wanted[shortest]}
        return read

    def _leaves_out(self, metrics: Sequence[Metric]) -> bool:
        return bool(metrics) and all(metric.name in self.metrics_left_out for metric in metrics)


NOTHING_CONFIGURED: Final = ChildConfiguration()


class ConfigurationsInEffect:
    """The configurations of all children, as they are in effect now."""

    def __init__(self) -> None:
        self._of: dict[str, ChildConfiguration] = {}
        self.problems: dict[str, str] = {}
        """In what a device differs from its configuration although it was written, by its local key."""
        self.map_problems: dict[str, str] = {}
        """Why the changed point map of a child is not used."""

    def of(self, child: str) -> ChildConfiguration:
        """Return what is configured for a child, by its local key."""
        return self._of.get(child, NOTHING_CONFIGURED)

    def put(self, child: str, configuration: ChildConfiguration) -> None:
        """Put a configuration into effect in place of the one before."""
        if configuration == NOTHING_CONFIGURED:
            self._of.pop(child, None)
        else:
            self._of[child] = configuration

    def remarks(self, child: str) -> list[str]:
        """Return what an operator should know about the configuration of a child."""
        configuration = self.of(child)
        remarks = [found[child] for found in (self.problems, self.map_problems) if child in found]
        if configuration.metrics_left_out:
            remarks.append(f"left out, as configured in the cloud: {', '.join(sorted(configuration.metrics_left_out))}")
        if configuration.poll_every:
            every = (
                f"{group} every {seconds_text(period.total_seconds())}" for group, period in configuration.poll_every.items()
            )
            remarks.append(f"read as configured in the cloud: {', '.join(every)}")
        return remarks

    @property
    def children(self) -> list[str]:
        """The local keys of the children for which something is configured."""
        return list(self._of)


def adjust_planned_reads(
    reads: Iterable[PlannedRead], poll_groups: Mapping[str, Mapping[str, timedelta]]
) -> Iterator[PlannedRead]:
    """Yield the planned reads with the intervals that are in effect, without the groups that are not read.

    Args:
        reads: as the adapter plans them.
        poll_groups: address -> the poll groups that are read there; addresses that are missing stay as planned.
    """
    for read in reads:
        groups = poll_groups.get(read.address)
        if groups is None:
            yield read
        elif (every := groups.get(read.group)) is not None:
            yield replace(read, every=every)
