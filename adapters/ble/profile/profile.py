"""Define a Bluetooth LE device model as a profile file describes it, and check that its parts fit together. Pure.

A profile is a TOML file with the name of the profile. Services and characteristics are identified by their uuids, those that the
Bluetooth SIG has assigned by four digits: `180f`. Numbers are little-endian, as usual in GATT, unless a point is different.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from adapters.ble.advertisements.toml_types import Uuid
from adapters.ble.profile.grammar import (
    CommandRule,
    ConnectionSettings,
    IdentitySources,
    InformationSource,
    InitialWrite,
    Point,
    SettingRule,
)
from adapters.ble.profile.match_rules import MatchRule
from adapters.ble.profile.requests import ConfirmRule, RequestRule
from gateway.adapter import (
    CommandSpec,
    DeviceProfile,
    Metric,
    ParameterSpec,
    PointFacts,
    duplicates,
    table_check,
)

DEFAULT_GROUPS: Mapping[str, float] = {"fast": 30.0, "normal": 300.0, "slow": 3600.0}
"""Poll groups that every profile has, and how often they are read, in seconds. A read takes some three seconds of one of a few
connection slots, and of the device's battery: a hundred devices read every five minutes keep one slot busy."""


class Profile(DeviceProfile):
    """A device model."""

    default_groups: ClassVar[Mapping[str, float]] = DEFAULT_GROUPS

    sub_model: str | InformationSource | None = Field(default=None, description="a text, or its source in the device")
    match: tuple[MatchRule, ...] = Field(
        default=(), description="any of them is enough; none: only for devices that the config assigns to it"
    )
    connection: ConnectionSettings = ConnectionSettings()
    services: tuple[Uuid, ...] = Field(default=(), description="standard services whose points are added: `180f`")
    prepare: tuple[InitialWrite, ...] = Field(default=(), description="the writes after connecting, in order")
    requests: tuple[RequestRule, ...] = Field(default=(), description="what is asked by a write and answered by notifications")
    confirm: ConfirmRule | None = Field(
        default=None, description="the answer that shows that it is this one of several devices with the same `match`"
    )
    identity: IdentitySources = IdentitySources()
    groups: dict[str, Annotated[float, Field(ge=1, le=7 * 86400)]] = Field(
        default_factory=dict, description="poll group -> its interval, in seconds"
    )
    points: tuple[Point, ...] = ()
    commands: tuple[CommandRule, ...] = ()
    settings: tuple[SettingRule, ...] = ()

    @property
    def polled_points(self) -> Iterable[Point]:
        """All points: each of them is polled."""
        return self.points

    @property
    def headlines(self) -> Iterable[str]:
        """The metrics of the points with `headline`."""
        return [point.metric for point in self.points if point.headline]

    @property
    def metrics_by_group(self) -> dict[str, list[Metric]]:
        """The metrics of each poll group."""
        groups: dict[str, list[Metric]] = {}
        for point in self.points:
            groups.setdefault(point.group, []).append(point.measured)
        return groups

    def request_named(self, name: str) -> RequestRule:
        """Return the request with this name.

        Raises:
            KeyError: there is none.
        """
        return {request.name: request for request in self.requests}[name]

    @property
    def point_facts(self) -> list[PointFacts]:
        """The unit of each point, and whether its values can be negative or missing."""
        return [point.facts for point in self.points]

    @property
    def setting_specs(self) -> list[ParameterSpec]:
        """The declarations of all settings."""
        return [rule.spec for rule in self.settings]

    @property
    def all_commands(self) -> Iterable[CommandRule]:
        """All commands."""
        return self.commands

    @property
    def command_specs(self) -> Sequence[CommandSpec]:
        """The declarations of all commands."""
        return [rule.declaration for rule in self.commands]

    @property
    def is_found_by_scan(self) -> bool:
        """Whether a device is recognized by its advertisements."""
        return bool(self.match)

    @table_check
    def _does_something(self) -> None:
        if not self.points and not self.commands:
            raise ValueError("a profile needs points, commands or standard `services`")

    @table_check
    def _names_each_point_once(self) -> Iterator[str]:
        yield from (f"point `{twice}` is there twice" for twice in duplicates(point.metric for point in self.points))
        yield from (f"setting `{twice}` is there twice" for twice in duplicates(rule.name for rule in self.settings))

    @table_check
    def _asks_what_is_read(self) -> Iterator[str]:
        names = [request.name for request in self.requests]
        yield from (f"request `{twice}` is there twice" for twice in duplicates(names))
        if self.confirm is not None and self.confirm.request not in names:
            yield f"`confirm`: there is no request `{self.confirm.request}`; there are {', '.join(names) or 'none'}"

    @table_check
    def _has_points_for_checks(self) -> Iterator[str]:
        readable = {
            point.metric for point in self.points if len(point.service) == 1 and not point.notify and point.request is None
        }
        for command in self.commands:
            if isinstance(command.read_back, str) and command.read_back not in readable:
                reason = "it is missing, notified, part of an answer, or has several services"
                yield f"command `{command.name}`: point `{command.read_back}` cannot be read back: {reason}"
