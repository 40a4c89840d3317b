"""Define the fields and checks that the device profiles of all adapters have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from gateway.models import CommandSpec, Metric
from gateway.profiles.checks import table_check
from gateway.profiles.files import Source
from gateway.profiles.licences import LicenceRule
from gateway.profiles.names import duplicates
from gateway.profiles.parameters import ParameterSpec
from gateway.profiles.point_facts import PointFacts

ProfileName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
"""The name of a profile or of a family: lower-case letters, digits and hyphens."""


class NamedRule(Protocol):
    """Anything of a profile that has a name, such as a command."""

    @property
    def name(self) -> str:
        """The name, unique within its profile."""


class PolledPoint(Protocol):
    """A point of a profile that belongs to a poll group."""

    @property
    def metric(self) -> str:
        """The metric's name."""

    @property
    def group(self) -> str:
        """The poll group."""


MOST_HEADLINES = 2
"""Metrics of a device that a list shows."""


class DeviceProfile(BaseModel):
    """A device model as data: one TOML file, named after the profile.

    An adapter inherits, adds its own tables, and sets `default_groups`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    default_groups: ClassVar[Mapping[str, float]] = {}
    """Poll groups that every profile of the adapter has -> interval in seconds."""

    name: ProfileName = Field(description="the file's name without .toml")
    maker: str | None = Field(default=None, min_length=1, description="left out: the device reports it, or many makers build it")
    title: str = Field(min_length=1, description="what a person calls the device")
    family: ProfileName = Field(description="key of the `[models]` table of the config: power-meter, display, ...")
    source: Source
    groups: dict[str, Annotated[float, Field(ge=0.1, le=7 * 86400)]] = Field(
        default_factory=dict, description="poll group -> how often it is read, in seconds"
    )

    licence: LicenceRule | None = Field(
        default=None, description="how the device gets a licence from the cloud, as a table [licence]"
    )

    @property
    def polled_points(self) -> Iterable[PolledPoint]:
        """All points that are polled. An adapter overrides this."""
        return ()

    @property
    def headlines(self) -> Iterable[str]:
        """The metrics that the profile wants lists to show. An adapter overrides this."""
        return ()

    @property
    def all_commands(self) -> Iterable[NamedRule]:
        """All commands. An adapter overrides this."""
        return ()

    @property
    def command_specs(self) -> Sequence[CommandSpec]:
        """The declarations of all commands: their parameters, and what they do. An adapter overrides this."""
        return ()

    @property
    def metrics_by_group(self) -> Mapping[str, Sequence[Metric]]:
        """The metrics of each poll group as `Adapter.metrics` has them; empty: they are unknown. An adapter overrides this."""
        return {}

    @property
    def point_facts(self) -> Iterable[PointFacts]:
        """The unit of each point, and whether its values can be negative or missing. An adapter overrides this."""
        return ()

    @property
    def rules_to_add(self) -> Iterable[tuple[str, str]]:
        """The rules of its grammar that a complete profile would have: the metric that shows it, and a sentence.

        An adapter overrides this.
        """
        return ()

    @property
    def setting_specs(self) -> Sequence[ParameterSpec]:
        """The settings that the device keeps. An adapter overrides this."""
        return ()

    @property
    def point_count(self) -> int:
        """How many points a list of profiles shows."""
        return sum(1 for _ in self.polled_points)

    @property
    def is_found_by_scan(self) -> bool:
        """Whether a scan identifies such devices; else a person has to name the profile in the configuration."""
        return False

    @property
    def group_seconds(self) -> Mapping[str, float]:
        """All poll groups of the profile -> interval in seconds."""
        return {**self.default_groups, **self.groups}

    @property
    def intervals(self) -> dict[str, timedelta]:
        """The poll groups that have points -> interval; empty for a device that is never polled."""
        used = {point.group for point in self.polled_points}
        return {group: timedelta(seconds=seconds) for group, seconds in self.group_seconds.items() if group in used}

    @table_check
    def _names_known_groups(self) -> Iterator[str]:
        groups = self.group_seconds
        for point in self.polled_points:
            if point.group not in groups:
                yield f"point `{point.metric}`: there is no poll group {point.group!r}; there are {', '.join(groups)}"

    @table_check
    def _names_few_headlines(self) -> Iterator[str]:
        headlines = list(dict.fromkeys(self.headlines))
        if len(headlines) > MOST_HEADLINES:
            yield (
                f"`headline = true` is for at most {MOST_HEADLINES} metrics, since a list has no room for more; "
                f"there are {len(headlines)}: {', '.join(headlines)}"
            )

    @table_check
    def _names_each_command_once(self) -> Iterator[str]:
        yield from (f"command `{twice}` is there twice" for twice in duplicates(rule.name for rule in self.all_commands))

    @table_check
    def _names_known_licence_commands(self) -> Iterator[str]:
        known = [rule.name for rule in self.all_commands]
        for name in () if self.licence is None else (self.licence.install, self.licence.remove):
            if name is not None and name not in known:
                yield f"licence: there is no command {name!r}; there are {', '.join(known) or 'none'}"
